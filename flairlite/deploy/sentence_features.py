"""The vectors of words in their sentences, and of sentences, from transformers and character language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flairlite.deploy.engines import Engine
from flairlite.deploy.features import Arrays, Floats, Settings
from flairlite.deploy.network import Network
from flairlite.deploy.network_check import TRANSFORMER_OPERATORS
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.parts import CharacterIds
from flairlite.lookup.subwords import (
    Bags,
    Layout,
    SubwordTokenizer,
    Windows,
    check_sizes,
    lay_out,
    pool_sentences,
    pool_words,
    surround,
)
from flairlite.lookup.texts import TextReader

Ids = NDArray[np.int64]

_WINDOWS, _SUBWORDS = 32, 1024  # windows, and subwords with padding, that pass through a transformer at once
_SENTENCES, _CHARACTERS = 32, 8192  # sentences, and their characters with padding, that a language model reads together


class SentenceFeatures(ABC):
    """Computes one part of the vectors of the words of sentences, or the vectors of sentences.

    Args:
        settings: The settings of the embedding in the file.
        arrays: Its arrays.
        engine: What computes the network.

    Attributes:
        by_word: Whether words have vectors, not sentences.
        context: The number of words before and after a sentence that are read with it.
        respect_document_boundaries: Whether these end where a document begins.
    """

    kind: ClassVar[str]
    by_word: ClassVar[bool] = True
    context: int = 0
    respect_document_boundaries: bool = True

    @abstractmethod
    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None: ...

    @abstractmethod
    def index(self, words: Sequence[str]) -> Ragged:
        """Return what is read of U distinct words, and nothing in row U, for padding."""

    @abstractmethod
    def compute(self, table: Ragged, word_ids: Ids, sides: Ids | None, indices: Ids) -> Floats:
        """Return the vectors (N, D) of the words of B sentences, one sentence after the other, or (B, D) of these.

        Args:
            table: The result of `index`.
            word_ids: (B, T) the rows of the words; U on padding.
            sides: (B, 2, C) those of the words before, and after, each sentence; None without context.
            indices: (B,) the positions of the sentences in their data set, for errors.

        Raises:
            SettingError: If a sentence is too long.
        """


class TransformerFeatures(SentenceFeatures):
    """Vectors of words, pooled from those that a transformer computes for their subwords."""

    kind = "transformer"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        try:
            definition = arrays["tokenizer"].tobytes().decode("utf-8")
            self._tokenizer = SubwordTokenizer(definition, int(settings["pad_id"]))
        except SettingError as error:
            raise ValueError(str(error)) from error
        self._name, self._pooling = str(settings["name"]), str(settings["pooling"])
        self._windows = None if settings["capacity"] is None else _windows(settings)
        self._reads_long = bool(settings["allow_long_sentences"])
        self.context = int(settings.get("context", 0))
        self.respect_document_boundaries = bool(settings.get("respect_document_boundaries", True))
        self._has_separator = bool(settings.get("separator", False))
        self._begins_with_cls = bool(settings.get("begins_with_cls", False))
        self._network = Network(memoryview(arrays["network"]), engine, TRANSFORMER_OPERATORS)  # type: ignore[arg-type]

    def index(self, words: Sequence[str]) -> Ragged:
        """Split the words into subwords."""
        return self._tokenizer.split(words)

    def compute(self, table: Ragged, word_ids: Ids, sides: Ids | None, indices: Ids) -> Floats:
        """Read the sentences with their context."""
        rows, begin, width = word_ids, 0, word_ids.shape[1]
        if sides is not None and self.context:
            rows, begin = surround(rows, sides, len(table) - 1 if self._has_separator else None)
        layout = lay_out(table, rows, self._tokenizer, self._windows)
        if not self._reads_long:
            check_sizes(layout.lengths.sum(axis=1), indices, self._windows, self._name)
        bags = self._choose(layout, begin, begin + width)
        states = self._read(layout, bags.positions)  # (P, D)
        if self.by_word:
            starts = bags.starts[word_ids < len(table) - 2]  # (N, parts)
            return _pool(states, starts.ravel(), np.add).reshape(len(starts), -1)
        return _pool(states, bags.starts, np.maximum if self._pooling == "max" else np.add)

    def _choose(self, layout: Layout, begin: int, end: int) -> Bags:
        return pool_words(layout, begin, end, self._pooling)

    def _read(self, layout: Layout, positions: Ids) -> Floats:
        """Return the outputs of the transformer at some positions of the windows, (P, D)."""
        ((input_ids, mask),) = layout.groups
        assert mask is not None
        lengths = mask.sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        window, column = np.divmod(positions, mask.shape[1])
        window = rank[window]  # the windows as they are ordered
        found: Floats | None = None
        start = 0
        while start < len(order):
            longest = int(lengths[order[start]])
            batch = order[start : start + max(1, min(_WINDOWS, _SUBWORDS // longest))]
            inputs = {"input_ids": input_ids[batch, :longest], "mask": mask[batch, :longest]}
            output = self._network({name: value.astype(np.int64) for name, value in inputs.items()})  # (W, L, D)
            if found is None:
                found = np.zeros((len(positions), output.shape[2]), np.float32)
            chosen = np.flatnonzero((window >= start) & (window < start + len(batch)))
            found[chosen] = output[window[chosen] - start, column[chosen]]
            start += len(batch)
        assert found is not None
        return found


class TransformerSentenceFeatures(TransformerFeatures):
    """Vectors of sentences, pooled from those that a transformer computes for their subwords and special tokens."""

    kind, by_word = "transformer_sentences", False

    def _choose(self, layout: Layout, begin: int, end: int) -> Bags:
        return pool_sentences(layout, self._tokenizer, self._pooling, begins_with_cls=self._begins_with_cls)


class LanguageModelFeatures(SentenceFeatures):
    """Vectors of words: the state of a character-level language model after each word."""

    kind = "language_model"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        ids = {str(item): index for index, item in reversed(list(enumerate(settings["characters"])))}
        names = ("is_forward", "with_whitespace", "is_lower")
        flags = {name: bool(settings[name]) for name in names}
        chunk_size = int(settings["chunk_size"])
        if chunk_size < 1:
            raise ValueError(f"a language model reads {chunk_size} characters at once")
        self._reader = TextReader(CharacterIds(ids, 0), str(settings["start"]), **flags, chunk_size=chunk_size)
        self._states = [(int(layers), int(size)) for layers, size in settings["states"]]
        self._network = Network(memoryview(arrays["network"]), engine)  # type: ignore[arg-type]
        self._length = int(settings["length"])

    def index(self, words: Sequence[str]) -> Ragged:
        """Look the characters up."""
        return self._reader.index(words)

    def compute(self, table: Ragged, word_ids: Ids, sides: Ids | None, indices: Ids) -> Floats:
        """Read the sentences, those of similar length together."""
        is_word = word_ids < len(table) - 1
        num_words = is_word.sum(axis=1)
        ends = num_words.cumsum()
        vectors = np.zeros((int(ends[-1]), self._length), np.float32)  # (N, D)
        sizes = table.lengths(word_ids).sum(axis=1)
        order, start = np.argsort(-sizes, kind="stable"), 0
        while start < len(order):
            count = max(1, min(_SENTENCES, _CHARACTERS // max(1, int(sizes[order[start]]))))
            batch = order[start : start + count]
            start += count
            width = int(num_words[batch].max())
            found = self._read(table, word_ids[batch, :width])  # (B, T, D)
            steps = np.arange(width)
            positions = (ends - num_words)[batch, None] + steps
            inside = steps < num_words[batch, None]
            vectors[positions[inside]] = found[inside]
        return vectors

    def _read(self, table: Ragged, word_ids: Ids) -> Floats:
        rows, chunks = self._reader.read(table, word_ids)
        states = [np.zeros((layers, len(word_ids), size), np.float32) for layers, size in self._states]
        outputs = [np.zeros((1, self._length), np.float32)]  # of padding
        for characters, positions in chunks:
            named = {f"state_{index}": state for index, state in enumerate(states)}
            output, *states = self._network.run({"characters": characters, "positions": positions, **named})
            outputs.append(output)
        found: Floats = np.concatenate(outputs)[rows]
        return found


SENTENCE_KINDS: dict[str, type[SentenceFeatures]] = {
    features.kind: features for features in (TransformerFeatures, TransformerSentenceFeatures, LanguageModelFeatures)
}


def _windows(settings: Settings) -> Windows:
    windows = Windows(int(settings["capacity"]), int(settings["stride"]))
    if not 0 <= windows.stride < windows.capacity:
        raise ValueError(f"windows of {windows.capacity} subwords share {windows.stride}")
    return windows


def _pool(values: Floats, starts: Ids, operation: np.ufunc) -> Floats:
    """Return the sums divided by counts, or the maxima, of slices of rows (P, D), each up to the next start: (R, D).

    An empty slice has the zero vector.
    """
    counts = np.diff(starts, append=len(values))
    pooled = np.zeros((len(starts), values.shape[1]), np.float32)
    rows = np.flatnonzero(counts)
    if rows.size:
        pooled[rows] = operation.reduceat(values, starts[rows], axis=0)
        if operation is np.add:
            pooled[rows] /= counts[rows, None]
    return pooled
