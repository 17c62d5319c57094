"""Rows of integers of different lengths, such as the characters of words, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """R rows of integers; all stays on the host.

    Attributes:
        values: (M,) the rows, one after the other.
        offsets: (R + 1,) row r is `values[offsets[r] : offsets[r + 1]]`.
    """

    values: Tensor
    offsets: Tensor

    @classmethod
    def pack(cls, values: NDArray[np.int64], lengths: NDArray[np.int64]) -> Ragged:
        """Make rows of `lengths` (R,) from `values` (M,)."""
        return cls(torch.from_numpy(values), torch.from_numpy(np.concatenate(([0], np.cumsum(lengths)))))

    def lengths(self, rows: Tensor) -> Tensor:
        """Return how long each of `rows` (V,) is."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def padded(self, rows: Tensor) -> Tensor:
        """Return `rows` (V,), each at least 1 long, as (V, C), with values of its own behind a shorter row's end."""
        lengths = self.lengths(rows).unsqueeze(1)  # (V, 1)
        steps = torch.arange(int(lengths.max()))  # (C,)
        return self.values[self.offsets[rows].unsqueeze(1) + torch.minimum(steps, lengths - 1)]

    def joined(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values of `rows` (V,) one after the other, and where each row begins in them, (V,)."""
        lengths = self.lengths(rows)
        starts = lengths.cumsum(0) - lengths  # (V,)
        steps = torch.arange(int(lengths.sum()))
        return self.values[(self.offsets[rows] - starts).repeat_interleave(lengths) + steps], starts


def code_points(words: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the code points of all words one after the other, and the characters of each word, (U,)."""
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    text = "".join(words).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(text, dtype="<u4").astype(np.int64), lengths
