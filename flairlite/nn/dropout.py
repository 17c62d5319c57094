"""Dropout over whole words and over whole features of a sentence.

Masks are drawn from a generator that the caller gives, so that no global random state is touched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flairlite.errors import SettingError


class _Masked(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise SettingError(f"a dropout rate must be from 0 up to 1, exclusive; it is {rate}")
        self.rate = rate

    def _keep(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.empty(shape, device=like.device, dtype=like.dtype).bernoulli_(1 - self.rate, generator=generator)

    def _is_idle(self) -> bool:
        return not self.training or self.rate == 0

    def extra_repr(self) -> str:
        """Show the rate when the module is printed."""
        return f"p={self.rate}"


class WordDropout(_Masked):
    """Set all features of a random part of the words to zero, and leave the others as they are.

    Nothing is rescaled: a word that is dropped looks like one without a vector.
    """

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop words of `features` (B, T, D)."""
        if self._is_idle():
            return features
        return features * self._keep((*features.shape[:2], 1), features, generator)


class LockedDropout(_Masked):
    """Set a random part of the features to zero, the same ones for all words of a sentence, and rescale the others.

    Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016.
    """

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop features of `features` (B, T, D)."""
        if self._is_idle():
            return features
        keep = self._keep((features.shape[0], 1, features.shape[2]), features, generator)
        return features * keep.div_(1 - self.rate)


class FeatureDropout(_Masked):
    """Set single values to zero at random and rescale the others: the usual dropout, from a given generator."""

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop values of `features`, of any shape."""
        if self._is_idle():
            return features
        return features * self._keep(tuple(features.shape), features, generator).div_(1 - self.rate)
