"""The sentences of a file: kept in memory, or read from it each time one is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.deferred import no_garbage_collection
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError

_AT_ONCE = 1024  # sentences that are made before the first of them is handed out

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
        self._records: list[Record | None] = []  # of the sentences that are not made yet
        self._made: dict[int, Sentence] = {}
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
            with no_garbage_collection():
                for place, (record, sentence) in enumerate(records):
                    self._records.append(record if sentence is None else None)
                    if sentence is not None:
                        self._made[place] = self._linked(sentence, place)
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
        if self.in_memory:
            return self._kept(place)
        with self.file.opened() as file:
            return self._read(file, place)

    def _kept(self, place: int) -> Sentence:
        record = self._records[place]
        if record is None:
            return self._made[place]
        # two threads that ask at once get the same sentence: the first one that is put there stays
        sentence = self._made.setdefault(place, self._linked(self._sentence_of(record), place))
        self._records[place] = None
        return sentence

    def _read(self, file: BinaryIO, place: int) -> Sentence:
        return self._linked(self._sentence_of(self.file.record_at(file, *self._places[place].tolist())), place)

    def _linked(self, sentence: Sentence, place: int) -> Sentence:
        """Tell a sentence where it stands; a subclass whose sentences are not texts of their own does so."""
        return sentence

    def __iter__(self) -> Iterator[Sentence]:
        if self.in_memory:
            for start in range(0, len(self), _AT_ONCE):
                with no_garbage_collection():
                    sentences = [self._kept(place) for place in range(len(self))[start : start + _AT_ONCE]]
                yield from sentences
            return
        with self.file.opened() as file:
            for place in range(len(self)):
                yield self._read(file, place)

    def __len__(self) -> int:
        return len(self._records) if self.in_memory else len(self._places)
