"""Convert sentences to integers: once per data set, each distinct word once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice, repeat
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from flairlite.data import Sentence
from flairlite.tensors import copy_to, map_tensors

Table = Any  # what an embedding keeps of the distinct words of a data set: a tensor, or tuples of tensors
Ids = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class ContextWindow:
    """How many words of the sentences before and after a sentence are read with it.

    Attributes:
        length: The largest number of words, C, on each side.
        respect_document_boundaries: Whether to stop at a sentence that marks the start of a document.
    """

    length: int
    respect_document_boundaries: bool = True


@dataclass(frozen=True)
class Batch:
    """B sentences as integers, padded to the T words of the longest.

    Attributes:
        indices: (B,) positions of the sentences in their data set, on the CPU.
        lengths: (B,) words per sentence, at least 1, on the CPU.
        mask: (B, T) True on words.
        positions: (B, T) position of each word in its data set of N words; N on padding.
        word_ids: (B, T) ids of the U distinct words of the data set; U on padding.
        table: What the embeddings keep of the distinct words.
        targets: Label ids, -1 for none: (B, T) of words, (B,) of sentences, or (B, L) of 0 and 1 where a sentence can
            have several; None if the data set was encoded without labels.
        num_labels: Number of words, or sentences, with a label that the model knows; counted on the CPU.
        is_partial: Whether some word, or sentence, has no such label.
        context: (B, 2 C) ids of up to C words before each sentence and, from column C on, of up to C words after it; U
            for none. None if the data set was encoded without context.
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
    context: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """The number of words, without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Targets:
    """The gold labels of S sentences with N words, as integers.

    Attributes:
        class_ids: Class ids, -1 for none: (N + 1,) of words, the last for padding; (S,) of sentences, or (S, L) of 0
            and 1 where a sentence can have several labels.
        counts: (S,) number of labels in each sentence that the model knows, on the CPU; 0 or 1 where sentences are
            labelled.
        by_word: Whether words are labelled, not sentences.
    """

    class_ids: Tensor
    counts: Tensor
    by_word: bool = True

    @classmethod
    def join(cls, parts: Sequence[Targets]) -> Targets:
        """Join the targets of the parts of a data set, in their order; later parts may have further labels."""
        by_word, class_ids = parts[0].by_word, [part.class_ids for part in parts]
        if by_word:
            class_ids = [*(ids[:-1] for ids in class_ids), class_ids[0][-1:]]  # padding comes last
        elif class_ids[0].dim() == 2:
            class_ids = [pad(table, (0, class_ids[-1].shape[1] - table.shape[1])) for table in class_ids]
        return cls(torch.cat(class_ids), torch.cat([part.counts for part in parts]), by_word)


class Dataset(Protocol):
    """Sentences that can be encoded in batches."""

    @property
    def lengths(self) -> Tensor:
        """Words per sentence, (S,), on the CPU."""

    @property
    def sizes(self) -> Tensor:
        """How much the embeddings read of each sentence, (S,), on the CPU: sentences of one size make a batch."""

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences at `indices` (B,), none of them empty, as one batch."""


@dataclass(frozen=True)
class EncodedDataset:
    """S sentences with N words, U of them distinct, as integers.

    Attributes:
        lengths: (S,) words per sentence, on the CPU.
        offsets: (S,) position of each sentence's first word, on the CPU.
        word_ids: (N + 1,) ids of the distinct words; the last is U, for padding.
        table: What the embeddings keep of the distinct words; the last row is for padding.
        targets: Gold labels, or None.
        context: (S, 2 C) ids of the words before and after each sentence, or None; see `Batch.context`.
        subwords: (S,) subwords of each sentence if the embeddings read these, or None.
    """

    lengths: Tensor
    offsets: Tensor
    word_ids: Tensor
    table: Table
    targets: Targets | None = None
    context: Tensor | None = None
    subwords: Tensor | None = None

    @property
    def sizes(self) -> Tensor:
        """Subwords per sentence or else words, (S,), on the CPU."""
        return self.lengths if self.subwords is None else self.subwords

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences at `indices` (B,), none of them empty, as one batch, by integer gathers only."""
        lengths = self.lengths[indices]  # (B,)
        mask, positions = _pad_positions(lengths, self.offsets[indices], len(self.word_ids) - 1)
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
            context=None if self.context is None else self.context[copy_to(indices, self.context.device)],
        )

    def to(self, device: torch.device) -> EncodedDataset:
        """Return the data set with the tensors that batches are gathered from on `device`."""
        targets = self.targets and replace(self.targets, class_ids=copy_to(self.targets.class_ids, device))
        table = map_tensors(lambda tensor: copy_to(tensor, device), self.table)
        context = None if self.context is None else copy_to(self.context, device)
        return replace(self, word_ids=copy_to(self.word_ids, device), targets=targets, table=table, context=context)


class LazyDataset:
    """Sentences that are encoded batch by batch, for data sets that do not fit into memory once encoded.

    Args:
        sentences: The sentences.
        encode: Encodes the sentences of a batch.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        encode: Callable[[Sequence[Sentence]], EncodedDataset],
        lengths: Tensor | None = None,
    ) -> None:
        self.sentences = sentences
        self.lengths = count_words(sentences) if lengths is None else lengths
        self._ends = self.lengths.cumsum(0)
        self._encode = encode

    @property
    def sizes(self) -> Tensor:
        """Words per sentence, (S,)."""
        return self.lengths

    def batch(self, indices: Tensor) -> Batch:
        """Return the sentences at `indices` (B,), none of them empty, as one batch."""
        encoded = self._encode([self.sentences[index] for index in indices.tolist()])
        batch = encoded.batch(torch.arange(len(indices)))
        _, positions = _pad_positions(batch.lengths, self._ends[indices] - batch.lengths, int(self._ends[-1]))
        return replace(batch, indices=indices, positions=positions)


class Encoder:
    """Converts sentences to integers in parts, so that they need not be in memory at once.

    Args:
        fields: Label types of tokens that the embeddings read besides the words. Words with different labels of these
            types are distinct.
        context: The words of neighbouring sentences that the embeddings read, or None.
    """

    def __init__(self, fields: Sequence[str] = (), context: ContextWindow | None = None) -> None:
        self._fields, self._context = tuple(fields), context
        self._context_ids: list[Ids] = []
        self._id_of: defaultdict[Any, int] = defaultdict(count().__next__)  # distinct words in order of occurrence
        self._ids: list[Ids] = []
        self._lengths: list[Tensor] = []

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Add the next sentences of the data set."""
        words: Iterable[Any] = chain.from_iterable(map(self._items, sentences))
        self._ids.append(np.fromiter(map(self._id_of.__getitem__, words), dtype=np.int32))
        self._lengths.append(count_words(sentences))
        if self._context is not None:
            rows = [self._read_context(sentence, self._context) for sentence in sentences]
            self._context_ids.append(np.array(rows, dtype=np.int32).reshape(len(rows), -1))

    def _items(self, sentence: Sentence) -> Iterable[Any]:
        """Return what is distinct or equal in a sentence: words, or words with their labels."""
        return self._rows(sentence) if self._fields else sentence.words

    def _read_context(self, sentence: Sentence, window: ContextWindow) -> Ids:
        """Return the ids of the words before and after a sentence, (2 C,), -1 for none."""
        found = np.full((2, window.length), -1, dtype=np.int32)
        for row, step in enumerate((-1, 1)):
            neighbours = sentence.neighbours(step, window.respect_document_boundaries)
            nearest = islice(chain.from_iterable(list(self._items(item))[::step] for item in neighbours), window.length)
            ids = [self._id_of[item] for item in nearest][::step]
            found[row, : len(ids)] = ids
        return found.ravel()

    def _rows(self, sentence: Sentence) -> Iterable[tuple[str, ...]]:
        """Return each word with its labels, `O` for none as in Flair."""
        labels = (sentence.token_labels(field) or repeat(None, len(sentence.words)) for field in self._fields)
        return zip(sentence.words, *([label or "O" for label in column] for column in labels), strict=True)

    def words(self) -> list[str]:
        """Return the N words."""
        distinct = [row[0] if self._fields else row for row in self._id_of]
        return [distinct[index] for ids in self._ids for index in ids.tolist()]

    def encode(self, index: Callable[..., Table], targets: Targets | None = None) -> EncodedDataset:
        """Return the sentences as integers; see the function `encode`."""
        distinct = list(self._id_of)
        if self._fields:
            words, *columns = map(list, zip(*distinct, strict=True)) if distinct else ([] for _ in ("", *self._fields))
            table = index(words, dict(zip(self._fields, columns, strict=True)))
        else:
            table = index(distinct)
        word_ids = np.concatenate([*self._ids, np.array([len(distinct)], dtype=np.int32)])
        lengths = torch.cat(self._lengths)
        context = None
        if self._context is not None:
            rows = np.concatenate([np.zeros((0, 2 * self._context.length), np.int32), *filter(len, self._context_ids)])
            context = torch.from_numpy(np.where(rows < 0, len(distinct), rows).astype(np.int32))
        return EncodedDataset(lengths, lengths.cumsum(0) - lengths, torch.from_numpy(word_ids), table, targets, context)


def encode(
    sentences: Sequence[Sentence],
    index: Callable[..., Table],
    targets: Targets | None = None,
    *,
    fields: Sequence[str] = (),
    context: ContextWindow | None = None,
) -> EncodedDataset:
    """Convert sentences to integers.

    Args:
        sentences: The sentences, which may be empty.
        index: Makes the embeddings' table from the distinct words.
        targets: The labels of these sentences, to learn or to compare with.
        fields: Label types of tokens that `index` takes besides the words.
        context: The words of neighbouring sentences to encode with each sentence, or None.
    """
    encoder = Encoder(fields, context)
    encoder.add(sentences)
    return encoder.encode(index, targets)


def count_words(sentences: Sequence[Sentence]) -> Tensor:
    """Return the number of words of each sentence, (S,)."""
    return torch.tensor([len(sentence.words) for sentence in sentences], dtype=torch.int64)


def _pad_positions(lengths: Tensor, offsets: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    """Return the mask and the positions of words, (B, T) each, of sentences whose first words are at `offsets` (B,)."""
    steps = torch.arange(int(lengths.max()))  # (T,)
    mask = steps < lengths.unsqueeze(1)  # (B, T)
    return mask, (offsets.unsqueeze(1) + steps).masked_fill(~mask, padding)
