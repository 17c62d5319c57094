"""Words as arrays: one run of UTF-8 and an index of sorted hashes, so that a vocabulary can be mapped from disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_FNV_BASIS, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_FEW = 16  # words, such as those of a sentence that were never seen: one by one they are found faster than as arrays


class PackedWords:
    """Words as one run of bytes, found by binary search over their sorted hashes.

    A dict of 400,000 strings takes 60 MB and 0.14 s in each process; these arrays are mapped from disk and shared.

    Args:
        text: (N,) the words' UTF-8 one after the other, with lone surrogates encoded too, so that every str has a form.
        offsets: (V + 1,) word v is `text[offsets[v] : offsets[v + 1]]`.
        hashes: (V,) ascending; worked out when needed, if not given.
        order: (V,) the row of each of `hashes`, ascending where those are equal.
    """

    def __init__(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        hashes: NDArray[np.uint64] | None = None,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.text, self.offsets = text, offsets
        self._index = None if hashes is None or order is None else _Index(hashes, order)

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

    def fault(self) -> str:
        """Say why these arrays cannot be words, or return the empty string."""
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
    def index(self) -> _Index:
        """The sorted hashes and their rows: given, or worked out once."""
        if self._index is not None:
            return self._index
        hashes = self.hashes()
        order = np.argsort(hashes, kind="stable")
        return _Index(hashes[order], order)

    def hashes(self) -> NDArray[np.uint64]:
        """Return the 64-bit FNV-1a hash of each word, taking one byte of all words at a time: (V,)."""
        lengths = np.diff(self.offsets)
        hashes = np.full(len(self), _FNV_BASIS, np.uint64)
        longer, place = np.flatnonzero(lengths), 0
        while longer.size:
            byte = self.text[self.offsets[longer] + place]
            hashes[longer] = (hashes[longer] ^ byte) * np.uint64(_FNV_PRIME)
            place += 1
            longer = longer[lengths[longer] > place]
        return hashes

    def find(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the first row of each word as it stands, -1 where there is none: (U,)."""
        if len(words) <= _FEW:
            return np.fromiter(map(self._find_one, words), np.int64, len(words))
        queries, index = PackedWords.pack(words), self.index
        wanted = queries.hashes()  # (U,)
        rows = np.full(len(words), -1, np.int64)
        place = np.searchsorted(index.hashes, wanted)  # (U,)
        left = np.arange(len(words))
        while True:  # a second turn only where different words share a hash
            left = left[place[left] < len(self)]
            left = left[index.hashes[place[left]] == wanted[left]]
            if not left.size:
                return rows
            candidates = index.order[place[left]]
            same = _same_words(self, candidates, queries, left)
            rows[left[same]] = candidates[same]
            left = left[~same]
            place[left] += 1

    def _find_one(self, word: str) -> int:
        """Do what `find` does, for one word."""
        data = word.encode("utf-8", "surrogatepass")
        wanted, index = _hash(data), self.index
        place = int(np.searchsorted(index.hashes, np.uint64(wanted)))
        while place < len(self) and index.hashes[place] == wanted:
            row = int(index.order[place])
            if self.text[self.offsets[row] : self.offsets[row + 1]].tobytes() == data:
                return row
            place += 1
        return -1


def _hash(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash of one word."""
    value = _FNV_BASIS
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return value


@dataclass(frozen=True)
class _Index:
    hashes: NDArray[np.uint64]  # (V,)
    order: NDArray[np.int64]  # (V,)


def _same_words(
    first: PackedWords, rows: NDArray[np.int64], second: PackedWords, others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Compare word `rows[n]` of the first with word `others[n]` of the second, byte for byte: (N,)."""
    start, other_start = first.offsets[rows], second.offsets[others]
    lengths = first.offsets[rows + 1] - start
    same: NDArray[np.bool_] = lengths == second.offsets[others + 1] - other_start
    lengths = np.where(same, lengths, 0)
    pair = np.repeat(np.arange(len(rows)), lengths)  # the n of each byte that is compared
    place = np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    same[pair[first.text[start[pair] + place] != second.text[other_start[pair] + place]]] = False
    return same
