"""Convert sentences to integers: once per data set, each distinct word once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from flairlite.data import Sentence
from flairlite.prediction.words import DistinctWords
from flairlite.tensors import copy_to, map_tensors

Shape = tuple[int, int]  # sentences, words
Table = Any  # what an embedding keeps of the distinct words of a data set: a tensor, or tuples of tensors
Ids = np.ndarray[Any, np.dtype[np.int32]]
Variants = Sequence[Callable[[str], str]]  # functions that make a variant of a word, such as `str.lower`


@dataclass(frozen=True)
class BatchTargets:
    """The labels of one type in a batch.

    Attributes:
        class_ids: Label ids, -1 for none: (B, T) of words, (B,) of sentences, or (B, L) of 0 and 1 where a sentence can
            have several.
        num_labels: Number of words, or sentences, with a label that the model knows; counted on the CPU.
        is_partial: Whether some word, or sentence, has no such label.
        soft: The distributions of words, with tables (B, T, C); None if no sentence of the batch has one.
    """

    class_ids: Tensor
    num_labels: int
    is_partial: bool
    soft: SoftTargets | None = None


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
        labels: The targets of each label type, the main one first; empty if the data set was encoded without labels.
        num_labels: Number of words, or sentences, that a loss is summed over, counted on the CPU: those with a label
            that the model knows, or with a distribution. With several label types, each sentence counts with the type
            of which it has the most.
        context: (B, 2 C) ids of up to C words before each sentence and, from column C on, of up to C words after it; U
            for none. C is the largest number of these in the data set. None if it was encoded without context.
        inputs: The inputs of the embeddings on the model's device, where they are selected already; None elsewhere.
    """

    indices: Tensor
    lengths: Tensor
    mask: Tensor
    positions: Tensor
    word_ids: Tensor
    table: Table
    labels: tuple[BatchTargets, ...]
    num_labels: int
    context: Tensor | None = None
    inputs: Any = None

    @property
    def targets(self) -> Tensor | None:
        """The label ids of the main type; see `BatchTargets.class_ids`. None without labels."""
        return self.labels[0].class_ids if self.labels else None

    @property
    def is_partial(self) -> bool:
        """Whether some word, or sentence, has no label of the main type that the model knows."""
        return not self.labels or self.labels[0].is_partial

    @property
    def num_tokens(self) -> int:
        """The number of words, without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class SoftTargets:
    """Distributions over the classes of a model for the words of S sentences: the C most probable classes of each word.

    Attributes:
        class_ids: (N + 1, C) ids of classes; the last row is for padding.
        probabilities: (N + 1, C) their probabilities, float16; 0 in unused entries and for words without distribution.
        counts: (S,) number of words in each sentence that have a distribution, on the CPU.
    """

    class_ids: Tensor
    probabilities: Tensor
    counts: Tensor

    @classmethod
    def join(cls, parts: Sequence[SoftTargets]) -> SoftTargets:
        """Join the distributions of the parts of a data set, in their order."""
        size = max(part.class_ids.shape[1] for part in parts)
        ids, probabilities = (
            [pad(table, (0, size - table.shape[1])) for table in tables]
            for tables in ([part.class_ids for part in parts], [part.probabilities for part in parts])
        )
        return cls(_join_words(ids), _join_words(probabilities), torch.cat([part.counts for part in parts]))

    def gather(self, indices: Tensor, positions: Tensor) -> SoftTargets | None:
        """Return the distributions of words at `positions` (B, T) in sentences at `indices` (B,); None without any."""
        counts = self.counts[indices]
        return SoftTargets(self.class_ids[positions], self.probabilities[positions], counts) if counts.any() else None

    def to(self, device: torch.device) -> SoftTargets:
        """Return the distributions with their tables on `device`."""
        return replace(
            self, class_ids=copy_to(self.class_ids, device), probabilities=copy_to(self.probabilities, device)
        )


@dataclass(frozen=True)
class Targets:
    """The gold labels of S sentences with N words, as integers.

    Attributes:
        class_ids: Class ids, -1 for none: (N + 1,) of words, the last for padding; (S,) of sentences, or (S, L) of 0
            and 1 where a sentence can have several labels.
        counts: (S,) number of labels in each sentence that the model knows, on the CPU; 0 or 1 where sentences are
            labelled.
        by_word: Whether words are labelled, not sentences.
        soft: Distributions to learn besides the labels, or None.
        others: The targets of further label types.
    """

    class_ids: Tensor
    counts: Tensor
    by_word: bool = True
    soft: SoftTargets | None = None
    others: tuple[Targets, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[Targets]) -> Targets:
        """Join the targets of the parts of a data set, in their order; later parts may have further labels."""
        by_word, class_ids = parts[0].by_word, [part.class_ids for part in parts]
        if not by_word and class_ids[0].dim() == 2:
            class_ids = [pad(table, (0, class_ids[-1].shape[1] - table.shape[1])) for table in class_ids]
        soft = [part.soft for part in parts if part.soft is not None]  # of all parts, or of none
        return cls(
            _join_words(class_ids) if by_word else torch.cat(class_ids),
            torch.cat([part.counts for part in parts]),
            by_word,
            SoftTargets.join(soft) if soft else None,
            tuple(map(cls.join, zip(*(part.others for part in parts), strict=True))),
        )

    def gather(self, indices: Tensor, positions: Tensor, num_words: int) -> BatchTargets:
        """Return the targets of a batch.

        Args:
            indices: (B,) positions of its sentences, on the CPU.
            positions: (B, T) positions of its words.
            num_words: The number of its words.
        """
        num_labels = int(self.counts[indices].sum())
        return BatchTargets(
            self.class_ids[positions if self.by_word else copy_to(indices, self.class_ids.device)],
            num_labels,
            num_labels < (num_words if self.by_word else len(indices)),
            None if self.soft is None else self.soft.gather(indices, positions),
        )

    @property
    def types(self) -> tuple[Targets, ...]:
        """The targets of all label types, the main one first."""
        return (self, *self.others)

    def count_units(self, indices: Tensor) -> int:
        """Return the number of words, or sentences, of a batch that a loss is summed over; see `Batch.num_labels`."""
        parts = self.types
        counts = [part.counts[indices] for part in parts]
        counts += [part.soft.counts[indices] for part in parts if part.soft is not None]
        return int((counts[0] if len(counts) == 1 else torch.stack(counts).amax(0)).sum())

    def vary(self, variation: Variation) -> Targets:
        """Return the targets with the counts of sentences that have lost their last words."""
        first, *others = (
            replace(
                part,
                counts=part.counts - num_labels,
                soft=part.soft and replace(part.soft, counts=part.soft.counts - num_soft),
            )
            for part, num_labels, num_soft in zip(
                self.types, variation.num_dropped_labels, variation.num_dropped_soft, strict=True
            )
        )
        return replace(first, others=tuple(others))

    def to(self, device: torch.device) -> Targets:
        """Return the targets with the tables that batches are gathered from on `device`."""
        return replace(
            self,
            class_ids=copy_to(self.class_ids, device),
            soft=self.soft and self.soft.to(device),
            others=tuple(part.to(device) for part in self.others),
        )


def _join_words(tables: Sequence[Tensor]) -> Tensor:
    """Join tables of words, (N + 1, ...) each, whose last row is for padding."""
    return torch.cat([*(table[:-1] for table in tables), tables[0][-1:]])


@dataclass(frozen=True)
class Variation:
    """How sentences differ from those that were encoded; all tensors are on the CPU.

    Attributes:
        variants: (S,) which variant of its words a sentence has, from 1; 0 for the words as they are.
        num_dropped: (S,) words left out at the end of a sentence, less than it has.
        num_dropped_labels: (P, S) labels of these that the model knows, of P label types; 0 where sentences are
            labelled.
        num_dropped_soft: (P, S) distributions of these words.
    """

    variants: Tensor
    num_dropped: Tensor
    num_dropped_labels: Tensor
    num_dropped_soft: Tensor

    def of(self, indices: Tensor) -> Variation:
        """Return the variation of the sentences at `indices` (B,)."""
        counts = (self.num_dropped_labels[:, indices], self.num_dropped_soft[:, indices])
        return Variation(self.variants[indices], self.num_dropped[indices], *counts)


class Dataset(Protocol):
    """Sentences that can be encoded in batches."""

    @property
    def lengths(self) -> Tensor:
        """Words per sentence, (S,), on the CPU."""

    @property
    def sizes(self) -> Tensor:
        """How much the embeddings read of each sentence, (S,), on the CPU: sentences of one size make a batch."""

    def batch(self, indices: Tensor, shape: Shape | None = None) -> Batch:
        """Return the sentences at `indices` (B,), none of them empty, as one batch.

        Args:
            indices: The positions of the sentences.
            shape: Sentences and words of the batch, where it must be larger than its sentences are: with more padding,
                and with further sentences of one word of padding without a label, which teach nothing. Only for labels
                of words, and without context.
        """

    def vary(self, variation: Variation) -> Dataset:
        """Return the data set with other words, or without the last words, of some sentences."""


@dataclass(frozen=True)
class EncodedDataset:
    """S sentences with N words, U of them distinct, as integers.

    Attributes:
        lengths: (S,) words per sentence, on the CPU.
        offsets: (S,) position of each sentence's first word, on the CPU.
        word_ids: (N + 1,) ids of the distinct words; the last is U, for padding.
        table: What the embeddings keep of the distinct words; the last row is for padding.
        targets: Gold labels, or None.
        variants: (V + 1, U + 1) ids of the distinct words themselves, and of V variants of each; None without variants.
        context: (S, 2 C) ids of the words before and after each sentence, or None; see `Batch.context`.
        subwords: (S,) subwords of each sentence if the embeddings read these, or None.
    """

    lengths: Tensor
    offsets: Tensor
    word_ids: Tensor
    table: Table
    targets: Targets | None = None
    variants: Tensor | None = None
    context: Tensor | None = None
    subwords: Tensor | None = None

    @property
    def sizes(self) -> Tensor:
        """Subwords per sentence or else words, (S,), on the CPU."""
        return self.lengths if self.subwords is None else self.subwords

    def batch(self, indices: Tensor, shape: Shape | None = None) -> Batch:
        """Return the sentences at `indices` as one batch, by integer gathers only; see `Dataset.batch`."""
        lengths = self.lengths[indices]  # (B,)
        mask, positions = _pad_positions(lengths, self.offsets[indices], len(self.word_ids) - 1, shape)
        positions = copy_to(positions, self.word_ids.device)
        labels: tuple[BatchTargets, ...] = ()
        num_labels = 0
        if self.targets is not None:
            num_words = int(lengths.sum()) + (shape is not None)  # the sentences that are added have no labels
            labels = tuple(part.gather(indices, positions, num_words) for part in self.targets.types)
            is_plain = len(labels) == 1 and labels[0].soft is None
            num_labels = labels[0].num_labels if is_plain else self.targets.count_units(indices)
        return Batch(
            indices=indices,
            lengths=lengths if shape is None else pad(lengths, (0, shape[0] - len(lengths)), value=1),
            mask=copy_to(mask, self.word_ids.device),
            positions=positions,
            word_ids=self.word_ids[positions],
            table=self.table,
            labels=labels,
            num_labels=num_labels,
            context=None if self.context is None else self.context[copy_to(indices, self.context.device)],
        )

    def vary(self, variation: Variation) -> EncodedDataset:
        """Return the data set with other words, or without the last words, of some sentences, by integer gathers."""
        word_ids, targets = self.word_ids, self.targets
        if self.variants is not None:
            of_words = pad(variation.variants.repeat_interleave(self.lengths), (0, 1))  # (N + 1,)
            word_ids = self.variants[copy_to(of_words, word_ids.device), word_ids.long()]
        if targets is not None:
            targets = targets.vary(variation)
        return replace(self, lengths=self.lengths - variation.num_dropped, word_ids=word_ids, targets=targets)

    def to(self, device: torch.device) -> EncodedDataset:
        """Return the data set with the tensors that batches are gathered from on `device`."""
        targets = self.targets and self.targets.to(device)
        table = map_tensors(lambda tensor: copy_to(tensor, device), self.table)
        variants, context = (None if ids is None else copy_to(ids, device) for ids in (self.variants, self.context))
        return replace(
            self,
            word_ids=copy_to(self.word_ids, device),
            targets=targets,
            table=table,
            variants=variants,
            context=context,
        )


class LazyDataset:
    """Sentences that are encoded batch by batch, for data sets that do not fit into memory once encoded.

    Args:
        sentences: The sentences.
        encode: Encodes the sentences of a batch.
        lengths: (S,) words per sentence; counted if None.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        encode: Callable[[Sequence[Sentence]], EncodedDataset],
        lengths: Tensor | None = None,
    ) -> None:
        self.sentences = sentences
        self.lengths = count_words(sentences) if lengths is None else lengths
        self._offsets = self.lengths.cumsum(0) - self.lengths
        self._num_words = int(self.lengths.sum())
        self._encode = encode
        self._variation: Variation | None = None

    @property
    def sizes(self) -> Tensor:
        """Words per sentence, (S,)."""
        return self.lengths

    def batch(self, indices: Tensor, shape: Shape | None = None) -> Batch:
        """Return the sentences at `indices` as one batch; see `Dataset.batch`."""
        encoded = self._encode([self.sentences[index] for index in indices.tolist()])
        if self._variation is not None:
            encoded = encoded.vary(self._variation.of(indices))
        batch = encoded.batch(torch.arange(len(indices)), shape)
        _, positions = _pad_positions(encoded.lengths, self._offsets[indices], self._num_words, shape)
        return replace(batch, indices=indices, positions=positions)

    def parts(self, size: int = 1024) -> Iterator[EncodedDataset]:
        """Yield all sentences in their order, `size` of them at a time."""
        for start in range(0, len(self.lengths), size):
            indices = range(start, min(start + size, len(self.lengths)))
            encoded = self._encode([self.sentences[index] for index in indices])
            variation = self._variation
            yield encoded if variation is None else encoded.vary(variation.of(torch.tensor(indices)))

    def vary(self, variation: Variation) -> LazyDataset:
        """Return the data set with other words, or without the last words, of some sentences."""
        varied = copy.copy(self)
        varied.lengths, varied._variation = self.lengths - variation.num_dropped, variation
        return varied


class Encoder:
    """Converts sentences to integers in parts, so that they need not be in memory at once.

    Args:
        fields: Label types of tokens that the embeddings read besides the words. Words with different labels of these
            types are distinct.
        variants: Functions that make variants of words, which `EncodedDataset.vary` chooses from.
        context: The words of neighbouring sentences that the embeddings read, or None.
    """

    def __init__(
        self, fields: Sequence[str] = (), variants: Variants = (), context: ContextWindow | None = None
    ) -> None:
        self._fields, self._variants, self._context = tuple(fields), variants, context
        self._distinct = DistinctWords(fields)
        self._context_ids: list[Ids] = []
        self._ids: list[Ids] = []
        self._lengths: list[Tensor] = []

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Add the next sentences of the data set."""
        self._ids.append(self._distinct.add(sentences))
        self._lengths.append(count_words(sentences))
        if self._context is not None:
            window = self._context
            rows = self._distinct.add_context(sentences, window.length, window.respect_document_boundaries)
            self._context_ids.append(rows)

    def words(self) -> list[str]:
        """Return the N words."""
        distinct = list(self._distinct)
        return [distinct[index] for ids in self._ids for index in ids.tolist()]

    def encode(self, index: Callable[..., Table], targets: Targets | None = None) -> EncodedDataset:
        """Return the sentences as integers; see the function `encode`."""
        variants = self._encode_variants() if self._variants else None
        words, columns = self._distinct.columns()
        table = index(words, columns) if self._fields else index(words)
        word_ids = np.concatenate([*self._ids, np.array([len(words)], dtype=np.int32)])
        lengths = torch.cat(self._lengths)
        offsets = lengths.cumsum(0) - lengths
        context = None
        if self._context is not None:
            width = max([1, *(rows.shape[2] for rows in self._context_ids)])
            parts = [
                np.pad(rows, ((0, 0), (0, 0), (0, width - rows.shape[2])), constant_values=-1)
                for rows in self._context_ids
            ]
            rows = np.concatenate([np.zeros((0, 2, width), np.int32), *parts]).reshape(-1, 2 * width)
            context = torch.from_numpy(np.where(rows < 0, len(words), rows).astype(np.int32))
        return EncodedDataset(lengths, offsets, torch.from_numpy(word_ids), table, targets, variants, context)

    def _encode_variants(self) -> Tensor:
        """Add the variants of the distinct words so far to these, and return their ids, (V + 1, U + 1)."""
        num_words = len(self._distinct)
        ids = [self._distinct.add_variants(function, num_words) for function in self._variants]  # V times (U,)
        table = torch.arange(len(self._distinct) + 1, dtype=torch.int32).repeat(len(ids) + 1, 1)  # (V + 1, U + 1)
        table[1:, :num_words] = torch.from_numpy(np.stack(ids))
        return table


def encode(
    sentences: Sequence[Sentence],
    index: Callable[..., Table],
    targets: Targets | None = None,
    *,
    fields: Sequence[str] = (),
    variants: Variants = (),
    context: ContextWindow | None = None,
) -> EncodedDataset:
    """Convert sentences to integers.

    Args:
        sentences: The sentences, which may be empty.
        index: Makes the embeddings' table from the distinct words.
        targets: The labels of these sentences, to learn or to compare with.
        fields: Label types of tokens that `index` takes besides the words.
        variants: Functions that make a variant of a word; see `Encoder`.
        context: The words of neighbouring sentences to encode with each sentence, or None.
    """
    encoder = Encoder(fields, variants, context)
    encoder.add(sentences)
    return encoder.encode(index, targets)


def count_words(sentences: Sequence[Sentence]) -> Tensor:
    """Return the number of words of each sentence, (S,)."""
    return torch.tensor([len(sentence.words) for sentence in sentences], dtype=torch.int64)


def _pad_positions(lengths: Tensor, offsets: Tensor, padding: int, shape: Shape | None = None) -> tuple[Tensor, Tensor]:
    """Return the mask and the positions of words, (B, T) each, of sentences whose first words are at `offsets` (B,)."""
    if shape is None:
        width = int(lengths.max())
    else:
        width, further = shape[1], (0, shape[0] - len(lengths))
        lengths, offsets = pad(lengths, further), pad(offsets, further)
    steps = torch.arange(width)  # (T,)
    mask = steps < lengths.unsqueeze(1)  # (B, T)
    return mask, (offsets.unsqueeze(1) + steps).masked_fill(~mask, padding)
