"""Vectors in twelve, eight or four bits a value: the form in which a model file stores a fixed table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = (12, 8, 4)  # that a value can take
_BLOCK = 1 << 12  # rows packed at a time: the intermediate arrays are several times as large as the vectors


@dataclass(frozen=True)
class CompactMatrix:
    """V vectors of D values, each an integer times the scale of its vector.

    The integers are from -2047 to 2047 in twelve bits, -127 to 127 in eight, and -7 to 7 in four. The error of a value
    is at most 1/4094, 1/254 or 1/14 of the largest absolute value of its vector. 400,000 vectors of 100 values take 62,
    42 or 22 MB, against 160 MB in float32 and 80 MB in float16. Packing unpacked vectors again changes nothing.

    Attributes:
        codes: (V, bytes) uint8. In twelve bits: the upper eight bits of each value, with its sign, and then the lower
            four bits, two values in a byte: the first half of the values in the low bits, the second half in the high
            bits. In eight bits: each value. In four bits: each value plus 8, two in a byte in the same order.
        scales: (V,) float32.
        dim: D.
        bits: Bits of a value.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    dim: int
    bits: int = 12

    @classmethod
    def pack(cls, matrix: NDArray[np.float32], bits: int = 12) -> CompactMatrix:
        """Round and pack vectors (V, D) of finite values."""
        dim = matrix.shape[1]
        codes = np.empty((len(matrix), _num_bytes(dim, bits)), dtype=np.uint8)
        scales = np.empty(len(matrix), dtype=np.float32)
        for start in range(0, len(matrix), _BLOCK):
            block = slice(start, start + _BLOCK)
            values, scales[block] = _quantize(matrix[block], bits)
            if bits != 4:
                codes[block, :dim] = (values >> (bits - 8)).astype(np.int8).view(np.uint8)
            if bits != 8:
                low = (values + (8 if bits == 4 else 0) & 0xF).astype(np.uint8)
                nibbles = codes[block, -_half(dim) :]
                nibbles[:] = low[:, : _half(dim)]
                nibbles[:, : dim // 2] |= low[:, _half(dim) :] << 4
        return cls(codes, scales, dim, bits)

    def __len__(self) -> int:
        return len(self.scales)

    def take(self, rows: NDArray[np.int64] | slice) -> CompactMatrix:
        """Return a table of some of the vectors."""
        return CompactMatrix(self.codes[rows], self.scales[rows], self.dim, self.bits)

    def rows(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the vectors of U rows, (U, D)."""
        codes, half = self.codes[rows], _half(self.dim)
        if self.bits == 4:
            vectors = np.full((len(codes), self.dim), -8, np.float32)
        else:
            vectors = codes[:, : self.dim].view(np.int8).astype(np.float32)
        if self.bits == 12:
            vectors *= 16
        if self.bits != 8:
            low = codes[:, -half:]
            vectors[:, :half] += low & 0xF
            vectors[:, half:] += low[:, : self.dim // 2] >> 4
        vectors *= self.scales[rows][:, None]
        return vectors

    def describe_damage(self) -> str:
        """Return why the arrays cannot be vectors, or an empty string if they can."""
        if self.bits not in BITS:
            return f"values have {self.bits} bits, not 12, 8 or 4"
        if self.dim < 1 or self.codes.shape != (len(self.scales), _num_bytes(self.dim, self.bits)):
            return f"{self.codes.shape} bytes are not {len(self.scales):,} vectors of {self.dim} values"
        return "" if np.isfinite(self.scales).all() else "some are not finite"


def _num_bytes(dim: int, bits: int) -> int:
    return (0 if bits == 4 else dim) + (0 if bits == 8 else _half(dim))


def _half(dim: int) -> int:
    return -(-dim // 2)


def _quantize(matrix: NDArray[np.float32], bits: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return the codes (V, D) of vectors, and the scale of each vector (V,)."""
    max_code = (1 << (bits - 1)) - 1
    scales = np.abs(matrix).max(axis=1, initial=0.0) / np.float32(max_code)
    divisors = np.where(scales > 0, scales, 1.0).astype(np.float64)
    codes = np.rint(matrix / divisors[:, None]).clip(-max_code, max_code).astype(np.int16)
    return codes, scales.astype(np.float32)
