"""The vectors of distinct words, from the arrays of an exported model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flairlite.deploy.engines import Engine
from flairlite.deploy.network import Network
from flairlite.lookup.compact import CompactMatrix
from flairlite.lookup.packing import HashIndex, PackedWords, Ragged
from flairlite.lookup.parts import CharacterIds, find_affixes, find_parts, hash_words
from flairlite.lookup.shapes import find_shapes
from flairlite.lookup.word_ids import WordIds
from flairlite.lookup.words import FORMS, RowFinder, rewriter

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
        engine: What computes a network, if there is one.
    """

    kind: ClassVar[str]

    @abstractmethod
    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None: ...

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

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
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

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        self._field, self._matrix = settings["field"], arrays["matrix"]
        self._finder = RowFinder(_words_of(arrays))

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Take the row of each word; -1, of a word that is not found, is the last row."""
        rows = self._finder.rows(words if self._field is None else fields[self._field])
        np.take(self._matrix, np.append(rows, -1), axis=0, out=table, mode="wrap")


class OneHotFeatures(Features):
    """Trained vectors of the items of a dictionary; the last row is for padding."""

    kind = "one_hot"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
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

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        self._method, self._matrix = str(settings["hash_method"]), arrays["matrix"]

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Hash the words."""
        rows = hash_words(words, self._method, len(self._matrix))
        np.take(self._matrix, [*rows, 0], axis=0, out=table)


class SubwordFeatures(Features):
    """The mean of trained vectors of the parts of a word."""

    kind = "subwords"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
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


class AffixFeatures(Features):
    """Trained vectors of the prefixes and suffixes of a word, concatenated; the last row is for words without."""

    kind = "affixes"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        self._max_length, self._matrix = int(settings["max_length"]), arrays["matrix"]

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Hash the affixes."""
        rows = find_affixes(words, self._max_length, len(self._matrix) - 1)  # (U + 1, 2 * n)
        table[:] = self._matrix[rows].reshape(table.shape)


class ShapeFeatures(Features):
    """The trained vector of the shape of a word, then binary features; the last row is for words without a shape."""

    kind = "shapes"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        self._matrix = arrays["matrix"]

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Hash the shapes."""
        rows, features = find_shapes(words, len(self._matrix) - 1)
        np.concatenate((self._matrix[rows], features), axis=1, out=table)


class LexiconFeatures(Features):
    """What a lexicon says of several forms of a word, after a linear layer with a ReLU if there is one."""

    kind = "lexicon"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        values = arrays["low"] + arrays["codes"] * arrays["step"]  # (R, F)
        self._table = np.zeros((len(values) + 1, values.shape[1] + 1), np.float32)  # the last row: not in the lexicon
        self._table[:-1, 0], self._table[:-1, 1:] = 1, values
        self._words = WordIds.from_arrays(arrays, num_ids=len(values))
        self._forms = [FORMS[form] for form in settings["forms"]]
        self._weight, self._bias = arrays.get("weight"), arrays.get("bias")

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Look the forms up; padding keeps the zero vector."""
        unknown = len(self._table) - 1
        rows = [self._words.find([form(word) for word in words], missing=unknown) for form in self._forms]
        features = np.concatenate([self._table[each] for each in rows], axis=1)  # (U, forms * (F + 1))
        if self._weight is None:
            table[:-1] = features
        else:
            np.maximum(features @ self._weight + self._bias, 0, out=table[:-1])


class ClusterFeatures(Features):
    """Trained vectors of prefixes of the cluster of a word, concatenated; the last row is for padding.

    The last but one row of the prefixes is for words without a cluster.
    """

    kind = "clusters"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        self._rows, self._matrix = arrays["rows"].astype(np.int64), arrays["matrix"]  # (clusters + 2, P), (R, D)
        self._words = WordIds.from_arrays(arrays, num_ids=len(self._rows) - 2)
        if not 0 <= self._rows.min(initial=0) <= self._rows.max(initial=0) < len(self._matrix):
            raise ValueError("the prefix of a cluster is out of range")

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Look the words up as written, then in lower case."""
        ids = self._words.find_any_case(words, missing=len(self._rows) - 2)
        table[:] = self._matrix[self._rows[np.append(ids, -1)]].reshape(table.shape)


class CharacterFeatures(Features):
    """The last states of a recurrent network over the characters of a word."""

    kind = "characters"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        ids = {item: index for index, item in enumerate(settings["characters"])}
        self._ids = CharacterIds(ids, int(settings["unknown"]))
        self._network = Network(arrays["network"].tobytes(), engine)

    def fill(self, table: Floats, words: Sequence[str], fields: FieldValues) -> None:
        """Read each word; an empty word and padding keep the zero vector."""
        characters = self._find(words)
        for group in characters.group(np.arange(len(words) + 1)):
            for start in range(0, len(group), _NETWORK_WORDS):
                rows = group[start : start + _NETWORK_WORDS]
                lengths = characters.lengths(rows)
                inputs: dict[str, NDArray[Any]] = {
                    "characters": np.ascontiguousarray(self._pad(characters.pad(rows), lengths).T),  # (C, V)
                    "lengths": lengths.astype(np.int32),
                }
                table[rows] = self._network(inputs)

    def _find(self, words: Sequence[str]) -> Ragged:
        """Return the characters of U words, and none in the last row."""
        return self._ids.find(words)

    def _pad(self, characters: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the characters (V, C) as the network takes them; it skips padding."""
        return characters


class CharacterWindowFeatures(CharacterFeatures):
    """Convolutions over the characters of a word with a mark before and after it, max-pooled over the word."""

    kind = "character_windows"

    def __init__(self, settings: Settings, arrays: Arrays, engine: Engine) -> None:
        super().__init__(settings, arrays, engine)
        self._begin, self._longest = len(settings["characters"]), max(map(int, settings["widths"]))

    def _find(self, words: Sequence[str]) -> Ragged:
        return self._ids.find_marked(words, self._begin, self._begin + 1)

    def _pad(self, characters: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        missing = max(0, self._longest - characters.shape[1])  # each filter needs one window
        padded = np.pad(characters, ((0, 0), (0, missing)))
        padded[np.arange(padded.shape[1]) >= lengths[:, None]] = self._begin + 2  # its vector is zero
        return padded


KINDS = {
    features.kind: features
    for features in (
        VectorFeatures,
        TrainedFeatures,
        OneHotFeatures,
        HashFeatures,
        SubwordFeatures,
        AffixFeatures,
        ShapeFeatures,
        LexiconFeatures,
        ClusterFeatures,
        CharacterFeatures,
        CharacterWindowFeatures,
    )
}


def _words_of(arrays: Arrays) -> PackedWords:
    return PackedWords(arrays["words"], arrays["offsets"], HashIndex(arrays["hashes"], arrays["order"]))


def _normalize(vectors: Floats) -> Floats:
    """Return vectors with mean 0 and variance 1."""
    centered = vectors - vectors.mean(axis=1, keepdims=True)
    normalized: Floats = centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
    return normalized
