"""Words, and rows of integers of different lengths, packed into arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FNV_BASIS, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_SHORTEST = 4  # rows of up to 4, 8, 16 ... values are padded together
_FEW = 16  # up to this many words are looked up one by one, which is faster than with arrays


@dataclass(frozen=True)
class HashIndex:
    """An index of V words by hash.

    Attributes:
        hashes: (V,) the hashes, ascending.
        order: (V,) the row of the word of each hash, ascending among equal hashes.
    """

    hashes: NDArray[np.uint64]
    order: NDArray[np.int64]


class PackedWords:
    """V words as one array of bytes, found by binary search in their sorted hashes.

    A dict of 400,000 strings takes 60 MB and 0.14 s in each process; these arrays are mapped from disk and shared.

    Args:
        text: (N,) the concatenated words in UTF-8. Lone surrogates are encoded too, so every str can be packed.
        offsets: (V + 1,) word v is `text[offsets[v] : offsets[v + 1]]`.
        index: The index; computed on first use if not given.
    """

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64], index: HashIndex | None = None) -> None:
        self.text, self.offsets = text, offsets
        self._given_index = index

    @classmethod
    def pack(cls, words: Iterable[str]) -> PackedWords:
        """Pack strings."""
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(word) for word in encoded], out=offsets[1:])
        return cls(np.frombuffer(bytearray().join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        text, offsets = self.text.tobytes(), self.offsets.tolist()
        for start, end in pairwise(offsets):
            yield text[start:end].decode("utf-8", "surrogatepass")

    def take(self, rows: NDArray[np.int64]) -> PackedWords:
        """Return the words of U rows, in their order."""
        starts, lengths = self.offsets[rows], np.diff(self.offsets)[rows]
        return PackedWords(join_slices(self.text, starts, lengths), np.concatenate(([0], np.cumsum(lengths))))

    def describe_damage(self) -> str:
        """Return why the arrays cannot be words, or an empty string if they can."""
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.text):
            return "the offsets do not span the text"
        if np.any(np.diff(self.offsets) < 0):
            return "the offsets do not ascend"
        try:
            self.text.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            return str(error)
        starts = self.offsets[self.offsets < len(self.text)]
        return "an offset cuts a character in two" if np.any(self.text[starts] & 0xC0 == 0x80) else ""

    @cached_property
    def index(self) -> HashIndex:
        """The index of the words by hash."""
        if self._given_index is not None:
            return self._given_index
        hashes = self.hashes()
        order = np.argsort(hashes, kind="stable")
        return HashIndex(hashes[order], order)

    def hashes(self) -> NDArray[np.uint64]:
        """Return the 64-bit FNV-1a hash of each word, (V,)."""
        lengths = np.diff(self.offsets)
        hashes = np.full(len(self), FNV_BASIS, np.uint64)
        longer, position = np.flatnonzero(lengths), 0
        while longer.size:  # one byte of all words at a time
            byte = self.text[self.offsets[longer] + position]
            hashes[longer] = (hashes[longer] ^ byte) * np.uint64(FNV_PRIME)
            position += 1
            longer = longer[lengths[longer] > position]
        return hashes

    def find(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the first row of each of U words, -1 for a word that is not in the table: (U,)."""
        if len(words) <= _FEW:
            return np.fromiter(map(self._find_one, words), np.int64, len(words))
        queries, index = PackedWords.pack(words), self.index
        wanted = queries.hashes()  # (U,)
        rows = np.full(len(words), -1, np.int64)
        position = np.searchsorted(index.hashes, wanted)  # (U,)
        left = np.arange(len(words))
        while True:  # repeats only where different words share a hash
            left = left[position[left] < len(self)]
            left = left[index.hashes[position[left]] == wanted[left]]
            if not left.size:
                return rows
            candidates = index.order[position[left]]
            same = _same_words(self, candidates, queries, left)
            rows[left[same]] = candidates[same]
            left = left[~same]
            position[left] += 1

    def _find_one(self, word: str) -> int:
        data = word.encode("utf-8", "surrogatepass")
        wanted, index = _hash(data), self.index
        position = int(np.searchsorted(index.hashes, np.uint64(wanted)))
        while position < len(self) and index.hashes[position] == wanted:
            row = int(index.order[position])
            if self.text[self.offsets[row] : self.offsets[row + 1]].tobytes() == data:
                return row
            position += 1
        return -1


def join_slices(text: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the concatenated bytes of U slices of a text."""
    positions = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    found: NDArray[np.uint8] = text[positions]
    return found


def _hash(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash of one word."""
    value = FNV_BASIS
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return value


def _same_words(
    first: PackedWords, rows: NDArray[np.int64], second: PackedWords, others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return whether word `rows[n]` of the first equals word `others[n]` of the second, (N,)."""
    start, other_start = first.offsets[rows], second.offsets[others]
    lengths = first.offsets[rows + 1] - start
    same: NDArray[np.bool_] = lengths == second.offsets[others + 1] - other_start
    lengths = np.where(same, lengths, 0)
    pair = np.repeat(np.arange(len(rows)), lengths)  # the n of each compared byte
    position = np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    same[pair[first.text[start[pair] + position] != second.text[other_start[pair] + position]]] = False
    return same


@dataclass(frozen=True)
class Ragged:
    """R rows of integers of different lengths.

    Attributes:
        values: (M,) the concatenated rows.
        offsets: (R + 1,) row r is `values[offsets[r] : offsets[r + 1]]`.
    """

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def pack(cls, values: NDArray[np.int64], lengths: NDArray[np.int64]) -> Ragged:
        """Build rows of `lengths` (R,) from their concatenated `values` (M,)."""
        return cls(values, np.concatenate(([0], np.cumsum(lengths))))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the length of each of `rows` (V,)."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def pad(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `rows` (V,), none of them empty, as (V, C); a shorter row is padded with its last value."""
        lengths = self.lengths(rows)[:, None]  # (V, 1)
        steps = np.arange(lengths.max())  # (C,)
        padded: NDArray[np.int64] = self.values[self.offsets[rows][:, None] + np.minimum(steps, lengths - 1)]
        return padded

    def join(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the concatenated values of `rows` (V,), and the start of each row in them, (V,)."""
        lengths = self.lengths(rows)
        starts = np.cumsum(lengths) - lengths  # (V,)
        steps = np.arange(lengths.sum())
        return self.values[np.repeat(self.offsets[rows] - starts, lengths) + steps], starts

    def group(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of `rows` (V,) in groups of similar length, so that at most half of a group is padding.

        Empty rows are left out. The groups, and the rows of a group, are ordered by length.
        """
        lengths = self.lengths(rows)
        order = np.argsort(lengths, kind="stable")
        ascending = lengths[order]
        start, limit = int(np.searchsorted(ascending, 0, side="right")), _SHORTEST
        while start < len(order):
            end = int(np.searchsorted(ascending, limit, side="right"))
            if end > start:
                yield order[start:end]
            start, limit = end, 2 * limit


def to_code_points(words: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the concatenated code points of U words, and the number of characters of each word, (U,)."""
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    text = "".join(words).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(text, dtype="<u4").astype(np.int64), lengths
