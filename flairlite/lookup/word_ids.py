"""A table of words with ids, which takes few bytes in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.errors import ModelFileError
from flairlite.lookup.packing import PackedWords, join_slices

_MAX_SHARED = 63  # bytes that a word shares with the previous one, so that a file cannot expand without limit


@dataclass(frozen=True)
class WordIds:
    """V words in ascending order of their UTF-8 bytes, each with an id.

    Attributes:
        words: The words.
        ids: (V,) ids from 0.
    """

    words: PackedWords
    ids: NDArray[np.int64]

    @classmethod
    def build(cls, words: Sequence[str], ids: Sequence[int] | NDArray[np.int64]) -> WordIds:
        """Build the table from distinct words in any order."""
        order = sorted(range(len(words)), key=lambda index: words[index].encode("utf-8", "surrogatepass"))
        return cls(PackedWords.pack(words[index] for index in order), np.asarray(ids, dtype=np.int64)[order])

    def find(self, words: Sequence[str], *, missing: int) -> NDArray[np.int64]:
        """Return the id of each of U words, or `missing`, (U,)."""
        rows = self.words.find(words)
        return np.where(rows < 0, missing, self.ids[rows]) if len(self.ids) else np.full(len(words), missing)

    def find_any_case(self, words: Sequence[str], *, missing: int) -> NDArray[np.int64]:
        """Return the id of each of U words as written, or else in lower case, or else `missing`, (U,)."""
        ids = self.find(words, missing=missing)
        left = np.flatnonzero(ids == missing)
        ids[left] = self.find([words[index].lower() for index in left.tolist()], missing=missing)
        return ids

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the table as arrays for a file; a word omits the bytes that it shares with the previous one.

        Returns:
            "text": uint8 (N,), the concatenated rest of each word; "lengths": (V,), the bytes of each rest; "shared":
            uint8 (V,), the bytes that are omitted; "ids": (V,).
        """
        shared = _shared_prefixes(self.words)
        lengths = np.diff(self.words.offsets) - shared  # (V,)
        return {
            "text": join_slices(self.words.text, self.words.offsets[:-1] + shared, lengths),
            "lengths": to_smallest(lengths),
            "shared": shared.astype(np.uint8),
            "ids": to_smallest(self.ids),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, num_ids: int) -> WordIds:
        """Build the table from the result of `to_arrays`.

        Raises:
            ModelFileError: If the arrays are not those of such a table with ids below `num_ids`.
        """
        text, shared = arrays["text"], arrays["shared"]
        lengths, ids = (arrays[name].astype(np.int64) for name in ("lengths", "ids"))
        damage = ""
        if not len(shared) == len(lengths) == len(ids):
            damage = f"{len(shared):,}, {len(lengths):,} and {len(ids):,} entries for the same words"
        elif lengths.min(initial=0) < 0 or lengths.sum() != len(text) or shared.max(initial=0) > _MAX_SHARED:
            damage = "the lengths do not span the text"
        elif ids.min(initial=0) < 0 or ids.max(initial=-1) >= num_ids:
            damage = "an id is out of range"
        words = PackedWords(np.zeros(0, np.uint8), np.zeros(1, np.int64)) if damage else _join(text, lengths, shared)
        if damage := damage or words.describe_damage():
            raise ModelFileError(f"the lexicon is damaged ({damage}): copy or save the model again")
        return cls(words, ids)


def to_smallest(values: NDArray[np.int64]) -> NDArray[Any]:
    """Return integers from 0 in the smallest type that torch has too and that holds them."""
    largest = values.max(initial=0)
    types = (np.uint8, np.int16, np.int32, np.int64)
    return values.astype(next(kind for kind in types if largest <= np.iinfo(kind).max))


def _shared_prefixes(words: PackedWords) -> NDArray[np.int64]:
    """Return the bytes at the beginning of each word that equal those of the previous word, (V,), at most 63."""
    starts, lengths = words.offsets[:-1], np.diff(words.offsets)
    shared = np.zeros(len(words), np.int64)
    left = np.arange(1, len(words))  # the words whose first `position` bytes are those of the previous word
    for position in range(_MAX_SHARED):
        left = left[(lengths[left] > position) & (lengths[left - 1] > position)]
        left = left[words.text[starts[left] + position] == words.text[starts[left - 1] + position]]
        if not left.size:
            break
        shared[left] = position + 1
    return shared


def _join(text: NDArray[np.uint8], lengths: NDArray[np.int64], shared: NDArray[np.uint8]) -> PackedWords:
    rest, ends = text.tobytes(), np.concatenate(([0], np.cumsum(lengths))).tolist()
    joined, offsets, word = bytearray(), np.zeros(len(shared) + 1, np.int64), b""
    for row, ((start, end), count) in enumerate(zip(pairwise(ends), shared.tolist(), strict=True)):
        word = word[:count] + rest[start:end]
        joined += word
        offsets[row + 1] = len(joined)
    return PackedWords(np.frombuffer(joined, np.uint8), offsets)
