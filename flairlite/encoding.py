"""Convert sentences to integers: once per data set, each distinct word once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from flairlite.data import Sentence
from flairlite.prediction.words import DistinctWords
from flairlite.tensors import copy_to, map_tensors

Table = Any  # what an embedding keeps of the distinct words of a data set: a tensor, or tuples of tensors
Ids = np.ndarray[Any, np.dtype[np.int32]]


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
    """

    lengths: Tensor
    offsets: Tensor
    word_ids: Tensor
    table: Table
    targets: Targets | None = None

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
        )

    def to(self, device: torch.device) -> EncodedDataset:
        """Return the data set with the tensors that batches are gathered from on `device`."""
        targets = self.targets and replace(self.targets, class_ids=copy_to(self.targets.class_ids, device))
        table = map_tensors(lambda tensor: copy_to(tensor, device), self.table)
        return replace(self, word_ids=copy_to(self.word_ids, device), targets=targets, table=table)


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
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._fields = tuple(fields)
        self._distinct = DistinctWords(fields)
        self._ids: list[Ids] = []
        self._lengths: list[Tensor] = []

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Add the next sentences of the data set."""
        self._ids.append(self._distinct.add(sentences))
        self._lengths.append(count_words(sentences))

    def words(self) -> list[str]:
        """Return the N words."""
        distinct = list(self._distinct)
        return [distinct[index] for ids in self._ids for index in ids.tolist()]

    def encode(self, index: Callable[..., Table], targets: Targets | None = None) -> EncodedDataset:
        """Return the sentences as integers; see the function `encode`."""
        words, columns = self._distinct.columns()
        table = index(words, columns) if self._fields else index(words)
        word_ids = np.concatenate([*self._ids, np.array([len(words)], dtype=np.int32)])
        lengths = torch.cat(self._lengths)
        return EncodedDataset(lengths, lengths.cumsum(0) - lengths, torch.from_numpy(word_ids), table, targets)


def encode(
    sentences: Sequence[Sentence],
    index: Callable[..., Table],
    targets: Targets | None = None,
    *,
    fields: Sequence[str] = (),
) -> EncodedDataset:
    """Convert sentences to integers.

    Args:
        sentences: The sentences, which may be empty.
        index: Makes the embeddings' table from the distinct words.
        targets: The labels of these sentences, to learn or to compare with.
        fields: Label types of tokens that `index` takes besides the words.
    """
    encoder = Encoder(fields)
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
