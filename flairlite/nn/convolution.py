"""Convolutions over sequences of different lengths, max-pooled over all positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flairlite.tensors import check_size, copy_to


class PooledConvolutions(nn.Module):
    """The largest output of each filter over all windows of a sequence, then a ReLU.

    The result does not depend on padding: windows that end after the last item are left out, except the first window of
    a sequence that is shorter than it, which is filled up with zero vectors. Source: Kim, Convolutional Neural Networks
    for Sentence Classification, 2014.

    Args:
        input_size: Features E of an item.
        num_filters: Filters F of each width.
        widths: Items in a window; one convolution for each width.
    """

    def __init__(self, input_size: int, num_filters: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(check_size("a width", width) for width in widths)
        self.output_size = check_size("num_filters", num_filters) * len(self.widths)
        size = check_size("input_size", input_size)
        self.layers = nn.ModuleList(nn.Conv1d(size, num_filters, width) for width in self.widths)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled outputs (V, W * F), those of the first width first.

        Args:
            items: (V, C, E) the items, zero on padding.
            lengths: (V,) items of each sequence, at least 1, on the CPU.
        """
        missing = max(0, max(self.widths) - items.shape[1])
        features = nn.functional.pad(items, (0, 0, 0, missing)).transpose(1, 2)  # (V, E, C)
        pooled = []
        for width, layer in zip(self.widths, self.layers, strict=True):
            outputs = layer(features)  # (V, F, C - width + 1)
            num_windows = (lengths - width + 1).clamp_min(1)  # (V,)
            is_outside = torch.arange(outputs.shape[2]) >= num_windows.unsqueeze(1)  # (V, C - width + 1)
            outside = copy_to(is_outside, outputs.device).unsqueeze(1)
            pooled.append(outputs.masked_fill(outside, -torch.inf).amax(dim=2))  # (V, F)
        return torch.cat(pooled, dim=1).relu()
