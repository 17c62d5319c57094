"""Vectors in twelve bits a value, which is what a model file holds of a fixed table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2047  # of twelve bits with a sign
_BLOCK = 1 << 12  # rows at once: what is between is several times as large as the vectors


@dataclass(frozen=True)
class CompactMatrix:
    """V vectors of D values, each a whole number from -2047 to 2047 times the scale of its vector.

    No value is wrong by more than a 4,094th of the largest of its vector. 400,000 vectors of 100 values take 62 MB; in
    float32 they take 160 MB, in float16 80 MB. Vectors that are packed once more stay what they are.

    Attributes:
        codes: (V, D + ceil(D / 2)) uint8; the upper eight bits of each value, with its sign, and then the lower four,
            two in a byte: those of the first half of the values below those of the second half.
        scales: (V,) float32.
        dim: D.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    dim: int

    @classmethod
    def pack(cls, matrix: NDArray[np.float32]) -> CompactMatrix:
        """Round vectors (V, D) of finite values, and pack them."""
        dim = matrix.shape[1]
        codes = np.empty((len(matrix), dim + _half(dim)), dtype=np.uint8)
        scales = np.empty(len(matrix), dtype=np.float32)
        for start in range(0, len(matrix), _BLOCK):
            block = slice(start, start + _BLOCK)
            values, scales[block] = _rounded(matrix[block])
            low = (values & 0xF).astype(np.uint8)
            codes[block, :dim] = (values >> 4).astype(np.int8).view(np.uint8)
            codes[block, dim:] = low[:, : _half(dim)]
            codes[block, dim : dim + dim // 2] |= low[:, _half(dim) :] << 4
        return cls(codes, scales, dim)

    def __len__(self) -> int:
        return len(self.scales)

    def rows(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the vectors of some rows (U,), as float32 (U, D)."""
        codes, half = self.codes[rows], _half(self.dim)
        low = codes[:, self.dim :]
        vectors = codes[:, : self.dim].view(np.int8).astype(np.float32)
        vectors *= 16
        vectors[:, :half] += low & 0xF
        vectors[:, half:] += low[:, : self.dim // 2] >> 4
        vectors *= self.scales[rows][:, None]
        return vectors

    def fault(self) -> str:
        """Say why these cannot be vectors, or return the empty string."""
        if self.dim < 1 or self.codes.shape != (len(self.scales), self.dim + _half(self.dim)):
            return f"{self.codes.shape} bytes are not {len(self.scales):,} vectors of {self.dim} values"
        return "" if np.isfinite(self.scales).all() else "some are not finite"


def _half(dim: int) -> int:
    return -(-dim // 2)


def _rounded(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return vectors (V, D) as whole numbers, and the scale of each (V,)."""
    scales = np.abs(matrix).max(axis=1, initial=0.0) / np.float32(_LARGEST)
    divisors = np.where(scales > 0, scales, 1.0).astype(np.float64)
    numbers = np.rint(matrix / divisors[:, None]).clip(-_LARGEST, _LARGEST).astype(np.int16)
    return numbers, scales.astype(np.float32)
