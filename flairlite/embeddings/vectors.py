"""A table of word vectors: look-up of words, and the tensors and arrays in which the table is stored."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.compact import CompactMatrix
from flairlite.lookup.packing import HashIndex, PackedWords
from flairlite.lookup.words import RowFinder

_MANY_ROWS = 1_000  # reading more rows than this maps many pages of the file into memory

_SAME_VALUES = {torch.uint8: (torch.uint8,), torch.int64: (torch.int32, torch.int64)}


class WordVectors:
    """A read-only table of word vectors, usually memory-mapped.

    Args:
        words: V words; of equal words, the first is found.
        matrix: (V, D) finite numbers, one vector a word; stored as float32.

    Raises:
        SettingError: If the words are not strings, or the matrix does not have one row of finite numbers a word.

    >>> vectors = WordVectors(["the", "##th"], np.eye(2))
    >>> vectors.rows(["The", "25th", "unheard-of"])
    array([ 0,  1, -1])
    """

    def __init__(self, words: Sequence[str] | PackedWords, matrix: ArrayLike | CompactMatrix) -> None:
        is_trusted = isinstance(words, PackedWords)
        self._words = words if isinstance(words, PackedWords) else PackedWords.pack(_check_words(words))
        self._table: NDArray[np.float32] | CompactMatrix
        if isinstance(matrix, CompactMatrix):
            self._table, shape = matrix, (len(matrix), matrix.dim)
        else:
            self._table = _to_float32(matrix)
            shape = self._table.shape
        if len(shape) != 2 or shape[0] != len(self._words):
            raise SettingError(f"matrix must be (V, D) with V = {len(self._words):,} words, got {shape}")
        if not is_trusted and isinstance(self._table, np.ndarray):  # a mapped table would be read from disk for this
            bad = np.flatnonzero(~np.isfinite(self._table).all(axis=1))
            if bad.size:
                word = self.words[bad[0]]
                raise SettingError(f"the vectors must be finite float32 numbers, but that of {word!r} is not")
        self.dim: int = shape[1]
        self.is_compact = isinstance(matrix, CompactMatrix)
        self.entry: str | None = None  # the name of the table in the cache, if it was loaded from there
        self._finder = RowFinder(self._words)
        self._is_exposed = [False]  # whether `matrix` was handed out, and may have been written to; shared with copies

    @classmethod
    def from_mapping(cls, vectors: Mapping[str, ArrayLike]) -> WordVectors:
        """Build a table from a mapping of words to vectors.

        Raises:
            SettingError: If the mapping is empty, or the vectors do not have the same length.
        """
        words = _check_words(list(vectors))
        if not words:
            raise SettingError("expected a dict of words and their vectors, got an empty one")
        rows = [_to_float32(vector) for vector in vectors.values()]
        for word, row in zip(words, rows, strict=True):
            if row.ndim != 1 or not row.size or row.shape != rows[0].shape:
                raise SettingError(
                    f"each vector must have one dimension and the length of the first, {rows[0].shape}, "
                    f"but the vector of {word!r} has shape {row.shape}"
                )
        return cls(words, np.stack(rows))

    def __len__(self) -> int:
        return len(self._words)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The vectors, (V, D); a compact table is unpacked at each access."""
        if self.is_compact:
            return self.take(slice(None))
        self._is_exposed[0] = True
        return self._table  # type: ignore[return-value]

    @property
    def words(self) -> list[str]:
        """The V words in the order of the rows, decoded at each access."""
        return list(self._words)

    def compact(self) -> WordVectors:
        """Return this table with its vectors rounded as in a model file; see `CompactMatrix`.

        The new table shares the memory of this one, and rounds vectors when they are taken.
        """
        if self.is_compact:
            return self
        rounded = WordVectors(self._words, self._table)
        rounded.is_compact, rounded.entry = True, self.entry
        rounded._finder, rounded._is_exposed = self._finder, self._is_exposed
        return rounded

    def take(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the vectors of U rows, (U, D)."""
        if isinstance(self._table, CompactMatrix):
            return self._table.rows(rows)
        vectors = self._table[rows]
        if self.is_compact:
            vectors = CompactMatrix.pack(vectors).rows(slice(None))
        if len(vectors) > _MANY_ROWS:
            self._release_pages()
        return vectors

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Look words up as Flair does: as written, in lower case, then with each digit as '#', then as '0'.

        Args:
            words: U words, preferably distinct.

        Returns:
            (U,) the row of each word, -1 for a word that is not found.
        """
        return self._finder.rows(words)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the table, and the index of its words, as arrays for the cache."""
        index = self._words.index
        return {
            "matrix": self.matrix,
            "text": self._words.text,
            "offsets": self._words.offsets,
            "hashes": index.hashes,
            "order": index.order,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> WordVectors:
        """Build the table from the result of `to_arrays`, without reading mapped arrays."""
        index = HashIndex(arrays["hashes"], arrays["order"])
        return cls(PackedWords(arrays["text"], arrays["offsets"], index), arrays["matrix"])

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the table as tensors for a model file; they share its memory where possible.

        Returns:
            "words": uint8 (N,), the concatenated words in UTF-8, because V strings are slow to unpickle; "offsets":
            (V + 1,), the start of each word in it and the end of the last; and either "matrix": float32 (V, D) or, for
            a compact table, "codes", "scales" and "dim" of `CompactMatrix`.
        """
        text, offsets = torch.from_numpy(self._words.text), torch.from_numpy(self._words.offsets)
        if not self.is_compact:
            return {"words": text, "offsets": offsets, "matrix": torch.from_numpy(self.matrix)}
        table = self._table if isinstance(self._table, CompactMatrix) else CompactMatrix.pack(self._table)
        self._release_pages()
        return {
            "words": text,
            "offsets": offsets.int() if len(text) <= torch.iinfo(torch.int32).max else offsets,
            "codes": torch.from_numpy(table.codes),
            "scales": torch.from_numpy(table.scales),
            "dim": torch.tensor([table.dim]),
        }

    def _release_pages(self) -> None:
        """Remove the pages of a mapped table from the memory of this process; they are read again when needed.

        Releasing would undo changes of a table that was handed out, so such a table keeps its pages.
        """
        mapped = getattr(self._table, "base", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and not self._is_exposed[0]:
            mapped.madvise(mmap.MADV_DONTNEED)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> WordVectors:
        """Build the table from the result of `to_tensors`.

        Raises:
            ModelFileError: If the tensors are not those of a table of word vectors.
        """
        text = _get_array(tensors, "words", torch.uint8, ndim=1)
        offsets = _get_array(tensors, "offsets", torch.int64, ndim=1)
        matrix: NDArray[np.float32] | CompactMatrix
        damage = ""
        if "codes" in tensors:
            codes = _get_array(tensors, "codes", torch.uint8, ndim=2)
            scales = _get_array(tensors, "scales", torch.float32, ndim=1)
            dim = _get_array(tensors, "dim", torch.int64, ndim=1)
            matrix = CompactMatrix(codes, scales, int(dim[0]) if len(dim) == 1 else 0)
            damage = matrix.describe_damage()
        else:
            matrix = _get_array(tensors, "matrix", torch.float32, ndim=2)
        words = PackedWords(text, offsets)
        damage = damage or words.describe_damage()
        if not damage and len(words) != len(matrix):
            damage = f"{len(words):,} words for {len(matrix):,} rows"
        if damage:
            raise ModelFileError(f"the word vectors are damaged ({damage}): copy or save the model again")
        return cls(words, matrix)


def _check_words(words: Any) -> list[str]:
    if isinstance(words, (str, bytes, Mapping)):
        raise SettingError(f"words must be a list of strings, got {type(words).__name__}")
    listed = list(words)
    for word in listed:
        if not isinstance(word, str):
            raise SettingError(f"words must be strings, got {word!r} of type {type(word).__name__}")
    return listed


def _to_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers as a float32 array, without a copy where possible; too large numbers become infinite."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float().numpy()
    try:
        with np.errstate(over="ignore"):
            array = np.asanyarray(values)  # a memory-mapped array stays one
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{array.dtype} is not a type of numbers")
            numbers: NDArray[np.float32] = array.astype(np.float32, copy=False)
            return numbers
    except (TypeError, ValueError) as error:
        raise SettingError(f"vectors must be numbers, got {type(values).__name__}: {error}") from error


def _get_array(tensors: Mapping[str, torch.Tensor], name: str, dtype: torch.dtype, *, ndim: int) -> NDArray[Any]:
    """Return a tensor of a model file as an array of `dtype`; the file may store it in a smaller or larger type."""
    tensor = tensors.get(name)
    if isinstance(tensor, torch.Tensor):
        is_of_kind = tensor.is_floating_point() if dtype.is_floating_point else tensor.dtype in _SAME_VALUES[dtype]
        if tensor.ndim == ndim and is_of_kind:
            array: NDArray[Any] = tensor.detach().to("cpu", dtype).contiguous().numpy()
            return array
        found = f"{tuple(tensor.shape)} of {tensor.dtype}"
    else:
        found = type(tensor).__name__
    raise ModelFileError(
        f"{name!r} of the word vectors must be a {ndim}-dimensional tensor of {dtype}, got {found}: "
        "copy or save the model again"
    )
