"""The sentences of a file: kept in memory, or read from it each time one is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError

Places = np.ndarray[Any, np.dtype[np.int64]]


class FileDataset(FlairDataset):
    """The sentences of a file.

    In memory, the lines of a sentence are kept until it is asked for, and then the sentence is. Elsewhere three
    integers a sentence are kept, where its lines lie in the file, and it is made anew each time it is asked for: what
    is written onto it is not kept.
    """

    def __init__(self, file: TextFile, in_memory: bool) -> None:
        self.file = file
        self.in_memory = in_memory
        self._made: list[Record | Sentence] = []
        self._places: Places = np.empty((0, 3), dtype=np.int64)  # (S, 3) first byte, the one behind the last, line

    def _sentence_of(self, record: Record) -> Sentence:
        """Make the sentence of a record.

        Raises:
            DataFormatError: for a record that is none, with its line.
        """
        raise NotImplementedError

    def _take(self, records: Iterable[tuple[Record, Sentence | None]]) -> None:
        """Keep the records that are sentences, or where they are.

        Args:
            records: The records, with their sentences where these are made already.

        Raises:
            DataFormatError: when there is none.
        """
        if self.in_memory:
            self._made = [record if sentence is None else sentence for record, sentence in records]
        else:
            places = array("q")
            for record, _ in records:
                places.extend((record.start, record.stop, record.line))
            self._places = np.array(places, dtype=np.int64).reshape(-1, 3)
        if not len(self):
            raise self._without_sentences()

    def _without_sentences(self) -> DataFormatError:
        return self.file.problem("there is no sentence in it", remedy="Check the path and the format")

    @property
    def sentences(self) -> list[Sentence]:
        """All sentences, as a list."""
        return list(self)

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time."""
        return self.in_memory

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place.

        Raises:
            DataFormatError: when the file was changed or removed meanwhile, and is not in memory.
        """
        if not self.in_memory:
            with self.file.opened() as file:
                return self._sentence_of(self.file.record_at(file, *self._places[place].tolist()))
        made = self._made[place]
        if isinstance(made, Record):
            made = self._made[place] = self._sentence_of(made)
        return made

    def __iter__(self) -> Iterator[Sentence]:
        if self.in_memory:
            yield from map(self.sentence_at, range(len(self._made)))
            return
        with self.file.opened() as file:
            for place in map(np.ndarray.tolist, self._places):
                yield self._sentence_of(self.file.record_at(file, *place))

    def __len__(self) -> int:
        return len(self._made) if self.in_memory else len(self._places)
