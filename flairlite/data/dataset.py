"""Sequences of sentences that need not lie in memory: parts of others, and several put one behind the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import SupportsIndex, overload

from flairlite.data.sentence import Sentence
from flairlite.errors import SettingError


class FlairDataset(Sequence[Sentence]):
    """Sentences that can be counted and had by their place.

    A subclass has `__len__` and `sentence_at`, or `__getitem__` as with Flair. A sentence that is not in memory is made
    anew each time, so what is written onto it is not kept.
    """

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time."""
        return True

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place from 0 to one less than the length."""
        raise NotImplementedError(f"{type(self).__name__} has neither sentence_at nor __getitem__")

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sentence: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sentence]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Sentence | list[Sentence]:
        places = range(len(self))[index]
        return self.sentence_at(places) if isinstance(places, int) else [self.sentence_at(place) for place in places]

    def __iter__(self) -> Iterator[Sentence]:
        return (self[place] for place in range(len(self)))

    def __add__(self, other: Sequence[Sentence]) -> ConcatDataset:
        return ConcatDataset([self, other])

    def __radd__(self, other: Sequence[Sentence]) -> ConcatDataset:
        return ConcatDataset([other, self])

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self):,} sentences"


class Subset(FlairDataset):
    """The sentences of another sequence at some places."""

    def __init__(self, dataset: Sequence[Sentence], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time."""
        return is_in_memory(self.dataset)

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place."""
        return self.dataset[self.indices[place]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(FlairDataset):
    """Several sequences of sentences, one behind the other.

    Args:
        datasets: The sequences.
        ids: A name for each, that its sentences get as their label of the type `multitask_id`; None for no such label.
    """

    def __init__(self, datasets: Sequence[Sequence[Sentence]], ids: Sequence[str] | None = None) -> None:
        if ids is not None and len(ids) != len(datasets):
            raise SettingError(f"ids must be one a dataset, {len(datasets)}, but there are {len(ids)}")
        self.datasets, self.ids = list(datasets), ids
        self._ends = list(accumulate(map(len, self.datasets)))

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time."""
        return all(map(is_in_memory, self.datasets))

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place, with the name of its data set where there are names."""
        number = bisect_right(self._ends, place)
        sentence = self.datasets[number][place - (self._ends[number - 1] if number else 0)]
        return sentence if self.ids is None else sentence.set_label("multitask_id", self.ids[number])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0


def is_in_memory(sentences: Sequence[Sentence]) -> bool:
    """Tell whether the same place gives the same sentence each time, as in a list."""
    return not isinstance(sentences, FlairDataset) or sentences.is_in_memory()


def chosen(sentences: Sequence[Sentence], places: Sequence[int]) -> Sequence[Sentence]:
    """Return the sentences at some places: a list, or where they are not in memory something that leaves them there."""
    return [sentences[place] for place in places] if is_in_memory(sentences) else Subset(sentences, places)


def joined(parts: Sequence[Sequence[Sentence]]) -> Sequence[Sentence]:
    """Return all sentences, one part behind the other, as `chosen` does."""
    if all(map(is_in_memory, parts)):
        return [sentence for part in parts for sentence in part]
    return ConcatDataset(parts)
