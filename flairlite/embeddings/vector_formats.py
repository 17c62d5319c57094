"""Files of word vectors: word2vec's text and binary forms, GloVe's text and gensim's own form, plain or in gzip."""

from __future__ import annotations

import codecs
import gzip
import logging
import re
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flairlite.errors import DataFormatError

_log = logging.getLogger("flairlite")

_HEADER = re.compile(rb"(\d{1,30})[ \t]+(\d{1,30})\s*")  # of word2vec: V and D
_GZIP, _PICKLE = b"\x1f\x8b", tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_CONTROL = bytes({*range(32), 127} - {*b"\t\n\r"})  # what text is not written with
_SURROGATE = re.compile("[\ud800-\udfff]")  # what a byte that is no UTF-8 is read as
_FORMATS = "The file must be word2vec text or binary, GloVe text or gensim KeyedVectors, plain or in gzip"
_MAX_DIM = 1_000_000  # a header with more than this is no header


@dataclass(frozen=True)
class VectorFile:
    """What a file of word vectors holds."""

    words: list[str]  # V distinct ones; bytes that are no UTF-8 as surrogates, so that different words stay different
    matrix: NDArray[np.float32]  # (V, D), finite


def read_vector_file(path: Path) -> VectorFile:
    """Read a file of word vectors; its content decides which format it has.

    Text and binary are read here and not by gensim, which takes four times as long, stops at the count of the header,
    spreads a lone number over its row and knows no line numbers; gensim reads its own format, which is a pickle.

    Raises:
        DataFormatError: If the file is damaged or of another format.
    """
    try:
        with _open(path) as stream:
            first = stream.readline(1 << 20)
            if first[:2] not in _PICKLE:
                return _finish(_read_rows(stream, first, path), path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFormatError(f"damaged or cut short: {error}", path=path, remedy="Download it again") from error
    return _finish(_read_pickle(path), path)


@dataclass(frozen=True)
class _Rows:
    words: list[str]
    matrix: NDArray[np.floating[Any]]  # (rows, D)
    first_line: int | None = None  # of text


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP
    return gzip.open(path) if is_gzip else path.open("rb")  # type: ignore[return-value]  # it reads like one


def _read_rows(stream: BinaryIO, first: bytes, path: Path) -> _Rows:
    header = _HEADER.fullmatch(first)
    if header is None:
        return _read_text(chain([first], stream), max(len(first.split()) - 1, 1), path, first_line=1)
    count, dim = map(int, header.groups())
    if not count or not 0 < dim <= _MAX_DIM:
        raise DataFormatError(f"expected numbers of words and dimensions, got {count} and {dim}", path=path, line=1)
    values = stream.read(4 * dim + 1000).partition(b" ")[2]
    stream.seek(len(first))
    if not _is_text(values, dim):
        return _read_binary(stream, count, dim, path)
    rows = _read_text(stream, dim, path, first_line=2)
    if len(rows.words) != count:
        raise _wrong_count(path, count, dim, f"{len(rows.words):,}")
    return rows


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


def _read_text(lines: Iterable[bytes], dim: int, path: Path, *, first_line: int) -> _Rows:
    words, values, blank = [], array("f"), None
    for line, row in enumerate(lines, first_line):
        row = row.rstrip()
        word, *fields = row.split(b" ")  # at spaces only: words have no-break spaces in them
        if not word and not fields:
            blank = blank or line
            continue
        if blank:
            raise DataFormatError("expected a vector, got a blank line", path=path, line=blank, remedy=_FORMATS)
        try:
            values.extend(map(float, fields))
        except ValueError:
            fields = []
        if len(fields) != dim:
            problem = f"expected a word and {dim} numbers, one space between, got {row.count(b' ') + 1} fields"
            raise DataFormatError(f"{problem}: {row[:60]!r}", path=path, line=line, remedy=_FORMATS)
        words.append(word.decode("utf-8", "surrogateescape"))
    return _Rows(words, np.frombuffer(values, np.float32).reshape(-1, dim), first_line)


def _read_binary(stream: BinaryIO, count: int, dim: int, path: Path) -> _Rows:
    words, values, size = [], bytearray(), 4 * dim
    for number in range(count):
        word = bytearray()
        while (byte := stream.read(1)) != b" " and byte:
            word += byte
        vector = stream.read(size)
        if len(vector) != size:
            raise _wrong_count(path, count, dim, f"{number:,} whole ones")
        words.append(word.lstrip(b"\n").decode("utf-8", "surrogateescape"))  # some programs end the vectors with one
        values += vector
    if stream.read(2).strip():
        raise _wrong_count(path, count, dim, "more")
    return _Rows(words, np.frombuffer(values, "<f4").reshape(-1, dim))


def _wrong_count(path: Path, count: int, dim: int, found: str) -> DataFormatError:
    problem = f"expected {count:,} words with {dim} numbers each, as the header says, got {found}"
    return DataFormatError(problem, path=path, remedy="Copy or download it again; if it is whole, correct line 1")


def _read_pickle(path: Path) -> _Rows:
    from gensim.models import KeyedVectors

    try:
        table = KeyedVectors.load(str(path))
    except Exception as error:  # a pickle can raise anything
        problem = f"gensim cannot load this pickle: {type(error).__name__}: {error}"
        raise DataFormatError(problem, path=path, remedy=_FORMATS) from error
    table = getattr(table, "wv", table)  # a whole Word2Vec model has its vectors there
    if not isinstance(table, KeyedVectors):
        raise DataFormatError(
            f"expected KeyedVectors, got a pickled {type(table).__name__}", path=path, remedy=_FORMATS
        )
    size = len(table.key_to_index)  # where gensim read words twice, it left as many rows of zeros at the end
    words, matrix = table.index_to_key[:size], table.vectors[:size]
    if not all(isinstance(word, str) for word in words):
        raise DataFormatError("expected vectors of words, got vectors of numbered things", path=path)
    if matrix.ndim != 2 or len(matrix) != size:
        raise DataFormatError(f"expected a vector for each of {size} words, got {matrix.shape}", path=path)
    return _Rows(words, matrix)


def _finish(rows: _Rows, path: Path) -> VectorFile:
    """Check and repair what is the same in all formats."""
    with np.errstate(over="ignore"):
        words, matrix = rows.words, rows.matrix.astype(np.float32, copy=False)
    if not matrix.size:
        raise DataFormatError("expected word vectors, got an empty file", path=path, remedy=_FORMATS)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        line = None if rows.first_line is None else rows.first_line + int(bad[0])
        problem = f"expected finite float32 numbers, got others in {bad.size:,} vectors, first {words[bad[0]]!r}"
        raise DataFormatError(problem, path=path, line=line)
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        row_of.setdefault(word, row)
    if repeated := len(words) - len(row_of):
        _log.warning("%s: %d rows are of words that came before; the first vector of each counts", path, repeated)
        words, matrix = list(row_of), matrix[list(row_of.values())]
    if broken := sum(_SURROGATE.search(word) is not None for word in words):
        _log.warning("%s: %d words are no valid UTF-8; they are kept, but no text matches them", path, broken)
    return VectorFile(words, matrix)
