"""The inputs of the network of an exported model: vectors of words, alone or in their sentences, or of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairlite.data import Sentence
from flairlite.deploy.engines import Engine
from flairlite.deploy.features import KINDS, Arrays, Features, FieldValues, Floats, Settings
from flairlite.deploy.sentence_features import SENTENCE_KINDS, SentenceFeatures
from flairlite.lookup.packing import Ragged
from flairlite.prediction.words import DistinctWords

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class NetworkInput:
    """B sentences as inputs of a network.

    Attributes:
        table: (R + 1, D) vectors; the last is for padding.
        rows: The row in the table of each word that `offsets` refer to; the last is R.
        lengths: (B,) the number of words per sentence, or 1 where a sentence itself has a vector.
        offsets: (B,) the index in `rows` of the first word of each sentence.
    """

    table: Floats
    rows: NDArray[np.int32]
    lengths: Ids
    offsets: Ids


@dataclass(frozen=True)
class _Chunk:
    """S sentences as integers, with the vectors of their U distinct words.

    Attributes:
        lengths: (S,) words per sentence.
        offsets: (S,) index of the first word of each sentence.
        word_ids: (N + 1,) distinct words; the last is U.
        table: (U + 1, D') the vectors of words alone.
        sides: (S, 2, C) words before, and after, each sentence, U for none; None without context.
        indexed: What each of the other embeddings reads of the words.
    """

    lengths: Ids
    offsets: Ids
    word_ids: NDArray[np.int32]
    table: Floats
    sides: Ids | None
    indexed: list[Ragged]


class Vectors:
    """The vectors of words or sentences, in which those of several embeddings are concatenated.

    Args:
        settings: The settings of each embedding, in order.
        arrays: The arrays of the file; those of the embedding at index n begin with `n.`.
        fields: The label types of tokens that are read.
        engine: What computes networks.

    Attributes:
        by_word: Whether words have vectors, not sentences.

    Raises:
        KeyError: If the settings name an unknown kind of embeddings, or an array or a setting is missing.
    """

    def __init__(self, settings: Sequence[Settings], arrays: Arrays, fields: Sequence[str], engine: Engine) -> None:
        self._fields = tuple(fields)
        self._alone: list[tuple[slice, Features]] = []  # with their columns
        self._in_sentences: list[tuple[slice, SentenceFeatures]] = []
        self._length = 0
        for index, part in enumerate(settings):
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{index}.")}
            start, self._length = self._length, self._length + int(part["length"])
            columns = slice(start, self._length)
            if part["kind"] in SENTENCE_KINDS:
                self._in_sentences.append((columns, SENTENCE_KINDS[part["kind"]](part, own, engine)))
            else:
                self._alone.append((columns, KINDS[part["kind"]](part, own, engine)))
        features = [each for _, each in self._in_sentences]
        self.by_word = all(each.by_word for each in features)
        if not self.by_word and len(settings) > 1:
            raise ValueError("vectors of sentences stand alone")
        self._reads_context = next((each for each in features if each.context), None)

    def read(self, sentences: Sequence[Sentence], lengths: Ids) -> _Chunk:
        """Look the words of S sentences up; `lengths` (S,) are their numbers of words."""
        distinct, sides = DistinctWords(self._fields), None
        word_ids = distinct.add(sentences)
        if self._reads_context is not None:
            Sentence.set_context_for_sentences(sentences)
            respect = self._reads_context.respect_document_boundaries
            found = distinct.add_context(sentences, self._reads_context.context, respect)
            sides = np.where(found < 0, len(distinct), found).astype(np.int64)
        words, fields = distinct.columns()
        word_ids = np.append(word_ids, np.int32(len(words)))
        indexed = [features.index(words) for _, features in self._in_sentences]
        return _Chunk(lengths, np.cumsum(lengths) - lengths, word_ids, self._embed_words(words, fields), sides, indexed)

    def batches(self, chunk: _Chunk, group: Sequence[Ids]) -> Iterator[NetworkInput]:
        """Yield the inputs for several batches of sentences."""
        if not self._in_sentences:
            for batch in group:
                yield NetworkInput(chunk.table, chunk.word_ids, chunk.lengths[batch], chunk.offsets[batch])
            return
        indices = np.concatenate(group)
        lengths, table = self._embed_sentences(chunk, indices)
        offsets = np.cumsum(lengths) - lengths
        rows = np.arange(len(table), dtype=np.int32)
        end = 0
        for batch in group:
            start, end = end, end + len(batch)
            yield NetworkInput(table, rows, lengths[start:end], offsets[start:end])

    def _embed_words(self, words: Sequence[str], fields: FieldValues) -> Floats:
        """Return the vectors of U distinct words alone and, in the last row, of padding, (U + 1, D')."""
        width = sum(columns.stop - columns.start for columns, _ in self._alone)
        table = np.zeros((len(words) + 1, width), np.float32)
        if len(self._alone) == 1:
            self._alone[0][1].fill(table, words, fields)
            return table
        end = 0
        for columns, part in self._alone:
            vectors = np.zeros((len(table), columns.stop - columns.start), np.float32)
            part.fill(vectors, words, fields)
            start, end = end, end + vectors.shape[1]
            table[:, start:end] = vectors
        return table

    def _embed_sentences(self, chunk: _Chunk, indices: Ids) -> tuple[Ids, Floats]:
        """Return the number of vectors of B sentences, (B,), and the vectors with one for padding, (R + 1, D)."""
        lengths = chunk.lengths[indices]
        steps = np.arange(lengths.max())
        is_word = steps < lengths[:, None]  # (B, T)
        positions = np.where(is_word, chunk.offsets[indices][:, None] + steps, len(chunk.word_ids) - 1)
        word_ids = chunk.word_ids[positions].astype(np.int64)
        table = np.zeros(((lengths.sum() if self.by_word else len(lengths)) + 1, self._length), np.float32)
        alone = chunk.table[np.append(word_ids[is_word], -1)] if self._alone else chunk.table
        end = 0
        for columns, _ in self._alone:
            start, end = end, end + columns.stop - columns.start
            table[:, columns] = alone[:, start:end]
        sides = None if chunk.sides is None else chunk.sides[indices]
        for (columns, part), indexed in zip(self._in_sentences, chunk.indexed, strict=True):
            vectors = part.compute(indexed, word_ids, sides, indices)
            if vectors.shape != table[:-1, columns].shape:  # NumPy would repeat a single column
                raise ValueError(f"vectors have the shape {vectors.shape}")
            table[:-1, columns] = vectors
        return lengths if self.by_word else np.ones_like(lengths), table
