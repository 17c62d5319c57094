"""Word vectors: files of any usual format, converted once into a memory-mapped table with an index of its words."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import logging
import os
import re
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from flairlite.errors import DataFormatError, DataUnavailableError, ModelFileError, SettingError
from flairlite.runtime import get_cache_root

_log = logging.getLogger("flairlite")

_DIGIT = re.compile(r"\d")  # as in Flair, the digits of every script
# What is looked up next while a word is not found as it stands; the order is Flair's.
_FALLBACKS = (str.lower, lambda word: _DIGIT.sub("#", word.lower()), lambda word: _DIGIT.sub("0", word.lower()))

_SURROGATE = re.compile("[\ud800-\udfff]")  # what a byte that is no UTF-8 is read as

_ENTRY_VERSION = 1
_ENTRY_ARRAYS = ("matrix", "text", "offsets", "hashes", "order")

_HEADER = re.compile(rb"(\d{1,30})[ \t]+(\d{1,30})\s*")  # of word2vec: V and D
_GZIP, _PICKLE = b"\x1f\x8b", tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_NUMBER = b"0123456789+-.eE "  # what finite numbers are written with
_CONTROL = bytes({*range(32), 127} - {*b"\t\n\r"})  # what text is not written with
_FORMATS = "The file must be word2vec text or binary, GloVe text or gensim KeyedVectors, plain or in gzip"
_MAX_DIM = 1_000_000  # a header with more than this is no header


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

    def __init__(self, words: Sequence[str] | PackedWords, matrix: NDArray[np.floating[Any]]) -> None:
        self._words = words if isinstance(words, PackedWords) else PackedWords.pack(words)
        if matrix.ndim != 2 or len(matrix) != len(words):
            raise SettingError(f"matrix must be (V, D) with V = {len(words):,} words, got {matrix.shape}")
        self.matrix: NDArray[np.float32] = matrix.astype(np.float32, copy=False)

    def __len__(self) -> int:
        return len(self._words)

    @property
    def dim(self) -> int:
        """D, the length of a vector."""
        return int(self.matrix.shape[1])

    @property
    def words(self) -> list[str]:
        """The V words in the order of the rows, decoded anew at each access."""
        return list(self._words)

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Find words as Flair does: as they stand, in lower case, then with each digit as '#', then as '0'.

        Args:
            words: U words, best distinct ones: each costs the same.

        Returns:
            (U,) the row of each word, -1 for a word that is not found.
        """
        rows = self._words.find(words)  # (U,)
        for rewrite in _FALLBACKS:
            missing = np.flatnonzero(rows < 0)
            if not missing.size:
                break
            rows[missing] = self._words.find([rewrite(words[place]) for place in missing.tolist()])
        return rows

    def to_tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
        """Return the table as tensors for a model file; they share its memory where they can.

        Args:
            dtype: Of the matrix; float16 halves it and loses precision.

        Returns:
            "words": uint8 (N,), the UTF-8 of the words one after the other, because V strings take long to unpickle;
            "offsets": int64 (V + 1,), where in it each word begins and the last ends; "matrix": (V, D).

        Raises:
            SettingError: If `dtype` is no floating type, or too small for a value.
        """
        if not dtype.is_floating_point:
            raise SettingError(f"dtype must be a floating type such as torch.float32 or torch.float16, got {dtype}")
        matrix = torch.from_numpy(self.matrix).to(dtype)
        if dtype != torch.float32 and not bool(torch.isfinite(matrix).all()):
            raise SettingError(f"some of these word vectors are too large for {dtype}: use torch.float32")
        text, offsets = torch.from_numpy(self._words.text), torch.from_numpy(self._words.offsets)
        return {"words": text, "offsets": offsets, "matrix": matrix}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> WordVectors:
        """Make the table again from what `to_tensors` returned.

        Raises:
            ModelFileError: If the tensors are not those of a table of word vectors.
        """
        text = _model_array(tensors, "words", torch.uint8, ndim=1)
        offsets = _model_array(tensors, "offsets", torch.int64, ndim=1)
        matrix = _model_array(tensors, "matrix", torch.float32, ndim=2)
        words = PackedWords(text, offsets)
        if fault := words.fault() or ("" if len(words) == len(matrix) else f"{len(words):,} for {len(matrix):,} rows"):
            raise ModelFileError(f"the words of the word vectors are damaged ({fault}): copy or save the model again")
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
    entry = get_cache_root() / "vectors" / _entry_name(path)
    if (stored := _open_entry(entry)) is not None:
        return stored
    _log.info("converting the word vectors in %s once; later loads map them from %s", path, entry)
    vectors, reason = _read(path), "it was removed at once"
    try:
        _write_entry(entry, vectors, source=path)
    except OSError as error:  # another process may have been faster all the same
        reason = str(error)
    if (stored := _open_entry(entry)) is None:
        _log.warning("the converted word vectors cannot be kept in %s and stay in memory: %s", entry, reason)
        return vectors
    return stored


class PackedWords:
    """Words as one run of bytes, found by binary search over their sorted hashes.

    A dict of 400,000 strings takes 60 MB and 0.14 s in each process; these arrays are mapped from disk and shared.

    Args:
        text: (N,) the words' UTF-8 one after the other, with lone surrogates encoded too, so that every str has a form.
        offsets: (V + 1,) word v is `text[offsets[v] : offsets[v + 1]]`.
        hashes: (V,) ascending; worked out when needed, if not given.
        order: (V,) the row of each of `hashes`, ascending where those are equal.
    """

    def __init__(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        hashes: NDArray[np.uint64] | None = None,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.text, self.offsets = text, offsets
        self._index = None if hashes is None or order is None else _Index(hashes, order)

    @classmethod
    def pack(cls, words: Iterable[str]) -> PackedWords:
        """Pack strings."""
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(word) for word in encoded], out=offsets[1:])
        return cls(np.frombuffer(bytearray().join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        text, offsets = self.text.tobytes(), self.offsets.tolist()
        for start, end in pairwise(offsets):
            yield text[start:end].decode("utf-8", "surrogatepass")

    def fault(self) -> str:
        """Say why these arrays cannot be words, or return the empty string."""
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.text):
            return "the offsets do not span the text"
        if np.any(np.diff(self.offsets) < 0):
            return "the offsets do not ascend"
        try:
            self.text.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            return str(error)
        starts = self.offsets[self.offsets < len(self.text)]
        return "an offset cuts a character in two" if np.any(self.text[starts] & 0xC0 == 0x80) else ""

    @cached_property
    def index(self) -> _Index:
        """The sorted hashes and their rows: given, or worked out once."""
        if self._index is not None:
            return self._index
        hashes = self.hashes()
        order = np.argsort(hashes, kind="stable")
        return _Index(hashes[order], order)

    def hashes(self) -> NDArray[np.uint64]:
        """Return the 64-bit FNV-1a hash of each word, taking one byte of all words at a time: (V,)."""
        lengths = np.diff(self.offsets)
        hashes = np.full(len(self), 0xCBF29CE484222325, np.uint64)
        longer, place = np.flatnonzero(lengths), 0
        while longer.size:
            byte = self.text[self.offsets[longer] + place]
            hashes[longer] = (hashes[longer] ^ byte) * np.uint64(0x100000001B3)
            place += 1
            longer = longer[lengths[longer] > place]
        return hashes

    def find(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the first row of each word as it stands, -1 where there is none: (U,)."""
        queries, index = PackedWords.pack(words), self.index
        wanted = queries.hashes()  # (U,)
        rows = np.full(len(words), -1, np.int64)
        place = np.searchsorted(index.hashes, wanted)  # (U,)
        left = np.arange(len(words))
        while True:  # a second turn only where different words share a hash
            left = left[place[left] < len(self)]
            left = left[index.hashes[place[left]] == wanted[left]]
            if not left.size:
                return rows
            candidates = index.order[place[left]]
            same = _same_words(self, candidates, queries, left)
            rows[left[same]] = candidates[same]
            left = left[~same]
            place[left] += 1


@dataclass(frozen=True)
class _Index:
    hashes: NDArray[np.uint64]  # (V,)
    order: NDArray[np.int64]  # (V,)


def _same_words(
    first: PackedWords, rows: NDArray[np.int64], second: PackedWords, others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Compare word `rows[n]` of the first with word `others[n]` of the second, byte for byte: (N,)."""
    start, other_start = first.offsets[rows], second.offsets[others]
    lengths = first.offsets[rows + 1] - start
    same: NDArray[np.bool_] = lengths == second.offsets[others + 1] - other_start
    lengths = np.where(same, lengths, 0)
    pair = np.repeat(np.arange(len(rows)), lengths)  # the n of each byte that is compared
    place = np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    same[pair[first.text[start[pair] + place] != second.text[other_start[pair] + place]]] = False
    return same


def _model_array(tensors: Mapping[str, torch.Tensor], name: str, dtype: torch.dtype, *, ndim: int) -> NDArray[Any]:
    """Return a tensor of a model file as an array; a matrix may come in any floating type."""
    tensor = tensors.get(name)
    if isinstance(tensor, torch.Tensor):
        if tensor.ndim == ndim and (tensor.dtype == dtype or (dtype.is_floating_point and tensor.is_floating_point())):
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
        return WordVectors(PackedWords(**arrays), matrix)
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


@dataclass(frozen=True)
class _Layout:
    """What the beginning of a file tells of it."""

    form: str  # "text", "binary" or "gensim"
    count: int | None = None  # of words, if a header gives it
    dim: int = 0


def _read(path: Path) -> WordVectors:
    """Read a file in any of the formats into memory."""
    try:
        layout = _layout(path)
        table = _gensim_pickle(path) if layout.form == "gensim" else _gensim_word2vec(path, layout)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFormatError(f"damaged or cut short: {error}", path=path, remedy="Download it again") from error
    size = len(table.key_to_index)  # after words that occur twice, gensim leaves as many rows of zeros at the end
    words, matrix = table.index_to_key[:size], table.vectors[:size]
    if not size or matrix.ndim != 2 or matrix.shape[0] != size or not matrix.shape[1]:
        raise DataFormatError(f"expected a vector for each of {size} words, got {matrix.shape}", path=path)
    if not all(isinstance(word, str) for word in words):
        raise DataFormatError("expected vectors of words, got vectors of numbered things", path=path)
    with np.errstate(over="ignore"):
        matrix = matrix.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        problem = f"expected finite float32 numbers, got others in {bad.size:,} vectors, first in that of"
        raise DataFormatError(f"{problem} {words[bad[0]]!r}", path=path)
    if broken := sum(_SURROGATE.search(word) is not None for word in words):
        _log.warning("%s: %d words are no valid UTF-8; they are kept, but no text matches them", path, broken)
    return WordVectors(words, matrix)


def _source(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP
    if is_gzip != (path.suffix.lower() == ".gz"):  # gensim goes by the name
        raise DataFormatError(
            f"the content is {'' if is_gzip else 'not '}gzip, the name says otherwise",
            path=path,
            remedy="Rename it: .gz for gzip, anything else for no compression",
        )
    return gzip.open(path) if is_gzip else path.open("rb")  # type: ignore[return-value]  # it reads like one


def _layout(path: Path) -> _Layout:
    """Tell the format of a file from its beginning."""
    with _source(path) as stream:
        first = stream.readline(1 << 20)
        if first[:2] in _PICKLE:
            return _Layout("gensim")
        header = _HEADER.fullmatch(first)
        if header is None:
            return _Layout("text", dim=max(len(first.split()) - 1, 1))
        count, dim = map(int, header.groups())
        if not count or not 0 < dim <= _MAX_DIM:
            raise DataFormatError(f"expected numbers of words and dimensions, got {count} and {dim}", path=path, line=1)
        values = stream.read(4 * dim + 1000).partition(b" ")[2]
    return _Layout("text" if _is_text(values, dim) else "binary", count, dim)


def _is_text(values: bytes, dim: int) -> bool:
    """Tell numbers in text from `dim` floats, of which a few may look like text by chance."""
    sample, end = values[: 4 * dim], values.find(b"\n")
    if end >= 2 * dim - 1:  # the end of a row of text; the next word may have any bytes
        sample = sample[:end]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # which lets a character be cut off at the end
        if dim < 8:
            float(values.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return False
    return not any(byte in _CONTROL for byte in sample)


def _gensim_pickle(path: Path) -> Any:
    from gensim.models import KeyedVectors

    try:
        table = KeyedVectors.load(str(path))
    except Exception as error:  # a pickle can raise anything
        problem = f"gensim cannot load this pickle: {type(error).__name__}: {error}"
        raise DataFormatError(problem, path=path, remedy=_FORMATS) from error
    table = getattr(table, "wv", table)  # a whole Word2Vec model has its vectors there
    if not isinstance(table, KeyedVectors):
        problem = f"expected KeyedVectors, got a pickled {type(table).__name__}"
        raise DataFormatError(problem, path=path, remedy=_FORMATS)
    return table


def _gensim_word2vec(path: Path, layout: _Layout) -> Any:
    """Check what gensim does not (or not where it says the line), then let it read the file."""
    from gensim.models import KeyedVectors

    with _source(path) as stream:
        count = (_check_text if layout.form == "text" else _check_binary)(stream, path, layout)
    try:
        with np.errstate(over="ignore"), warnings.catch_warnings():  # what overflows is found as infinite
            warnings.simplefilter("ignore", ResourceWarning)  # gensim leaves a file without a header open
            table = KeyedVectors.load_word2vec_format(
                str(path),
                binary=layout.form == "binary",
                no_header=layout.count is None,
                limit=count,
                unicode_errors="surrogateescape",  # different broken words stay different
            )
    except ValueError as error:
        raise DataFormatError(f"gensim cannot read it: {error}", path=path, remedy=_FORMATS) from error
    if repeated := count - len(table.key_to_index):
        _log.warning("%s: %d rows are of words that came before; the first vector of each counts", path, repeated)
    return table


def _check_text(stream: BinaryIO, path: Path, layout: _Layout) -> int:
    """Count the rows if each is well formed: gensim spreads a lone number over its row, and reads `nan` as a number."""
    if layout.count is not None:
        stream.readline()
    count, blank = 0, None
    for line, row in enumerate(stream, 1 if layout.count is None else 2):
        row = row.rstrip()
        if not row:
            blank = blank or line
            continue
        if blank:
            raise DataFormatError("expected a vector, got a blank line", path=path, line=blank, remedy=_FORMATS)
        values = row.partition(b" ")[2]
        if not len(values.split()) == values.count(b" ") + 1 == layout.dim or values.translate(None, _NUMBER):
            problem = f"expected a word and {layout.dim} finite numbers, one space between, got {len(row.split())}"
            raise DataFormatError(f"{problem} fields: {row[:60]!r}", path=path, line=line, remedy=_FORMATS)
        count += 1
    if count != (layout.count or count):
        raise _wrong_count(path, layout, f"{count:,}")
    if not count:
        raise DataFormatError("expected word vectors, got an empty file", path=path, remedy=_FORMATS)
    return count


def _check_binary(stream: BinaryIO, path: Path, layout: _Layout) -> int:
    """Count the words if they fill the file: gensim says not which one is cut short, and ignores what comes after."""
    stream.readline()
    count, size = layout.count or 0, 4 * layout.dim
    for word in range(count):
        while (byte := stream.read(1)) != b" " and byte:
            pass
        if len(stream.read(size)) != size:
            raise _wrong_count(path, layout, f"{word:,} whole ones")
    if stream.read(2).strip():
        raise _wrong_count(path, layout, "more")
    return count


def _wrong_count(path: Path, layout: _Layout, found: str) -> DataFormatError:
    problem = f"expected {layout.count:,} words with {layout.dim} numbers each, as the header says, got {found}"
    return DataFormatError(problem, path=path, remedy="Copy or download it again; if it is whole, correct line 1")
