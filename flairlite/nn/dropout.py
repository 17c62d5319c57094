"""Dropout over words, over the features of a sentence, and over single values.

Masks are drawn from the caller's generator, so that no global random state is touched.
"""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor, nn

from flairlite.errors import SettingError


class _Dropout(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= rate < 1:
            raise SettingError(f"the dropout rate must be a number of at least 0 and below 1; it is {rate!r:.80}")
        self.rate: float = float(rate)

    def _draw_mask(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.empty(shape, device=like.device, dtype=like.dtype).bernoulli_(1 - self.rate, generator=generator)

    def _is_inactive(self) -> bool:
        return not self.training or self.rate == 0

    def extra_repr(self) -> str:
        """Show the rate when the module is printed."""
        return f"p={self.rate}"


class WordDropout(_Dropout):
    """Set all features of random words to zero.

    Nothing is rescaled: a dropped word looks like a word without a vector.
    """

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop words of `features` (B, T, D)."""
        if self._is_inactive():
            return features
        return features * self._draw_mask((*features.shape[:2], 1), features, generator)


class LockedDropout(_Dropout):
    """Set random features to zero, the same for all words of a sentence, and rescale the others.

    Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016.
    """

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop features of `features` (B, T, D)."""
        if self._is_inactive():
            return features
        keep = self._draw_mask((features.shape[0], 1, features.shape[2]), features, generator)
        return features * keep.div_(1 - self.rate)


class FeatureDropout(_Dropout):
    """Set random values to zero and rescale the others: the usual dropout, from a given generator."""

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop values of `features`, of any shape."""
        if self._is_inactive():
            return features
        return features * self._draw_mask(tuple(features.shape), features, generator).div_(1 - self.rate)
