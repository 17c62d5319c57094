"""Where strings become integers: once for a data set, each distinct string once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.tensors import copy_to, map_tensors

Table = Any  # what an embedding keeps of a data set: a tensor, or tuples of them
NumberArray = np.ndarray[Any, np.dtype[Any]]
_Item = TypeVar("_Item", str, tuple[str, ...])


@dataclass(frozen=True)
class Batch:
    """B sentences, padded to the T words of the longest, as integers.

    Attributes:
        indices: (B,) positions of the sentences in their data set, on the CPU.
        lengths: (B,) words a sentence, at least 1, on the CPU.
        mask: (B, T) True on words.
        positions: (B, T) place of each word in its data set; padding has the place behind the last word.
        word_ids: (B, T) numbers of the distinct words of the data set; padding has the number behind the last.
        table: What the embeddings made of the distinct words.
        targets: Numbers of the labels, -1 where there is none: (B, T) of words, or (B,) of sentences, or (B, L) of 0
            and 1; None when nothing was asked.
        num_labels: How many words, or sentences, have a label that the model knows; counted without asking the device.
        is_partial: Whether some word, or sentence, has no such label.
    """

    indices: Tensor
    lengths: Tensor
    mask: Tensor
    positions: Tensor
    word_ids: Tensor
    table: Table
    targets: Tensor | None
    num_labels: int
    is_partial: bool

    @property
    def num_tokens(self) -> int:
        """Number of words, without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Targets:
    """The gold labels of S sentences with N words, as integers.

    Attributes:
        class_ids: Numbers of the labels, -1 where there is none: (N + 1,) of words, the last being padding's; (S,) of
            sentences, or (S, L) of 0 and 1 where a sentence can have several.
        counts: (S,) how many words of a sentence (1 or 0 where the sentence itself is labelled) have a label that the
            model knows, on the CPU.
        by_word: Whether words are labelled, not sentences.
    """

    class_ids: Tensor
    counts: Tensor
    by_word: bool = True


class Dataset(Protocol):
    """Sentences that can be had in batches."""

    @property
    def lengths(self) -> Tensor:
        """Words a sentence, (S,), on the CPU."""

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences of `indices` (B,), none of them empty, as one batch."""


@dataclass(frozen=True)
class EncodedDataset:
    """S sentences with N words, U of them distinct, as integers.

    Attributes:
        lengths: (S,) words a sentence, on the CPU.
        offsets: (S,) position of each sentence's first word, on the CPU.
        word_ids: (N + 1,) numbers of the distinct words; the last is padding's, U.
        table: What the embeddings made of the distinct words; its last row is padding's.
        targets: Their gold labels, or None.
    """

    lengths: Tensor
    offsets: Tensor
    word_ids: Tensor
    table: Table
    targets: Targets | None = None

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences of `indices` (B,), none of them empty, as one batch: integer gathers only."""
        lengths = self.lengths[indices]  # (B,)
        mask, positions = _places(lengths, self.offsets[indices], len(self.word_ids) - 1)
        positions = copy_to(positions, self.word_ids.device)
        targets, num_labels, num_units = None, 0, 1
        if self.targets is not None:
            by_word = self.targets.by_word
            targets = self.targets.class_ids[positions if by_word else copy_to(indices, self.word_ids.device)]
            num_labels = int(self.targets.counts[indices].sum())
            num_units = int(lengths.sum()) if by_word else len(indices)
        return Batch(
            indices=indices,
            lengths=lengths,
            mask=copy_to(mask, self.word_ids.device),
            positions=positions,
            word_ids=self.word_ids[positions],
            table=self.table,
            targets=targets,
            num_labels=num_labels,
            is_partial=num_labels < num_units,
        )

    def to(self, device: torch.device) -> EncodedDataset:
        """Return the data set with what batches are gathered from on `device`."""
        targets = self.targets and replace(self.targets, class_ids=copy_to(self.targets.class_ids, device))
        table = map_tensors(lambda tensor: copy_to(tensor, device), self.table)
        return replace(self, word_ids=copy_to(self.word_ids, device), targets=targets, table=table)


class LazyDataset:
    """Sentences that become integers a batch at a time, for data sets whose integers would not fit into memory."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        encode: Callable[[Sequence[Sentence]], EncodedDataset],
        lengths: Tensor | None = None,
    ) -> None:
        self.sentences = sentences
        self.lengths = _lengths(sentences) if lengths is None else lengths
        self._ends = self.lengths.cumsum(0)
        self._encode = encode

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences of `indices` (B,), none of them empty, as one batch."""
        encoded = self._encode([self.sentences[index] for index in indices.tolist()])
        batch = encoded.batch(torch.arange(len(indices)))
        _, positions = _places(batch.lengths, self._ends[indices] - batch.lengths, int(self._ends[-1]))
        return replace(batch, indices=indices, positions=positions)


def distinct_words(sentences: Sequence[Sentence]) -> tuple[list[str], NumberArray]:
    """Return the distinct words in the order they come, and the number of each word, (N,) int32."""
    return _number(lambda: chain.from_iterable(sentence.words for sentence in sentences))


def index_words(
    sentences: Sequence[Sentence], index: Callable[..., Table], fields: Sequence[str] = ()
) -> tuple[Table, NumberArray]:
    """Return what embeddings make of the distinct words, and the number of each word, (N,) int32.

    Where embeddings look at token labels too (`fields`), a word with other labels is another distinct word.
    """
    if not fields:
        words, ids = distinct_words(sentences)
        return index(words), ids
    rows, ids = _number(lambda: chain.from_iterable(_rows(sentence, fields) for sentence in sentences))
    columns = list(map(list, zip(*rows, strict=True))) or [[] for _ in ("words", *fields)]
    return index(columns[0], dict(zip(fields, columns[1:], strict=True))), ids


def _rows(sentence: Sentence, fields: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Return each word with its labels, `O` where it has none, as Flair says."""
    labels = (sentence.token_labels(field) or repeat(None, len(sentence.words)) for field in fields)
    return zip(sentence.words, *([label or "O" for label in column] for column in labels), strict=True)


def _number(items: Callable[[], Iterable[_Item]]) -> tuple[list[_Item], NumberArray]:
    distinct = list(dict.fromkeys(items()))
    number = dict(zip(distinct, range(len(distinct)), strict=True))
    return distinct, np.fromiter(map(number.__getitem__, items()), dtype=np.int32)


def encode(
    sentences: Sequence[Sentence],
    index: Callable[..., Table],
    targets: Targets | None = None,
    *,
    fields: Sequence[str] = (),
) -> EncodedDataset:
    """Turn sentences into integers.

    Args:
        sentences: The sentences; empty ones may be among them.
        index: Makes of the distinct words what the embeddings need of them.
        targets: The labels of these sentences, when there is something to learn or to compare with.
        fields: The label types of tokens that `index` wants beside the words.
    """
    lengths = _lengths(sentences)
    table, ids = index_words(sentences, index, fields)
    word_ids = torch.from_numpy(np.append(ids, np.int32(ids.max(initial=-1) + 1)))
    return EncodedDataset(lengths, lengths.cumsum(0) - lengths, word_ids, table, targets)


def _lengths(sentences: Sequence[Sentence]) -> Tensor:
    return torch.tensor([len(sentence.words) for sentence in sentences], dtype=torch.int64)


def _places(lengths: Tensor, offsets: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    """Return the mask (B, T) and the place of each word (B, T) of sentences that begin at `offsets` (B,)."""
    steps = torch.arange(int(lengths.max()))  # (T,)
    mask = steps < lengths.unsqueeze(1)  # (B, T)
    return mask, (offsets.unsqueeze(1) + steps).masked_fill(~mask, padding)
