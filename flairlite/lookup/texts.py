"""Sentences as texts, which a character-level language model reads in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairlite.lookup.packing import Ragged
from flairlite.lookup.parts import CharacterIds

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TextReader:
    """How a language model reads sentences: their words separated by spaces.

    Attributes:
        characters: The ids of characters.
        start: What is read before each text.
        is_forward: Whether texts are read from their start; otherwise from their end.
        with_whitespace: Whether the output after the space that follows a word is its vector, not the one before.
        is_lower: Whether words are read in lower case.
        chunk_size: The number of characters of each text that are read at once.
    """

    characters: CharacterIds
    start: str
    is_forward: bool
    with_whitespace: bool
    is_lower: bool
    chunk_size: int

    def index(self, words: Sequence[str]) -> Ragged:
        """Return the characters of U distinct words and of the space after each, in the order in which they are read.

        One more row, for padding, has no characters.
        """
        texts = [word.lower() for word in words] if self.is_lower else words
        return self.characters.find([f"{text if self.is_forward else text[::-1]} " for text in texts])

    def read(self, characters: Ragged, ids: Ids) -> tuple[Ids, list[tuple[Ids, Ids]]]:
        """Return the characters of sentences in parts, and where in the outputs the vectors of their words are.

        Args:
            characters: The result of `index`.
            ids: (B, T) the rows of the words; the last row is padding.

        Returns:
            (B, T) the index of each word among the chosen outputs of all parts, from 1, or 0 for padding; and for each
            part its characters (C, B), and the positions (M,) of the outputs that are chosen, of C * B.
        """
        is_word = ids < len(characters) - 1
        if not self.is_forward:
            ids, is_word = ids[:, ::-1], is_word[:, ::-1]
        lengths = characters.lengths(ids)  # (B, T)
        start = self.characters.find([self.start]).values
        ends = len(start) + lengths.cumsum(axis=1)  # (B, T)
        joined, _ = characters.join(ids.ravel())
        texts = _lay_out(start, joined, lengths.sum(axis=1))  # (C, B)
        sentence = np.arange(len(ids))[:, None]
        positions = np.maximum(ends - (1 if self.with_whitespace else 2), 0)  # (B, T)
        chunks, rows, count = [], np.zeros(ids.shape, np.int64), 1
        for begin in range(0, len(texts), self.chunk_size):
            part = texts[begin : begin + self.chunk_size]
            is_inside = is_word & (positions >= begin) & (positions < begin + len(part))
            chosen = ((positions - begin) * len(ids) + sentence)[is_inside]  # (M,)
            rows[is_inside] = np.arange(count, count + len(chosen))
            count += len(chosen)
            chunks.append((part, chosen))
        return rows if self.is_forward else rows[:, ::-1].copy(), chunks


def _lay_out(start: Ids, characters: Ids, sizes: Ids) -> Ids:
    """Return B texts of `sizes` (B,) characters, with the start before them, as columns (C, B)."""
    texts = np.zeros((len(sizes), len(start) + int(sizes.max())), dtype=np.int64)  # (B, C); 0 after the end
    texts[:, : len(start)] = start
    texts[:, len(start) :][np.arange(texts.shape[1] - len(start)) < sizes[:, None]] = characters
    return np.ascontiguousarray(texts.T)
