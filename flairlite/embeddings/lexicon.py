"""Tables of words with tags, numbers or clusters, and the tensors in which model files hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairlite.checks import shown
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.word_ids import WordIds
from flairlite.tensors import get_array

_MAX_TAGS = 1000  # more would make a dense table large
_MAX_CODE = 255


def words_to_tensors(words: WordIds) -> dict[str, Tensor]:
    """Return a table of words as tensors for a model file; see `WordIds.to_arrays`."""
    return {name: torch.from_numpy(array) for name, array in words.to_arrays().items()}


def words_from_tensors(tensors: Mapping[str, Tensor], *, num_ids: int) -> WordIds:
    """Build a table of words from the result of `words_to_tensors`.

    Raises:
        ModelFileError: If the tensors are not those of such a table with ids below `num_ids`.
    """
    types = {"text": torch.uint8, "shared": torch.uint8, "lengths": torch.int64, "ids": torch.int64}
    arrays = {name: _array(tensors, name, dtype) for name, dtype in types.items()}
    return WordIds.from_arrays(arrays, num_ids=num_ids)


def _array(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, *, ndim: int = 1) -> NDArray[Any]:
    return get_array(tensors, name, dtype, ndim=ndim, owner="lexicon")


@dataclass(frozen=True)
class Lexicon:
    """V words with tags, or with numbers.

    Tags become one feature each, which is 0 or 1. Numbers are standardised to mean 0 and variance 1 over the words, and
    rounded to one of 256 values between the smallest and the largest of their column, as in a model file.

    Attributes:
        words: The words, with the row of each in `codes`.
        codes: (R, F) uint8, the distinct combinations of features, in ascending order.
        low: (F,) float32, the value of code 0.
        step: (F,) float32, the difference of values of successive codes.
        tags: The names of the F features, or none for numbers.
    """

    words: WordIds
    codes: NDArray[np.uint8]
    low: NDArray[np.float32]
    step: NDArray[np.float32]
    tags: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, entries: Mapping[str, Any]) -> Lexicon:
        """Build a lexicon from a mapping of words to tags (one, or several), or to numbers (one, or several).

        Raises:
            SettingError: If the mapping is empty, or its values are neither tags nor the same count of finite numbers.
        """
        words = list(entries)
        if wrong := [word for word in words if not isinstance(word, str)]:
            raise SettingError(f"the words of a lexicon must be strings; one is {shown(wrong[0])}")
        if not words:
            raise SettingError("a lexicon needs at least one word; it is empty")
        rows = [_listed(word, value) for word, value in entries.items()]
        if all(isinstance(item, str) for row in rows for item in row):
            tags = tuple(sorted({tag for row in rows for tag in row}))
            if not 0 < len(tags) <= _MAX_TAGS:
                raise SettingError(f"a lexicon can have 1 to {_MAX_TAGS:,} different tags; it has {len(tags):,}")
            codes, low, step = _encode_tags(rows, tags)
            return cls._make(words, codes, low, step, tags)
        return cls._make(words, *_encode_numbers(words, rows))

    @classmethod
    def _make(
        cls,
        words: Sequence[str],
        codes: NDArray[np.uint8],
        low: NDArray[np.float32],
        step: NDArray[np.float32],
        tags: tuple[str, ...] = (),
    ) -> Lexicon:
        distinct, ids = np.unique(codes, axis=0, return_inverse=True)
        return cls(WordIds.build(words, ids.reshape(-1)), distinct, low, step, tags)

    def __len__(self) -> int:
        return len(self.words.ids)

    @property
    def values(self) -> NDArray[np.float32]:
        """The distinct combinations of features, (R, F)."""
        return self.low + self.codes * self.step

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the lexicon as tensors for a model file, without the names of tags."""
        arrays = {"codes": self.codes, "low": self.low, "step": self.step}
        return {**words_to_tensors(self.words), **{name: torch.from_numpy(array) for name, array in arrays.items()}}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], tags: Sequence[str]) -> Lexicon:
        """Build the lexicon from the result of `to_tensors` and the names of its tags.

        Raises:
            ModelFileError: If the tensors are not those of a lexicon.
        """
        codes = _array(tensors, "codes", torch.uint8, ndim=2)
        low, step = (_array(tensors, name, torch.float32) for name in ("low", "step"))
        words = words_from_tensors(tensors, num_ids=len(codes))
        is_finite = np.isfinite(low).all() and np.isfinite(step).all()
        if not len(low) == len(step) == codes.shape[1] > 0 or not is_finite or len(tags) not in (0, len(low)):
            raise ModelFileError("the lexicon is damaged (its features differ in number): copy or save the model again")
        return cls(words, codes, low, step, tuple(tags))


@dataclass(frozen=True)
class Clusters:
    """V words with Brown clusters.

    Attributes:
        paths: The distinct clusters in ascending order, each a string of 0 and 1.
        words: The words, with the index of the cluster of each.
    """

    paths: tuple[str, ...]
    words: WordIds

    @classmethod
    def from_mapping(cls, clusters: Mapping[str, str]) -> Clusters:
        """Build the table from a mapping of words to clusters.

        Raises:
            SettingError: If the mapping is empty, or a cluster is not a string of 0 and 1.
        """
        for word, path in clusters.items():
            if not isinstance(word, str) or not _is_path(path):
                raise SettingError(f"a cluster must be a string of 0 and 1; {shown(word)} has {shown(path)}")
        if not clusters:
            raise SettingError("at least one word must have a cluster; the mapping is empty")
        paths = tuple(sorted(set(clusters.values())))
        id_of = {path: index for index, path in enumerate(paths)}
        return cls(paths, WordIds.build(list(clusters), [id_of[path] for path in clusters.values()]))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], paths: Sequence[str]) -> Clusters:
        """Build the table from its clusters and the result of `words_to_tensors`.

        Raises:
            ModelFileError: If they are not those of such a table.
        """
        if not paths or not all(map(_is_path, paths)) or list(paths) != sorted(set(paths)):
            raise ModelFileError("the clusters are damaged (they do not ascend): copy or save the model again")
        return cls(tuple(paths), words_from_tensors(tensors, num_ids=len(paths)))


def _is_path(path: Any) -> bool:
    return isinstance(path, str) and path != "" and not path.strip("01")


def _listed(word: str, value: Any) -> list[Any]:
    """Return the tags or numbers of a word as a list."""
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    items = list(value) if is_list else [value]
    kinds = {str if isinstance(item, str) else Real if isinstance(item, Real) else None for item in items}
    if len(kinds) > 1 or None in kinds or any(isinstance(item, bool) or item == "" for item in items):
        raise SettingError(f"a word of a lexicon must have tags or numbers; {word!r:.60} has {shown(value)}")
    return items


def _encode_tags(
    rows: Sequence[Sequence[str]], tags: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    column = {tag: index for index, tag in enumerate(tags)}
    codes = np.zeros((len(rows), len(tags)), np.uint8)
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    codes[owners, [column[tag] for row in rows for tag in row]] = 1
    return codes, np.zeros(len(tags), np.float32), np.ones(len(tags), np.float32)


def _encode_numbers(
    words: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    for word, row in zip(words, rows, strict=True):
        if len(row) != len(rows[0]) or not row or isinstance(row[0], str) != isinstance(rows[0][0], str):
            raise SettingError(
                f"all words of a lexicon must have tags, or the same count of numbers; {words[0]!r:.60} has "
                f"{shown(rows[0])}, {word!r:.60} has {shown(row)}"
            )
    matrix = np.array([list(map(_to_float, row)) for row in rows])  # (V, F)
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = matrix.std(axis=0)
    if not np.isfinite(matrix).all() or not np.isfinite(deviation).all():
        wrong = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise SettingError(f"the numbers of a lexicon must be finite; {words[wrong]!r:.60} has {shown(rows[wrong])}")
    matrix = (matrix - matrix.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    low, high = matrix.min(axis=0), matrix.max(axis=0)
    step = (high - low) / _MAX_CODE
    codes = np.rint((matrix - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    return codes, low.astype(np.float32), step.astype(np.float32)


def _to_float(value: Any) -> float:
    """Return a number as a float: infinity for an integer that is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
