"""The vectors of distinct words, from the arrays of an exported model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flairlite.deploy.network import Network
from flairlite.lookup.compact import CompactMatrix
from flairlite.lookup.packing import HashIndex, PackedWords, Ragged
from flairlite.lookup.parts import CharacterIds, find_parts, hash_words
from flairlite.lookup.words import RowFinder, rewriter

Floats = NDArray[np.float32]
Settings = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]
FieldValues = Mapping[str, Sequence[str]]

_NETWORK_WORDS = 512  # distinct words that pass through a network at once: the memory it takes grows with them
_EPSILON = 1e-5  # of torch's layer normalisation


class Features(ABC):
    """Computes one part of the vectors of distinct words.

    Args:
        settings: The settings of the embedding in the file.
        arrays: Its arrays.
        num_threads: Threads of a network, if there is one.
    """

    kind: ClassVar[str]

    @abstractmethod
    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None: ...

    @abstractmethod
    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Write the vectors of U words into a table (U + 1, D) of zeros; the last row is for padding.

        Args:
            table: The table.
            words: The words.
            fields: For each label type that the embeddings need, the label of each word.
        """


class VectorFeatures(Features):
    """Fixed vectors, in twelve, eight or four bits a value or in float32; the zero vector for other words."""

    kind = "vectors"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        self._field, self._is_normalized = settings["field"], bool(settings["stable"])
        self._matrix: CompactMatrix | NDArray[np.float32]
        if "codes" in arrays:
            bits = int(settings.get("bits", 12))
            self._matrix = CompactMatrix(arrays["codes"], arrays["scales"], int(settings["length"]), bits)
            if damage := self._matrix.describe_damage():
                raise ValueError(damage)
        else:
            self._matrix = arrays["matrix"]
        self._finder = RowFinder(_words_of(arrays))

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Look the words up as written, in lower case, and with other digits."""
        rows = self._finder.rows(words if self._field is None else fields[self._field])  # (U,)
        known = np.flatnonzero(rows >= 0)
        rows = rows[known]
        vectors = self._matrix.rows(rows) if isinstance(self._matrix, CompactMatrix) else self._matrix[rows]
        table[known] = _normalize(vectors) if self._is_normalized else vectors


class TrainedFeatures(Features):
    """Trained vectors of words that are looked up like fixed ones; the last row is for other words and padding."""

    kind = "trained_vectors"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        self._field, self._matrix = settings["field"], arrays["matrix"]
        self._finder = RowFinder(_words_of(arrays))

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Take the row of each word; -1, of a word that is not found, is the last row."""
        rows = self._finder.rows(words if self._field is None else fields[self._field])
        np.take(self._matrix, np.append(rows, -1), axis=0, out=table, mode="wrap")


class OneHotFeatures(Features):
    """Trained vectors of the items of a dictionary; the last row is for padding."""

    kind = "one_hot"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        self._field, self._unknown, self._matrix = settings["field"], int(settings["unknown"]), arrays["matrix"]
        forms = {name: bool(settings.get(name, False)) for name in ("lower_case", "zero_digits")}
        self._words, self._rewrite = _words_of(arrays), rewriter(**forms)

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Look the words up as written, or in lower case or with each digit as `0`."""
        rows = self._words.find([*map(self._rewrite, words if self._field is None else fields[self._field])])
        rows[rows < 0] = self._unknown
        np.take(self._matrix, np.append(rows, len(self._matrix) - 1), axis=0, out=table)


class HashFeatures(Features):
    """Trained vectors that the hash of a word selects."""

    kind = "hash"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        self._method, self._matrix = str(settings["hash_method"]), arrays["matrix"]

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Hash the words."""
        rows = hash_words(words, self._method, len(self._matrix))
        np.take(self._matrix, [*rows, 0], axis=0, out=table)


class SubwordFeatures(Features):
    """The mean of trained vectors of the parts of a word."""

    kind = "subwords"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        self._lengths = int(settings["min_length"]), int(settings["max_length"])
        self._matrix = arrays["matrix"]

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Average the vectors of the parts; a word without parts keeps the zero vector."""
        parts = find_parts(words, *self._lengths, len(self._matrix))
        rows = np.flatnonzero(np.diff(parts.offsets))
        if not rows.size:
            return
        values, starts = parts.join(rows)
        table[rows] = np.add.reduceat(self._matrix[values], starts, axis=0)
        table[rows] /= parts.lengths(rows)[:, None]


class CharacterFeatures(Features):
    """The last states of a network over the characters of a word."""

    kind = "characters"

    def __init__(self, settings: Settings, arrays: Arrays, num_threads: int) -> None:
        ids = {item: index for index, item in enumerate(settings["characters"])}
        self._ids = CharacterIds(ids, int(settings["unknown"]))
        self._network = Network(arrays["network"].tobytes(), num_threads=num_threads)

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Read each word; an empty word and padding keep the zero vector."""
        characters: Ragged = self._ids.find(words)
        for group in characters.group(np.arange(len(words) + 1)):
            for start in range(0, len(group), _NETWORK_WORDS):
                rows = group[start : start + _NETWORK_WORDS]
                inputs: dict[str, NDArray[Any]] = {
                    "characters": np.ascontiguousarray(characters.pad(rows).T),  # (C, V)
                    "lengths": characters.lengths(rows).astype(np.int32),
                }
                table[rows] = self._network(inputs)


KINDS = {
    features.kind: features
    for features in (
        VectorFeatures,
        TrainedFeatures,
        OneHotFeatures,
        HashFeatures,
        SubwordFeatures,
        CharacterFeatures,
    )
}


class WordFeatures:
    """The vectors of words, in which those of several embeddings are concatenated.

    Args:
        settings: The settings of each embedding, in order.
        arrays: The arrays of the file; those of the embedding at index n begin with `n.`.
        num_threads: Threads of a network.

    Raises:
        KeyError: If the settings name an unknown kind of embeddings, or an array or a setting is missing.
    """

    def __init__(self, settings: Sequence[Settings], arrays: Arrays, num_threads: int) -> None:
        self._parts: list[tuple[slice, Features]] = []
        self.length = 0
        for index, part in enumerate(settings):
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{index}.")}
            start, self.length = self.length, self.length + int(part["length"])
            self._parts.append((slice(start, self.length), KINDS[part["kind"]](part, own, num_threads)))

    def __call__(self, words: Sequence[str], fields: FieldValues) -> Floats:
        """Return the vectors of U distinct words and, in the last row, of padding, (U + 1, D)."""
        table = np.zeros((len(words) + 1, self.length), np.float32)
        if len(self._parts) == 1:
            self._parts[0][1].fill(table, words, fields)
            return table
        for columns, part in self._parts:
            vectors = np.zeros((len(table), columns.stop - columns.start), np.float32)
            part.fill(vectors, words, fields)
            table[:, columns] = vectors
        return table


def _words_of(arrays: Arrays) -> PackedWords:
    return PackedWords(arrays["words"], arrays["offsets"], HashIndex(arrays["hashes"], arrays["order"]))


def _normalize(vectors: Floats) -> Floats:
    """Return vectors with mean 0 and variance 1."""
    centered = vectors - vectors.mean(axis=1, keepdims=True)
    normalized: Floats = centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
    return normalized
