"""Number the distinct words of sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.data import Sentence


class DistinctWords:
    """Distinct words and their ids, which count from 0 in the order of occurrence.

    Args:
        fields: Label types of tokens. Words with different labels of these types are distinct.
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._fields = tuple(fields)
        self._id_of: defaultdict[Any, int] = defaultdict(count().__next__)

    def __len__(self) -> int:
        return len(self._id_of)

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._id_of) if self._fields else iter(self._id_of)

    def add(self, sentences: Sequence[Sentence]) -> NDArray[np.int32]:
        """Return the ids of the N words of sentences, (N,)."""
        return self.add_items(chain.from_iterable(map(self.items, sentences)))

    def items(self, sentence: Sentence) -> Iterable[Any]:
        """Return what is distinct or equal in a sentence: words, or words with their labels."""
        return self._rows(sentence) if self._fields else sentence.words

    def add_items(self, items: Iterable[Any]) -> NDArray[np.int32]:
        """Return the ids of N results of `items`, (N,)."""
        return np.fromiter(map(self._id_of.__getitem__, items), dtype=np.int32)

    def add_context(
        self, sentences: Sequence[Sentence], length: int, respect_document_boundaries: bool
    ) -> NDArray[np.int32]:
        """Return the ids of up to `length` words before, and after, each sentence, (S, 2, C), then -1 for none.

        C is the largest number of words that there are, at least 1.
        """
        found = [
            [
                self._add_neighbours(sentence.neighbours(step, respect_document_boundaries), step, length)
                for step in (-1, 1)
            ]
            for sentence in sentences
        ]
        table = np.full((len(found), 2, max([1, *(len(ids) for sides in found for ids in sides)])), -1, dtype=np.int32)
        for rows, sides in zip(table, found, strict=True):
            for row, ids in zip(rows, sides, strict=True):
                row[: len(ids)] = ids
        return table

    def add_variants(self, function: Callable[[str], str], num_words: int) -> NDArray[np.int32]:
        """Return the ids (U,) of the results of a function for the first U words; labels stay the same."""
        rows = list(islice(self._id_of, num_words))
        return self.add_items((function(row[0]), *row[1:]) if self._fields else function(row) for row in rows)

    def columns(self) -> tuple[list[str], Mapping[str, Sequence[str]]]:
        """Return the words, and their labels by label type."""
        if not self._fields:
            return list(self._id_of), {}
        words, *columns = (
            map(list, zip(*self._id_of, strict=True)) if self._id_of else ([] for _ in ("", *self._fields))
        )
        return words, dict(zip(self._fields, columns, strict=True))

    def _add_neighbours(self, sentences: Iterable[Sentence], step: int, length: int) -> NDArray[np.int32]:
        """Return the ids of words of the next sentences (`step` 1), or of the previous ones, the last first (-1)."""
        items = chain.from_iterable(list(self.items(sentence))[::step] for sentence in sentences)
        return self.add_items(islice(items, length))[::step]

    def _rows(self, sentence: Sentence) -> Iterable[tuple[str, ...]]:
        """Return each word with its labels, `O` for none as in Flair."""
        labels = (sentence.token_labels(field) or repeat(None, len(sentence.words)) for field in self._fields)
        return zip(sentence.words, *([label or "O" for label in column] for column in labels), strict=True)
