"""Word vectors: files of any usual format, converted once into a memory-mapped table with an index of its words."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from flairlite.embeddings.compact import CompactMatrix
from flairlite.embeddings.packed_words import PackedWords
from flairlite.embeddings.vector_formats import read_vector_file
from flairlite.errors import DataUnavailableError, ModelFileError, SettingError
from flairlite.runtime import get_cache_root

_log = logging.getLogger("flairlite")

_DIGIT = re.compile(r"\d")  # as in Flair, the digits of every script
# What is looked up next while a word is not found as it stands; the order is Flair's.
_FALLBACKS = (str.lower, lambda word: _DIGIT.sub("#", word.lower()), lambda word: _DIGIT.sub("0", word.lower()))

_MAX_FOUND = 100_000  # words whose rows are remembered: texts repeat themselves, and to look one up takes a while
_NOT_YET = -2
_MANY = 1_000  # rows from all over a table; around each, some pages of its file are mapped

_INTEGERS = {torch.uint8: (torch.uint8,), torch.int64: (torch.int32, torch.int64)}

_ENTRY_VERSION = 1
_ENTRY_ARRAYS = ("matrix", "text", "offsets", "hashes", "order")


class WordVectors:
    """A read-only table of word vectors, usually memory-mapped.

    Args:
        words: V distinct words; of words that are the same, the first is found.
        matrix: (V, D), one vector a word; held as float32.

    Raises:
        SettingError: If the matrix does not have one row a word.

    >>> vectors = WordVectors(["the", "##th"], np.eye(2))
    >>> vectors.rows(["The", "25th", "unheard-of"])
    array([ 0,  1, -1])
    """

    def __init__(self, words: Sequence[str] | PackedWords, matrix: NDArray[np.floating[Any]] | CompactMatrix) -> None:
        self._words = words if isinstance(words, PackedWords) else PackedWords.pack(words)
        self._table: NDArray[np.float32] | CompactMatrix
        if isinstance(matrix, CompactMatrix):
            self._table, shape = matrix, (len(matrix), matrix.dim)
        else:
            self._table, shape = matrix.astype(np.float32, copy=False), matrix.shape
        if len(shape) != 2 or shape[0] != len(words):
            raise SettingError(f"matrix must be (V, D) with V = {len(words):,} words, got {shape}")
        self.dim: int = shape[1]
        self.is_compact = isinstance(matrix, CompactMatrix)
        self.entry: str | None = None  # what the cache calls this table, if it is from there
        self._found: dict[str, int] = {}
        self._lent = [False]  # whether somebody has the table itself, and may have written into it; shared, as it is

    def __len__(self) -> int:
        return len(self._words)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The vectors, (V, D); those of a compact table are unpacked anew at each access."""
        if self.is_compact:
            return self.take(slice(None))
        self._lent[0] = True
        return self._table  # type: ignore[return-value]

    @property
    def words(self) -> list[str]:
        """The V words in the order of the rows, decoded anew at each access."""
        return list(self._words)

    def compact(self) -> WordVectors:
        """Return this table with its vectors rounded as a model file holds them; see `CompactMatrix`.

        It shares the memory of this one, and rounds the vectors that are taken when they are taken.
        """
        if self.is_compact:
            return self
        rounded = WordVectors(self._words, self._table)
        rounded.is_compact, rounded.entry, rounded._found, rounded._lent = True, self.entry, self._found, self._lent
        return rounded

    def take(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the vectors of some rows (U,), as float32 (U, D)."""
        if isinstance(self._table, CompactMatrix):
            return self._table.rows(rows)
        vectors = self._table[rows]
        if self.is_compact:
            vectors = CompactMatrix.pack(vectors).rows(slice(None))
        if len(vectors) > _MANY:
            self._let_go()
        return vectors

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Find words as Flair does: as they stand, in lower case, then with each digit as '#', then as '0'.

        Args:
            words: U words, best distinct ones: each costs the same.

        Returns:
            (U,) the row of each word, -1 for a word that is not found.
        """
        if len(self._found) > _MAX_FOUND:
            self._found.clear()
        rows = np.fromiter(map(self._found.get, words, repeat(_NOT_YET)), dtype=np.int64, count=len(words))  # (U,)
        missing = np.flatnonzero(rows == _NOT_YET)
        if missing.size:
            new = [words[place] for place in missing.tolist()]
            rows[missing] = self._look_up(new)
            self._found.update(zip(new[:_MAX_FOUND], rows[missing].tolist(), strict=False))
        return rows

    def _look_up(self, words: Sequence[str]) -> NDArray[np.int64]:
        rows, forms = self._words.find(words), list(words)  # (U,); how each word was last looked up
        for rewrite in _FALLBACKS:
            changed = []
            for place in np.flatnonzero(rows < 0).tolist():
                form = rewrite(words[place])
                if form != forms[place]:  # else it is known not to be there
                    forms[place] = form
                    changed.append(place)
            if changed:
                rows[changed] = self._words.find([forms[place] for place in changed])
        return rows

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the table as tensors for a model file; they share its memory where they can.

        Returns:
            "words": uint8 (N,), the UTF-8 of the words one after the other, because V strings take long to unpickle;
            "offsets": (V + 1,), where in it each word begins and the last ends; and either "matrix": float32 (V, D) or,
            of a compact table, "codes", "scales" and "dim", as `CompactMatrix` has them.
        """
        text, offsets = torch.from_numpy(self._words.text), torch.from_numpy(self._words.offsets)
        if not self.is_compact:
            return {"words": text, "offsets": offsets, "matrix": torch.from_numpy(self.matrix)}
        table = self._table if isinstance(self._table, CompactMatrix) else CompactMatrix.pack(self._table)
        self._let_go()
        return {
            "words": text,
            "offsets": offsets.int() if len(text) <= torch.iinfo(torch.int32).max else offsets,
            "codes": torch.from_numpy(table.codes),
            "scales": torch.from_numpy(table.scales),
            "dim": torch.tensor([table.dim]),
        }

    def _let_go(self) -> None:
        """Take the pages of a mapped table out of this process's memory; they are read again when they are asked for.

        What was written into the table would be lost by that: once it was given to somebody, it stays.
        """
        mapped = getattr(self._table, "base", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and not self._lent[0]:
            mapped.madvise(mmap.MADV_DONTNEED)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> WordVectors:
        """Make the table again from what `to_tensors` returned.

        Raises:
            ModelFileError: If the tensors are not those of a table of word vectors.
        """
        text = _model_array(tensors, "words", torch.uint8, ndim=1)
        offsets = _model_array(tensors, "offsets", torch.int64, ndim=1)
        matrix: NDArray[np.float32] | CompactMatrix
        fault = ""
        if "codes" in tensors:
            matrix = _compact_matrix(tensors)
            fault = matrix.fault()
        else:
            matrix = _model_array(tensors, "matrix", torch.float32, ndim=2)
        words = PackedWords(text, offsets)
        fault = fault or words.fault()
        if not fault and len(words) != len(matrix):
            fault = f"{len(words):,} words for {len(matrix):,} rows"
        if fault:
            raise ModelFileError(f"the word vectors are damaged ({fault}): copy or save the model again")
        return cls(words, matrix)


def load_vectors(path: str | Path) -> WordVectors:
    """Load word vectors from a file, converting it once into a form in the cache that later loads only map.

    The file may be word2vec's text (with a header line) or binary form, GloVe's text (without one) or gensim's own
    `KeyedVectors.save`, each also in gzip; its content decides which. **gensim's own form is a pickle, and loading a
    pickle runs the code in it: load it only from a source that you trust.**

    Of words that occur twice the first one counts, and words that are no valid UTF-8 are kept but match no text; both
    are counted in the log. Anything else out of order is an error.

    Args:
        path: The file.

    Returns:
        The table, mapped from the cache, or in memory when the cache cannot be written, which is logged.

    Raises:
        DataUnavailableError: If there is no such file.
        DataFormatError: If the file is damaged or of another format.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise DataUnavailableError(f"no file of word vectors at {path}: check the path, or download the file first")
    entry = _entries() / _entry_name(path)
    if (stored := _open_entry(entry)) is not None:
        return stored
    _log.info("converting the word vectors in %s once; later loads map them from %s", path, entry)
    content, reason = read_vector_file(path), "it was removed at once"
    vectors = WordVectors(content.words, content.matrix)
    try:
        _write_entry(entry, vectors, source=path)
    except OSError as error:  # another process may have been faster all the same
        reason = str(error)
    if (stored := _open_entry(entry)) is None:
        _log.warning("the converted word vectors cannot be kept in %s and stay in memory: %s", entry, reason)
        return vectors
    return stored


def stored_vectors(entry: str) -> WordVectors:
    """Map the table that the cache has under a name (see `WordVectors.entry`).

    Raises:
        ModelFileError: If it is not there.
    """
    is_name = Path(entry).name == entry  # no path: a file must not lead out of the cache
    if not is_name or (vectors := _open_entry(_entries() / entry)) is None:
        raise ModelFileError(
            f"the file is of a training run that did not end, and its word vectors {entry!r} are not in {_entries()}: "
            "load it where it was trained and save it there, or train to the end"
        )
    return vectors


def _entries() -> Path:
    return get_cache_root() / "vectors"


def _compact_matrix(tensors: Mapping[str, torch.Tensor]) -> CompactMatrix:
    codes = _model_array(tensors, "codes", torch.uint8, ndim=2)
    scales = _model_array(tensors, "scales", torch.float32, ndim=1)
    dim = _model_array(tensors, "dim", torch.int64, ndim=1)
    return CompactMatrix(codes, scales, int(dim[0]) if len(dim) == 1 else 0)


def _model_array(tensors: Mapping[str, torch.Tensor], name: str, dtype: torch.dtype, *, ndim: int) -> NDArray[Any]:
    """Return a tensor of a model file as an array of a type; it may come in another that takes the same values."""
    tensor = tensors.get(name)
    if isinstance(tensor, torch.Tensor):
        is_of_kind = tensor.is_floating_point() if dtype.is_floating_point else tensor.dtype in _INTEGERS[dtype]
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


def _entry_name(path: Path) -> str:
    # By size and time, as make tells: to hash the content of a gigabyte takes longer than a load may.
    parts = (path, Path(f"{path}.vectors.npy"))  # gensim keeps a large matrix in a second file
    stats = [(str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts if part.exists()]
    return f"{path.name[:60]}-{hashlib.sha256(ascii(stats).encode()).hexdigest()[:16]}"


def _open_entry(entry: Path) -> WordVectors | None:
    """Map a table from the cache; None if it is not there, or not whole as its manifest tells at no cost."""
    try:
        if not entry.exists():
            return None
        manifest = json.loads((entry / "manifest.json").read_bytes())
        if manifest["version"] != _ENTRY_VERSION:
            raise ValueError(f"version {manifest['version']} instead of {_ENTRY_VERSION}")
        for name in _ENTRY_ARRAYS:
            size, expected = (entry / f"{name}.npy").stat().st_size, manifest["bytes"][name]
            if size != expected:
                raise ValueError(f"{name}.npy has {size:,} bytes instead of {expected:,}")
        # copy-on-write: nothing is written, so nothing is copied, but torch warns of arrays that are read-only
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in _ENTRY_ARRAYS}
        matrix = arrays.pop("matrix")
        vectors = WordVectors(PackedWords(**arrays), matrix)
        vectors.entry = entry.name
        return vectors
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        _log.warning("the converted word vectors in %s are damaged: %s", entry, error)
        return None


def _write_entry(entry: Path, vectors: WordVectors, *, source: Path) -> None:
    """Write a table beside its place and move it there when it is on disk, so that an entry is never half there."""
    words, index = vectors._words, vectors._words.index
    arrays: list[NDArray[Any]] = [vectors.matrix, words.text, words.offsets, index.hashes, index.order]
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as scratch:
        folder = Path(scratch, "new")
        folder.mkdir()
        sizes = {}
        for name, array in zip(_ENTRY_ARRAYS, arrays, strict=True):
            with (folder / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                _sync(file)
                sizes[name] = file.tell()
        manifest = {"version": _ENTRY_VERSION, "source": str(source), "bytes": sizes}
        with (folder / "manifest.json").open("wb") as file:
            file.write(json.dumps(manifest, indent=1).encode())
            _sync(file)
        if entry.exists():  # a damaged one, or another process was faster: whoever has mapped it keeps it
            entry.replace(Path(scratch, "old"))
        folder.replace(entry)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
