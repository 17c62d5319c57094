"""Tables of words with tags, numbers or clusters, and the tensors in which model files hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairlite.checks import shown
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.packing import PackedWords, join_slices
from flairlite.tensors import get_array

_MAX_SHARED = 63  # bytes that a word shares with the previous one, so that a file cannot expand without limit
_MAX_TAGS = 1000  # more would make a dense table large
_MAX_CODE = 255


@dataclass(frozen=True)
class WordIds:
    """V words in ascending order of their UTF-8 bytes, each with an id.

    Attributes:
        words: The words.
        ids: (V,) ids from 0.
    """

    words: PackedWords
    ids: NDArray[np.int64]

    @classmethod
    def build(cls, words: Sequence[str], ids: Sequence[int] | NDArray[np.int64]) -> WordIds:
        """Build the table from distinct words in any order."""
        order = sorted(range(len(words)), key=lambda index: words[index].encode("utf-8", "surrogatepass"))
        return cls(PackedWords.pack(words[index] for index in order), np.asarray(ids, dtype=np.int64)[order])

    def find(self, words: Sequence[str], *, missing: int) -> NDArray[np.int64]:
        """Return the id of each of U words, or `missing`, (U,)."""
        rows = self.words.find(words)
        return np.where(rows < 0, missing, self.ids[rows]) if len(self.ids) else np.full(len(words), missing)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the table as tensors for a model file; a word omits the bytes that it shares with the previous one.

        Returns:
            "text": uint8 (N,), the concatenated rest of each word; "lengths": (V,), the bytes of each rest; "shared":
            uint8 (V,), the bytes that are omitted; "ids": (V,).
        """
        shared = _shared_prefixes(self.words)
        lengths = np.diff(self.words.offsets) - shared  # (V,)
        return {
            "text": torch.from_numpy(join_slices(self.words.text, self.words.offsets[:-1] + shared, lengths)),
            "lengths": to_smallest(lengths),
            "shared": torch.from_numpy(shared.astype(np.uint8)),
            "ids": to_smallest(self.ids),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, num_ids: int) -> WordIds:
        """Build the table from the result of `to_tensors`.

        Raises:
            ModelFileError: If the tensors are not those of such a table with ids below `num_ids`.
        """
        text, shared = (_array(tensors, name, torch.uint8) for name in ("text", "shared"))
        lengths, ids = (_array(tensors, name, torch.int64) for name in ("lengths", "ids"))
        damage = ""
        if not len(shared) == len(lengths) == len(ids):
            damage = f"{len(shared):,}, {len(lengths):,} and {len(ids):,} entries for the same words"
        elif lengths.min(initial=0) < 0 or lengths.sum() != len(text) or shared.max(initial=0) > _MAX_SHARED:
            damage = "the lengths do not span the text"
        elif ids.min(initial=0) < 0 or ids.max(initial=-1) >= num_ids:
            damage = "an id is out of range"
        words = PackedWords(np.zeros(0, np.uint8), np.zeros(1, np.int64)) if damage else _join(text, lengths, shared)
        if damage := damage or words.describe_damage():
            raise ModelFileError(f"the lexicon is damaged ({damage}): copy or save the model again")
        return cls(words, ids)


def _shared_prefixes(words: PackedWords) -> NDArray[np.int64]:
    """Return the bytes at the beginning of each word that equal those of the previous word, (V,), at most 63."""
    starts, lengths = words.offsets[:-1], np.diff(words.offsets)
    shared = np.zeros(len(words), np.int64)
    left = np.arange(1, len(words))  # the words whose first `position` bytes are those of the previous word
    for position in range(_MAX_SHARED):
        left = left[(lengths[left] > position) & (lengths[left - 1] > position)]
        left = left[words.text[starts[left] + position] == words.text[starts[left - 1] + position]]
        if not left.size:
            break
        shared[left] = position + 1
    return shared


def _join(text: NDArray[np.uint8], lengths: NDArray[np.int64], shared: NDArray[np.uint8]) -> PackedWords:
    rest, ends = text.tobytes(), np.concatenate(([0], np.cumsum(lengths))).tolist()
    joined, offsets, word = bytearray(), np.zeros(len(shared) + 1, np.int64), b""
    for row, ((start, end), count) in enumerate(zip(pairwise(ends), shared.tolist(), strict=True)):
        word = word[:count] + rest[start:end]
        joined += word
        offsets[row + 1] = len(joined)
    return PackedWords(np.frombuffer(joined, np.uint8), offsets)


def to_smallest(values: NDArray[np.int64]) -> Tensor:
    """Return integers from 0 in the smallest type of tensors that holds them."""
    largest = values.max(initial=0)
    types = (np.uint8, np.int16, np.int32, np.int64)
    return torch.from_numpy(values.astype(next(kind for kind in types if largest <= np.iinfo(kind).max)))


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
        return {**self.words.to_tensors(), **{name: torch.from_numpy(array) for name, array in arrays.items()}}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], tags: Sequence[str]) -> Lexicon:
        """Build the lexicon from the result of `to_tensors` and the names of its tags.

        Raises:
            ModelFileError: If the tensors are not those of a lexicon.
        """
        codes = _array(tensors, "codes", torch.uint8, ndim=2)
        low, step = (_array(tensors, name, torch.float32) for name in ("low", "step"))
        words = WordIds.from_tensors(tensors, num_ids=len(codes))
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
        """Build the table from its clusters and the result of `WordIds.to_tensors`.

        Raises:
            ModelFileError: If they are not those of such a table.
        """
        if not paths or not all(map(_is_path, paths)) or list(paths) != sorted(set(paths)):
            raise ModelFileError("the clusters are damaged (they do not ascend): copy or save the model again")
        return cls(tuple(paths), WordIds.from_tensors(tensors, num_ids=len(paths)))


def _is_path(path: Any) -> bool:
    return isinstance(path, str) and path != "" and not path.strip("01")


def _listed(word: str, value: Any) -> list[Any]:
    """Return the tags or numbers of a word as a list."""
    if isinstance(value, (str, Real)) and not isinstance(value, bool):
        return [value]
    is_list = isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))
    items = list(value) if is_list else [value]
    kinds = {str if isinstance(item, str) else Real if isinstance(item, Real) else None for item in items}
    if len(kinds) > 1 or None in kinds or any(isinstance(item, bool) for item in items):
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
    matrix = np.array(rows, dtype=np.float64)  # (V, F)
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
