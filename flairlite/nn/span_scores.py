"""How probable a span is, among all tag sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flairlite.nn.crf import ForwardBackward


class SpanScorer(nn.Module):
    """Computes how probable it is that a span has just these words and this label.

    That is the probability of its first tag, times that of each of its other tags behind the one before, times, where
    the tags leave it open, that the word behind it does not go on with it.

    Args:
        begins: (K,) whether a span begins with a tag.
        goes_on: (K,) whether a span goes on with it.
        prolonging: (K,) the tag by which a span goes on that could also end before it; -1 where there is none.
    """

    def __init__(self, begins: Tensor, goes_on: Tensor, prolonging: Tensor) -> None:
        super().__init__()
        self.begins: Tensor
        self.goes_on: Tensor
        self.prolonging: Tensor
        self.register_buffer("begins", begins, persistent=False)
        self.register_buffer("goes_on", goes_on, persistent=False)
        self.register_buffer("prolonging", prolonging, persistent=False)
        self.may_be_longer = bool((prolonging >= 0).any())

    @torch.no_grad()
    def forward(self, chains: ForwardBackward, tags: Tensor, probabilities: Tensor) -> Tensor:
        """Compute the probabilities of the spans in valid tag sequences.

        Args:
            chains: Forward-backward over the sentences.
            tags: (B, T) valid tags.
            probabilities: (B, T) the probability of each of them.

        Returns:
            (B, T) float64: the probability of the span that begins at a word, 0 where none begins.
        """
        is_word = ~chains.is_padding.squeeze(2)
        begins, goes_on = self.begins[tags] & is_word, self.goes_on[tags] & is_word  # (B, T)
        behind = chains.conditionals(tags, nn.functional.pad(tags[:, 1:], (0, 1)))  # (B, T - 1)
        logs = torch.zeros_like(probabilities, dtype=torch.float64)  # (B, T): what each word adds to that of its span
        logs[:, 1:] = behind.log().masked_fill(~goes_on[:, 1:], 0.0)
        if self.may_be_longer:
            is_last = (begins | goes_on)[:, :-1] & ~goes_on[:, 1:]
            longer = chains.conditionals(tags, self.prolonging[tags])  # (B, T - 1)
            logs[:, :-1] += torch.log1p(-longer).masked_fill(~is_last, 0.0)
        span = begins.flatten().cumsum(0)  # (B x T,): the number of the span, or of the last one before
        sums = logs.new_zeros(len(span) + 1).index_add_(0, span, logs.flatten())
        scores = probabilities * sums[span].view_as(logs).exp()
        return scores.clamp_max(1.0).masked_fill(~begins, 0.0)
