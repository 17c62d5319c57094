"""Sequences of sentences that need not be in memory: selections and concatenations of other sequences."""

from __future__ import annotations

import copy
import logging
import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, SupportsIndex, overload

from flairlite.data.sentence import Sentence
from flairlite.errors import SettingError

log = logging.getLogger("flairlite")


class FlairDataset(Sequence[Sentence]):
    """A sequence of sentences.

    A subclass defines `__len__`, and either `sentence_at` or, as in Flair, `__getitem__`. A dataset that is not in
    memory makes a new sentence at each access, so changes of its sentences are lost.
    """

    def is_in_memory(self) -> bool:
        """Tell whether the same index always returns the same object."""
        return True

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index of 0 or more."""
        raise NotImplementedError(f"{type(self).__name__} has neither sentence_at nor __getitem__")

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sentence: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sentence]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Sentence | list[Sentence]:
        selected = range(len(self))[index]
        return self._get(selected) if isinstance(selected, int) else list(map(self._get, selected))

    def _get(self, index: int) -> Sentence:
        sentence = self.sentence_at(index)
        if not isinstance(sentence, Sentence):
            raise SettingError(f"{type(self).__name__}.sentence_at must return a Sentence, not {sentence!r:.60}")
        return sentence

    def __iter__(self) -> Iterator[Sentence]:
        return (self[index] for index in range(len(self)))

    def __add__(self, other: Sequence[Sentence]) -> ConcatDataset:
        return ConcatDataset([self, other])

    def __radd__(self, other: Sequence[Sentence]) -> ConcatDataset:
        return ConcatDataset([other, self])

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self):,} sentences"


class Subset(FlairDataset):
    """The sentences of another sequence at some indices."""

    def __init__(self, dataset: Sequence[Sentence], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def is_in_memory(self) -> bool:
        """Tell whether the same index always returns the same object."""
        return is_in_memory(self.dataset)

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index."""
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(FlairDataset):
    """Several sequences of sentences, one after the other.

    Args:
        datasets: The sequences.
        ids: A name for each sequence. Its sentences have the name as their label of type `multitask_id`; for this, they
            are copies, which share the words with the sentences of `datasets`. None for no names.
    """

    def __init__(self, datasets: Sequence[Sequence[Sentence]], ids: Sequence[str] | None = None) -> None:
        if ids is not None and len(ids) != len(datasets):
            raise SettingError(f"ids must be one a dataset, {len(datasets)}, but there are {len(ids)}")
        if isinstance(datasets, (str, bytes)) or not all(hasattr(part, "__len__") for part in datasets):
            raise SettingError(f"a ConcatDataset is made of a list of datasets or lists, not of {datasets!r:.60}")
        self.datasets, self.ids = list(datasets), ids
        self._ends = list(accumulate(map(len, self.datasets)))
        self._copies: dict[int, Sentence] = {}  # of sentences in memory, so that an index always has the same object

    def is_in_memory(self) -> bool:
        """Tell whether the same index always returns the same object."""
        return all(map(is_in_memory, self.datasets))

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index."""
        if (known := self._copies.get(index)) is not None:
            return known
        part = bisect_right(self._ends, index)
        dataset = self.datasets[part]
        sentence = dataset[index - (self._ends[part - 1] if part else 0)]
        if self.ids is None:
            return sentence
        if not is_in_memory(dataset):
            return sentence.set_label("multitask_id", self.ids[part])
        twin = copy.copy(sentence).set_label("multitask_id", self.ids[part])
        if sentence.is_context_set():
            twin.copy_context_from_sentence(sentence)
        return self._copies.setdefault(index, twin)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0


def check_iterators(splits: Mapping[str, Any]) -> None:
    """Check that no iterator is given for two splits: nothing would be left for the second.

    Raises:
        SettingError: If one is.
    """
    names: dict[int, str] = {}
    for name, split in splits.items():
        if isinstance(split, Iterator) and (first := names.setdefault(id(split), name)) != name:
            raise SettingError(f"one iterator is given for {first} and for {name}: make it a list, list(...)")


def read_once(name: str, split: Iterable[Any]) -> list[Any]:
    """Return a split as a list, with a warning if it is an iterator that has nothing left."""
    listed = list(split)
    if not listed and isinstance(split, Iterator):
        log.warning("The %s split is empty: it is an iterator, which can be read only once. Give a list", name)
    return listed


def is_in_memory(sentences: Sequence[Sentence]) -> bool:
    """Tell whether the same index always returns the same object, as in a list."""
    return not isinstance(sentences, FlairDataset) or sentences.is_in_memory()


def select(sentences: Sequence[Sentence], indices: Sequence[int]) -> Sequence[Sentence]:
    """Return the sentences at some indices: as a list, or as a `Subset` if they are not in memory."""
    return [sentences[index] for index in indices] if is_in_memory(sentences) else Subset(sentences, indices)


def concatenate(parts: Sequence[Sequence[Sentence]]) -> Sequence[Sentence]:
    """Return all sentences: as a list, or as a `ConcatDataset` if some are not in memory."""
    if all(map(is_in_memory, parts)):
        return [sentence for part in parts for sentence in part]
    return ConcatDataset(parts)


def check_split(name: str, sentences: Any) -> Sequence[Sentence] | None:
    """Return a split; an iterator or a dataset of torch becomes a list, and the sentences of a list are checked.

    Raises:
        SettingError: If the split is not a sequence of sentences.
    """
    if sentences is None or isinstance(sentences, FlairDataset):
        return sentences
    is_indexed = hasattr(sentences, "__getitem__") and hasattr(sentences, "__len__")  # as torch's datasets
    is_other = isinstance(sentences, (str, bytes, Sentence, Mapping))
    if is_other or not (is_indexed or isinstance(sentences, Iterable)):
        raise SettingError(
            f"the {name} split must be a list of sentences, not {sentences!r:.60} ({type(sentences).__name__}). "
            "Files are read by ColumnCorpus, ClassificationCorpus, CSVClassificationCorpus and JsonlCorpus"
        )
    split: Sequence[Any] = sentences if isinstance(sentences, Sequence) else read_once(name, sentences)
    if isinstance(split, (list, tuple)):
        for index, sentence in enumerate(split):
            if not isinstance(sentence, Sentence):
                raise SettingError(
                    f"the {name} split must be a list of sentences, but element {index} is {sentence!r:.60} "
                    f"({type(sentence).__name__}): make it one with Sentence(text), or use Corpus.from_examples"
                )
    return split


def draw(count: int, size: int, seed: int) -> list[int]:
    """Return `size` indices below `count`, drawn at random, in ascending order."""
    return sorted(random.Random(seed).sample(range(count), size))
