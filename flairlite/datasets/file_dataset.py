"""The sentences of a file, in memory or read from the file on each access."""

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

_SENTENCES_AT_ONCE = 1024  # made before the first of them is yielded

Positions = np.ndarray[Any, np.dtype[np.int64]]


class FileDataset(FlairDataset):
    """The sentences of a file.

    In memory, the lines of a sentence are kept until it is first accessed, then the sentence is. Otherwise three
    integers per sentence are kept, its position in the file, and each access makes a new sentence: changes are lost.
    """

    def __init__(self, file: TextFile, in_memory: bool) -> None:
        self.file = file
        self.in_memory = in_memory
        self._records: list[Record | None] = []  # None once the sentence exists
        self._sentences: dict[int, Sentence] = {}
        self._positions: Positions = np.empty((0, 3), dtype=np.int64)  # (S, 3) start, end and line

    def _sentence_of(self, record: Record) -> Sentence:
        """Make the sentence of a record.

        Raises:
            DataFormatError: If the record is malformed, with its line.
        """
        raise NotImplementedError

    def _store(self, records: Iterable[tuple[Record, Sentence | None]]) -> None:
        """Keep records, or their positions.

        Args:
            records: The records, with their sentences where these exist already.

        Raises:
            DataFormatError: If there is no record.
        """
        if self.in_memory:
            with no_garbage_collection():
                for index, (record, sentence) in enumerate(records):
                    self._records.append(record if sentence is None else None)
                    if sentence is not None:
                        self._sentences[index] = self._attach(sentence, index)
        else:
            positions = array("q")
            for record, _ in records:
                positions.extend((record.start, record.end, record.line))
            self._positions = np.array(positions, dtype=np.int64).reshape(-1, 3)
        if not len(self):
            raise self._no_sentences()

    def _no_sentences(self) -> DataFormatError:
        return self.file.error("there is no sentence in it", remedy="Check the path and the format")

    @property
    def sentences(self) -> list[Sentence]:
        """All sentences, as a list."""
        return list(self)

    def is_in_memory(self) -> bool:
        """Return whether an index always gives the same sentence object."""
        return self.in_memory

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index.

        Raises:
            DataFormatError: If the dataset is not in memory and the file has changed.
        """
        if self.in_memory:
            return self._keep(index)
        with self.file.open() as file:
            return self._read(file, index)

    def _keep(self, index: int) -> Sentence:
        record = self._records[index]
        if record is None:
            return self._sentences[index]
        # setdefault: threads that access the same index at once get the same object
        sentence = self._sentences.setdefault(index, self._attach(self._sentence_of(record), index))
        self._records[index] = None
        return sentence

    def _read(self, file: BinaryIO, index: int) -> Sentence:
        record = self.file.record_at(file, *self._positions[index].tolist())
        return self._attach(self._sentence_of(record), index)

    def _attach(self, sentence: Sentence, index: int) -> Sentence:
        """Link a sentence to its neighbours; a subclass overrides this if its sentences form documents."""
        return sentence

    def __iter__(self) -> Iterator[Sentence]:
        if self.in_memory:
            for start in range(0, len(self), _SENTENCES_AT_ONCE):
                with no_garbage_collection():
                    sentences = [self._keep(i) for i in range(start, min(start + _SENTENCES_AT_ONCE, len(self)))]
                yield from sentences
            return
        with self.file.open() as file:
            for index in range(len(self)):
                yield self._read(file, index)

    def __len__(self) -> int:
        return len(self._records) if self.in_memory else len(self._positions)
