"""A table of word vectors: look-up of words, and the tensors and arrays in which the table is stored."""

from __future__ import annotations

import mmap
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from flairlite.checks import shown, whole_number
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.compact import BITS, CompactMatrix
from flairlite.lookup.packing import HashIndex, PackedWords
from flairlite.lookup.words import RowFinder
from flairlite.tensors import get_array

_BLOCK = 1 << 14  # rows of a table computed with at a time
_TWELVE = torch.tensor([12])  # bits of a value in files without `bits`
_MANY_ROWS = 1_000  # reading more rows than this maps many pages of the file into memory


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
        self.bits: int | None = matrix.bits if isinstance(matrix, CompactMatrix) else None  # None: exact, in float32
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
    def is_compact(self) -> bool:
        """Whether vectors are rounded as in a model file."""
        return self.bits is not None

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

    def compact(self, bits: int = 12) -> WordVectors:
        """Return this table with its vectors rounded as in a model file; see `CompactMatrix`.

        The new table shares the memory of this one, and rounds vectors when they are taken. On GloVe (92,000 words, 100
        values), rounding to 12, 8 and 4 bits loses 2e-7, 4e-5 and 0.014 of the squared length of the vectors, and the
        table takes 15.2, 10.6 and 6.0 MB in a model file.

        Args:
            bits: Bits of a value: 12, 8 or 4. A table that is rounded to as many or fewer bits is returned unchanged.

        Raises:
            SettingError: If `bits` is another number.
        """
        if bits not in BITS or isinstance(bits, bool):
            raise SettingError(f"bits must be 12, 8 or 4; it is {shown(bits)}")
        if self.bits is not None and self.bits <= bits:
            return self
        rounded = WordVectors(self._words, self._table)
        rounded.bits, rounded.entry = bits, self.entry
        rounded._finder, rounded._is_exposed = self._finder, self._is_exposed
        return rounded

    def keep(self, words: int | Iterable[str]) -> WordVectors:
        """Return a smaller table, for a smaller model file.

        Args:
            words: The number of words to keep, the first ones of the table, which are the most frequent ones in most
                files; or the words for which the vectors that are found for them are kept, in the order of the table.

        Raises:
            SettingError: If `words` is something else, or no word is kept.
        """
        if isinstance(words, numbers.Integral):
            rows = np.arange(min(whole_number(least=1)("words", words), len(self)))
        else:
            rows = np.unique(self.rows(_check_words(words)))
            rows = rows[rows >= 0]
            if not len(rows):
                raise SettingError("none of the words to keep has a vector")
        table = self._table.take(rows) if isinstance(self._table, CompactMatrix) else self._table[rows]
        kept = WordVectors(self._words.take(rows), table)
        kept.bits = self.bits
        return kept

    def reduce(self, dim: int) -> WordVectors:
        """Return a table of shorter vectors: the projections on the first principal components.

        The vectors are not centred, so that words without a vector keep the zero vector. On GloVe (92,000 words, 100
        values), 64 values lose 0.20 and 48 values 0.34 of the squared length of the vectors. In a small file, keeping
        fewer words, or four bits a value, loses less.

        Args:
            dim: The values of a vector, at most as many as now.

        Raises:
            SettingError: If `dim` is not such a number.
        """
        dim = whole_number(least=1, below=self.dim + 1)("dim", dim)
        moments = np.zeros((self.dim, self.dim))
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(self), _BLOCK)]
        for block in blocks:
            vectors = self.take(block).astype(np.float64)
            moments += vectors.T @ vectors
        components = np.linalg.eigh(moments)[1][:, ::-1][:, :dim]  # (D, dim), of the largest variance first
        components *= np.sign(components[np.abs(components).argmax(axis=0), np.arange(dim)])  # either sign is possible
        return WordVectors(self._words, np.concatenate([self.take(block) @ components for block in blocks]))

    def take(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the vectors of U rows, (U, D)."""
        vectors = self._table.rows(rows) if isinstance(self._table, CompactMatrix) else self._table[rows]
        if self.bits is not None and not self._is_packed:
            vectors = CompactMatrix.pack(vectors, self.bits).rows(slice(None))
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
            a compact table, "codes", "scales", "dim" and, unless they are twelve, "bits" of `CompactMatrix`.
        """
        text, offsets = torch.from_numpy(self._words.text), torch.from_numpy(self._words.offsets)
        if self.bits is None:
            return {"words": text, "offsets": offsets, "matrix": torch.from_numpy(self.matrix)}
        table = self._packed(self.bits)
        self._release_pages()
        return {
            "words": text,
            "offsets": offsets.int() if len(text) <= torch.iinfo(torch.int32).max else offsets,
            "codes": torch.from_numpy(table.codes),
            "scales": torch.from_numpy(table.scales),
            "dim": torch.tensor([table.dim]),
            **({} if table.bits == 12 else {"bits": torch.tensor([table.bits])}),
        }

    @property
    def _is_packed(self) -> bool:
        return isinstance(self._table, CompactMatrix) and self._table.bits == self.bits

    def _packed(self, bits: int) -> CompactMatrix:
        if not isinstance(self._table, CompactMatrix):
            return CompactMatrix.pack(self._table, bits)
        return self._table if self._is_packed else CompactMatrix.pack(self._table.rows(slice(None)), bits)

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
        text = get_array(tensors, "words", torch.uint8, ndim=1)
        offsets = get_array(tensors, "offsets", torch.int64, ndim=1)
        matrix: NDArray[np.float32] | CompactMatrix
        damage = ""
        if "codes" in tensors:
            codes = get_array(tensors, "codes", torch.uint8, ndim=2)
            scales = get_array(tensors, "scales", torch.float32, ndim=1)
            sizes = (get_array({"bits": _TWELVE, **tensors}, name, torch.int64, ndim=1) for name in ("dim", "bits"))
            dim, bits = (int(size[0]) if len(size) == 1 else 0 for size in sizes)
            matrix = CompactMatrix(codes, scales, dim, bits)
            damage = matrix.describe_damage()
        else:
            matrix = get_array(tensors, "matrix", torch.float32, ndim=2)
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
