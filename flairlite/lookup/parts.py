"""The characters of words as ids, and words and their character n-grams as hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flairlite.lookup.packing import FNV_BASIS, FNV_PRIME, PackedWords, Ragged, to_code_points
from flairlite.lookup.words import DIGIT

_BEGIN, _END = 0x02, 0x03  # code points put around a word, so that a prefix differs from the same characters inside


class CharacterIds:
    """The ids of known characters.

    Args:
        ids: The id of each item; items of several characters are never found.
        unknown: The id of all other characters.
    """

    def __init__(self, ids: Mapping[str, int], unknown: int) -> None:
        known = sorted((ord(item), index) for item, index in ids.items() if len(item) == 1)
        self._codes = np.array([code for code, _ in known], dtype=np.int64)
        self._ids = np.array([index for _, index in known], dtype=np.int64)
        self._unknown = unknown

    def find(self, words: Sequence[str]) -> Ragged:
        """Return the ids of the characters of U words, and one more row without characters, for padding."""
        codes, lengths = to_code_points(words)
        ids = np.full(len(codes), self._unknown)
        if len(self._codes):
            positions = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
            is_known = self._codes[positions] == codes
            ids[is_known] = self._ids[positions[is_known]]
        return Ragged.pack(ids, np.append(lengths, 0))

    def find_marked(self, words: Sequence[str], begin: int, end: int) -> Ragged:
        """Return the result of `find` with an id before and an id after each word that is not empty."""
        characters = self.find(words)
        lengths = np.diff(characters.offsets)  # (U + 1,)
        ends = np.cumsum(lengths)[lengths > 0]
        starts = ends - lengths[lengths > 0]
        marks = np.repeat((end, begin), len(ends))
        marked = np.insert(characters.values, np.concatenate((ends, starts)), marks)
        return Ragged.pack(marked, lengths + 2 * (lengths > 0))


def find_parts(words: Sequence[str], min_length: int, max_length: int, num_values: int) -> Ragged:
    """Return the hashes of the parts of U words, below `num_values`, and one more row without parts, for padding.

    The parts of a word are its character n-grams, from `min_length` to `max_length` characters including a mark before
    and after the word, and the word itself. An empty word has no parts.
    """
    hashes, owners = _hash_parts(words, min_length, max_length)
    values = (hashes % np.uint64(num_values)).astype(np.int64)
    order = np.argsort(owners, kind="stable")
    return Ragged.pack(values[order], np.bincount(owners, minlength=len(words) + 1))


def find_affixes(words: Sequence[str], max_length: int, num_values: int) -> NDArray[np.int64]:
    """Return the hashes of the prefixes and suffixes of U words, in lower case with each digit as `0`.

    Returns:
        (U + 1, 2 * n) the hashes, below `num_values`, of the prefixes of 1 to n = `max_length` characters, then of the
        suffixes; `num_values` for empty words and, in the last row, padding.
    """
    rows = np.full((len(words) + 1, 2 * max_length), num_values)
    hashes = _hash_affixes([DIGIT.sub("0", word.lower()) for word in words], max_length)  # (U, 2 * n)
    is_empty = np.fromiter((not word for word in words), bool, len(words))
    rows[:-1][~is_empty] = (hashes % np.uint64(num_values))[~is_empty]
    return rows


def hash_words(words: Iterable[str], method: str, num_values: int) -> list[int]:
    """Return a hash of each word, below `num_values`, by the name of a function of `hashlib` with a fixed size."""
    encoded = (word.encode("utf-8", "surrogatepass") for word in words)
    digests = (hashlib.new(method, word, usedforsecurity=False).hexdigest() for word in encoded)
    return [int(digest, 16) % num_values for digest in digests]


def _hash_parts(words: Sequence[str], min_length: int, max_length: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of all parts of all words, and the index of the word of each; empty words have no parts."""
    codes, lengths = to_code_points(words)
    marked = lengths + 2 * (lengths > 0)  # characters of each word with its marks
    ends = np.cumsum(marked)
    text = np.full(ends[-1] if len(ends) else 0, _END, np.uint64)  # (M,)
    starts = (ends - marked)[lengths > 0]
    text[starts] = _BEGIN
    owner = np.repeat(np.arange(len(words)), marked)  # (M,)
    is_inside = np.ones(len(text), bool)
    is_inside[starts] = is_inside[ends[lengths > 0] - 1] = False
    text[is_inside] = codes
    left = np.repeat(ends, marked) - np.arange(len(text))  # (M,) characters to the end of the word
    state = np.full(len(text), np.uint64(FNV_BASIS))
    position = np.arange(len(text))
    hashes, owners = [PackedWords.pack(words).hashes()[lengths > 0]], [np.flatnonzero(lengths)]  # of whole words
    for length in range(1, max_length + 1):
        position = position[left[position] >= length]  # where an n-gram of this length begins
        state[position] = (state[position] ^ text[position + length - 1]) * np.uint64(FNV_PRIME)
        if length >= min_length:
            hashes.append(state[position])
            owners.append(owner[position])
    return np.concatenate(hashes), np.concatenate(owners)


def _hash_affixes(words: Sequence[str], max_length: int) -> NDArray[np.uint64]:
    """Return the hashes (U, 2 * n) of the prefixes, and of the suffixes read from the end, of 1 to n characters."""
    codes, lengths = to_code_points(words)
    codes = np.append(codes, 0).astype(np.uint64)  # an empty last word has no first character
    starts = np.cumsum(lengths) - lengths
    hashes = np.empty((len(words), 2 * max_length), np.uint64)
    for side in (0, 1):  # from the beginning, from the end
        state = np.full(len(words), np.uint64(FNV_BASIS))
        for length in range(1, max_length + 1):
            position = starts + (length - 1 if side == 0 else lengths - length)
            character = codes[position.clip(0, len(codes) - 1)]
            state = np.where(lengths >= length, (state ^ character) * np.uint64(FNV_PRIME), state)
            kind = np.uint64(2 * length + side)  # affixes of different kinds have different hashes
            hashes[:, side * max_length + length - 1] = (state ^ kind) * np.uint64(FNV_PRIME)
    return hashes
