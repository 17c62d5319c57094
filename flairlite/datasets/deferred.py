"""Sentences of a file that was checked whole, each of which is made when somebody first asks for it."""

from __future__ import annotations

import contextlib
import gc
import mmap
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from flairlite.data import Sentence
from flairlite.data.dataset import FlairDataset


class DeferredPart:
    """A stretch of a file: its bytes, until all of its sentences are made.

    Args:
        text: The bytes.
        bounds: First byte, and the one behind the last, of each sentence.
        make: Makes a sentence of its bytes, which must have been checked: an error would come far too late.
        made: Sentences that are made already, by their place.
    """

    def __init__(
        self,
        text: bytes,
        bounds: Sequence[tuple[int, int]],
        make: Callable[[bytes], Sentence],
        made: dict[int, Sentence],
    ) -> None:
        self._text: mmap.mmap | None = mmap.mmap(-1, len(text) or 1)  # memory that goes back when it is let go:
        self._text.write(text)  # a heap keeps what lies between others
        self._bounds, self._make = bounds, make
        self._sentences: list[Sentence | None] = [made.get(place) for place in range(len(bounds))]
        self._missing = len(bounds) - len(made)
        self._lock = threading.Lock()  # two threads that ask at once must get the same object

    def __len__(self) -> int:
        return len(self._sentences)

    def sentence(self, place: int) -> Sentence:
        """Return the sentence at a place."""
        sentence = self._sentences[place]
        if sentence is not None:
            return sentence
        with self._lock:
            return self._made(place)

    def sentences(self) -> Iterator[Sentence]:
        """Return all sentences."""
        if self._missing:
            with self._lock, no_garbage_collection():
                return iter([self._made(place) for place in range(len(self))])
        return iter(self._sentences)  # type: ignore[arg-type]  # none is missing

    def _made(self, place: int) -> Sentence:
        sentence = self._sentences[place]
        if sentence is None:
            assert self._text is not None, "the text is kept until nothing is missing"
            start, stop = self._bounds[place]
            sentence = self._sentences[place] = self._make(self._text[start:stop])
            self._missing -= 1
            if not self._missing:
                self._text = None
        return sentence


class DeferredSentences(FlairDataset):
    """The sentences of a file, made when somebody first asks for them and kept from then on.

    To read a treebank and to take a tenth of it costs a tenth. A copy, and what is pickled, is a list.
    """

    def __init__(self, parts: Iterable[DeferredPart]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place from 0 to one less than the length."""
        number = bisect_right(self._ends, place)
        return self._parts[number].sentence(place - (self._ends[number - 1] if number else 0))

    def __iter__(self) -> Iterator[Sentence]:
        for part in self._parts:
            yield from part.sentences()

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage while many objects are made: it would look through them again and again, for nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
