"""Sentences of a file that has been checked completely, each made on first access."""

from __future__ import annotations

import contextlib
import gc
import mmap
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence


class DeferredPart:
    """A part of a file: its bytes, until all of its sentences have been made.

    Args:
        text: The bytes.
        bounds: Start and exclusive end of each sentence.
        make: Makes a sentence of its bytes. These must have been checked before, because `make` may not fail.
        made: Sentences that exist already, by their index.
    """

    def __init__(
        self,
        text: bytes,
        bounds: Sequence[tuple[int, int]],
        make: Callable[[bytes], Sentence],
        made: dict[int, Sentence],
    ) -> None:
        self._text = mmap.mmap(-1, len(text) or 1)  # unlike the heap, returned to the system when closed
        self._text.write(text)
        self._bounds, self._make = bounds, make
        self._sentences: list[Sentence | None] = [made.get(index) for index in range(len(bounds))]
        self._num_missing = len(bounds) - len(made)
        self._lock = threading.Lock()  # threads that access the same index at once must get the same object

    def __len__(self) -> int:
        return len(self._sentences)

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index."""
        sentence = self._sentences[index]
        if sentence is not None:
            return sentence
        with self._lock:
            return self._make_once(index)

    def sentences(self) -> Iterator[Sentence]:
        """Return all sentences."""
        if self._num_missing:
            with self._lock, no_garbage_collection():
                return iter([self._make_once(index) for index in range(len(self))])
        return iter(self._sentences)  # type: ignore[arg-type]  # all have been made

    def _make_once(self, index: int) -> Sentence:
        sentence = self._sentences[index]
        if sentence is None:
            start, end = self._bounds[index]
            sentence = self._sentences[index] = self._make(self._text[start:end])
            self._num_missing -= 1
            if not self._num_missing:
                self._text.close()
        return sentence


class DeferredSentences(FlairDataset):
    """The sentences of a file, each made on first access and then kept.

    Downsampling a treebank to a tenth therefore costs a tenth of the time. Copies and pickles are lists.
    """

    def __init__(self, parts: Iterable[DeferredPart]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index of 0 or more."""
        part = bisect_right(self._ends, index)
        return self._parts[part].sentence_at(index - (self._ends[part - 1] if part else 0))

    def __iter__(self) -> Iterator[Sentence]:
        for part in self._parts:
            yield from part.sentences()

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector while many objects are made: each pass would scan all of them and free none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
