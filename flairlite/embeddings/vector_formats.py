"""Readers of files of word vectors; the content of a file decides its format, not its name."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import logging
import lzma
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flairlite.embeddings.gensim_files import NotWordVectorsError, read_gensim_file, split_keyed_vectors
from flairlite.errors import DataFormatError, DataUnavailableError
from flairlite.storage.pickle_reader import ArchiveError

log = logging.getLogger("flairlite")

_HEADER = re.compile(rb"[ \t]*(\d{1,30})[ \t]+(\d{1,30})\s*")  # the first line of word2vec and fastText files: V and D
_NUMBER = re.compile(rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
_NUMERIC = b"0123456789+-.,eE \t\r\n"
_CONTROL = bytes({*range(32), 127} - {*b"\t\n\r"})  # characters that text does not contain
_SURROGATE = re.compile("[\ud800-\udfff]")  # stands for a byte that is not valid UTF-8
_DECIMAL = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")
_MAX_DIM = 1_000_000  # a larger number in the first line is not the width of vectors
_NUMBERED = 5  # a first vector of at least this length, of 0, 1, 2, 3, 4 ..., is rather the header of a table
_BLOCK = 1 << 14  # rows checked at a time

_COMPRESSION: dict[bytes, tuple[str, Any]] = {
    b"\x1f\x8b": (".gz", gzip.open), b"BZh": (".bz2", bz2.open), b"\xfd7zXZ\0": (".xz", lzma.open),
}  # fmt: skip
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_FASTTEXT = b"\xba\x16\x4f\x2f"

_FORMATS = (
    "The file must be word2vec text or binary, GloVe text, fastText .vec or .bin, or gensim KeyedVectors, plain or "
    "compressed with gzip, bzip2, xz or zip"
)
_AGAIN = "Download the file again"
_UNPACK = "Unpack it, and give the path of the file of vectors in it"
_AS_DICT = "Read it with the library that wrote it, and pass the vectors as a dict: WordEmbeddings({word: vector, ...})"
_OTHER_CONTENT = (  # what the start of a file shows, and the remedy
    (rb"version https://git-lfs", "a pointer of Git LFS", "Fetch the file itself with `git lfs pull`"),
    (rb"(?i:\s*<(!doctype|html|\?xml|head|!--))", "a web page", f"{_AGAIN}: the address returned a page instead"),
    (rb"\s*[\[{]", "JSON", _AS_DICT),
    (rb"\x93NUMPY", "a NumPy array without its words", "If gensim wrote it, give the file without `.npy` at the end. "
     "Otherwise read the array and its words, and pass a dict: WordEmbeddings(dict(zip(words, matrix)))"),
    (rb"PK[\3\5\7]", "a damaged zip archive", _AGAIN),
    (rb"\x89HDF", "an HDF5 file", _AS_DICT),
    (rb"SQLite format 3", "an SQLite database, such as Magnitude's", _AS_DICT),
    (rb".{7}\0\{", "a safetensors file", _AS_DICT),
    (rb"PAR1|ARROW1|\xff{4}.{3}\0", "a Parquet or Arrow file", _AS_DICT),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18", "an archive of another kind", _UNPACK),
    (rb"\([dl]p\d*\n|c(copy_reg|__builtin__|numpy|gensim)[\w.]*\n|[(\]}]q", "a pickle of an old kind", _AS_DICT),
    (rb"[^\n]*\d,\d", "numbers with commas", "Write decimal points, and separate the numbers by spaces or tabs"),
    (rb"[^\n]*\0", "binary data or text in UTF-16 without a byte order mark", f"Save text as UTF-8. {_FORMATS}"),
)  # fmt: skip


@dataclass(frozen=True)
class VectorFile:
    """The content of a file of word vectors.

    Attributes:
        words: V words; bytes that are not valid UTF-8 are surrogates, so that different words stay different.
        matrix: (V, D) the vectors.
        first_line: The number of the line of the first word, if the file is text.
    """

    words: list[str]
    matrix: NDArray[np.floating[Any]]
    first_line: int | None = None


def read_vector_file(path: Path) -> VectorFile:
    """Read a file of word vectors, of which the words are then distinct and the numbers finite.

    Text and binary files of word2vec are read here and not by gensim, which takes four times as long, stops at the
    count of the header, broadcasts a lone number over its row and knows no line numbers. Its own format, which is a
    pickle, is read here too, because gensim would execute what is in it. Gensim reads the binary format of fastText.

    Raises:
        DataFormatError: If the file is damaged or of another format.
        DataUnavailableError: If the file cannot be read.
    """
    try:
        with _open(path) as stream:
            start = stream.read(4)
            stream.seek(0)
            if start[:2] in _PICKLE:
                return _finish(_read_pickle(stream, path), path)
            if start != _FASTTEXT:
                return _finish(_read_rows(_decode(stream, start), path), path)
        return _finish(_read_fasttext(path), path)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, UnicodeError) as error:
        raise DataFormatError(f"damaged or cut short: {error}", path=path, remedy=_AGAIN) from error
    except OSError as error:
        if error.errno is None:  # the decompressors' own errors
            raise DataFormatError(f"damaged or cut short: {error}", path=path, remedy=_AGAIN) from error
        raise DataUnavailableError(f"cannot read {path}: {error.strerror}") from error


def _open(path: Path) -> BinaryIO:
    """Open a file, or the one file in a zip archive, for reading its decompressed content."""
    with path.open("rb") as file:
        start = file.read(6)
    if start[:4] == b"PK\3\4":
        return _open_member(path)
    open_file = next((function for magic, (_, function) in _COMPRESSION.items() if start.startswith(magic)), open)
    return open_file(path, "rb")


def _open_member(path: Path) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    members = [
        info for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
        and not re.match(r"\.|readme|license", PurePosixPath(info.filename).name, re.IGNORECASE)
    ]  # fmt: skip
    names = [info.filename for info in members]
    if names and (all(name.endswith(".npy") for name in names) or any(name.endswith("data.pkl") for name in names)):
        raise DataFormatError("expected word vectors, got arrays of NumPy or PyTorch", path=path, remedy=_AS_DICT)
    if len(members) != 1:
        shown = ", ".join(names[:10]) or "none"
        raise DataFormatError(f"expected one file in the archive, got {len(names)}: {shown}", path=path, remedy=_UNPACK)
    try:
        return archive.open(members[0])  # type: ignore[return-value]
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed with another method
        raise DataFormatError(f"cannot unpack the archive: {error}", path=path, remedy=_UNPACK) from error


def _decode(stream: BinaryIO, start: bytes) -> BinaryIO:
    """Return the content as UTF-8 without a byte order mark, with line feeds at the ends of lines."""
    encoding = next((name for mark, name in _ENCODINGS.items() if start.startswith(mark)), None)
    if encoding == "utf-8":
        stream.read(len(codecs.BOM_UTF8))
    elif encoding is not None:
        return io.BytesIO(stream.read().decode(encoding).encode())
    begin = stream.tell()
    first = stream.readline(1 << 20)
    stream.seek(begin)
    if _count_numbers(first.partition(b"\r")[0]) and re.search(rb"\r(?!\n|\Z)", first):  # lines end in \r alone
        return io.BytesIO(stream.read().replace(b"\r", b"\n"))
    return stream


def _read_rows(stream: BinaryIO, path: Path) -> VectorFile:
    begin = stream.tell()
    first = stream.readline(1 << 20)
    header = _HEADER.fullmatch(first)
    if header is None:
        dim = _count_numbers(first)
        if (not dim and first.strip()) or first[257:262] == b"ustar":
            raise _unknown_format(first, path)
        return _read_text(chain([first], stream), dim, path, first_line=1)
    count, dim = map(int, header.groups())
    if not count or not 0 < dim <= _MAX_DIM:
        raise DataFormatError(
            f"expected the numbers of words and dimensions, got {count} and {dim}", path=path, line=1, remedy=_FORMATS
        )
    sample = stream.read(4 * dim + 1000)
    stream.seek(begin + len(first))
    if sample and not _is_text(sample, dim):
        return _read_binary(stream, count, dim, path)
    rows = _read_text(stream, dim, path, first_line=2)
    if len(rows.words) != count:
        raise _wrong_count(path, count, dim, f"{len(rows.words):,}")
    return rows


def _unknown_format(first: bytes, path: Path) -> DataFormatError:
    for pattern, content, remedy in _OTHER_CONTENT:
        if re.match(pattern, first, re.DOTALL):
            return DataFormatError(f"expected word vectors, got {content}", path=path, line=1, remedy=remedy)
    return DataFormatError(f"expected a word and numbers, got {first[:60]!r}", path=path, line=1, remedy=_FORMATS)


def _count_numbers(row: bytes) -> int:
    """Count the numbers at the end of a row, except a number that is the word."""
    tokens = row.split()
    if not row[:1].isspace():  # otherwise the word is empty or a blank
        tokens = tokens[1:]
    count = 0
    while count < len(tokens) and _NUMBER.fullmatch(tokens[-1 - count]):
        count += 1
    return count


def _is_text(sample: bytes, dim: int) -> bool:
    """Return whether the bytes after the header are text, and not a word and `dim` floats that may look like text."""
    row = sample.partition(b"\n")[0]
    if _count_numbers(row) >= dim:
        return True
    values = sample.partition(b"\t" if b"\t" in row and b" " not in row else b" ")[2]
    if values and not values[: 4 * dim].strip(_NUMERIC):  # also malformed numbers
        return True
    end = values.find(b"\n")
    values = values[:end] if end >= 2 * dim - 1 else values[: 4 * dim]  # the next word may have any bytes
    try:
        codecs.getincrementaldecoder("utf-8")().decode(values)  # incremental: the sample may end inside a character
        if dim < 8:
            float(values.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return False
    return not any(byte in _CONTROL for byte in values)


def _read_text(lines: Iterable[bytes], dim: int, path: Path, *, first_line: int) -> VectorFile:
    words, values, blank = [], array("f"), None
    separator = b" "  # not any white space: words contain no-break spaces
    for line, row in enumerate(lines, first_line):
        row = row.rstrip()
        if line == first_line and row.count(b"\t") >= dim:
            separator = b"\t"
        word, *fields = row.split(separator)
        if not word and not fields:
            blank = blank or line
            continue
        if blank:
            raise DataFormatError("expected a vector, got a blank line", path=path, line=blank, remedy=_FORMATS)
        if len(fields) != dim:
            word, fields = _split_row(row, dim)
        try:
            values.extend(map(float, fields))
        except ValueError:
            fields = []
        if len(fields) != dim:
            raise _wrong_row(row, dim, path, line)
        words.append(word.lstrip(b"\t").decode("utf-8", "surrogateescape"))
    return VectorFile(words, np.frombuffer(values, np.float32).reshape(-1, max(dim, 1)), first_line)


def _split_row(row: bytes, dim: int) -> tuple[bytes, list[bytes]]:
    """Split a row with a blank in its word or with more than one separator; without fields if that is not possible."""
    word, *fields = row.rsplit(None, dim)
    if len(fields) == dim - 1 and row[:1].isspace():  # the word is a blank
        return row[: len(row) - len(row.lstrip())][:-1], [word, *fields]
    has_number = any(map(_NUMBER.fullmatch, word.split()[1:]))  # then the row rather has too many numbers
    return word.strip(), [] if has_number else fields


def _wrong_row(row: bytes, dim: int, path: Path, line: int) -> DataFormatError:
    remedy = next((remedy for pattern, _, remedy in _OTHER_CONTENT[-2:] if re.match(pattern, row)), _FORMATS)
    return DataFormatError(
        f"expected a word and {dim} numbers, but the row ends with {_count_numbers(row)}: {row[:60]!r}",
        path=path,
        line=line,
        remedy=remedy,
    )


def _read_binary(stream: BinaryIO, count: int, dim: int, path: Path) -> VectorFile:
    words, values, size = [], bytearray(), 4 * dim
    for index in range(count):
        word = bytearray()
        while (byte := stream.read(1)) != b" " and byte:
            word += byte
        vector = stream.read(size)
        if len(vector) != size:
            raise _wrong_count(path, count, dim, f"{index:,} whole vectors")
        words.append(word.lstrip(b"\n").decode("utf-8", "surrogateescape"))  # some programs write \n after a vector
        values += vector
    if stream.read(2).strip():
        raise _wrong_count(path, count, dim, "more")
    return VectorFile(words, np.frombuffer(values, "<f4").reshape(-1, dim))


def _wrong_count(path: Path, count: int, dim: int, found: str) -> DataFormatError:
    problem = f"expected {count:,} words with {dim} numbers each, as the header says, got {found}"
    remedy = f"{_AGAIN}; if it is complete, correct its first line. Binary files need words without blanks, and float32"
    return DataFormatError(problem, path=path, remedy=remedy)


def _read_fasttext(path: Path) -> VectorFile:
    from gensim.models.fasttext import load_facebook_vectors

    with path.open("rb") as file:
        is_packed = file.read(4) != _FASTTEXT
    if is_packed:  # gensim decides by the suffix, and reads wrong numbers from a compressed file
        raise DataFormatError("a compressed fastText file of this name cannot be read", path=path, remedy=_UNPACK)
    try:
        words, matrix = split_keyed_vectors(load_facebook_vectors(str(path)), str(path))
    except Exception as error:  # for a damaged file, of many types
        raise _not_loaded("fastText file", path, error) from error
    return VectorFile(words, matrix)


def _read_pickle(stream: BinaryIO, path: Path) -> VectorFile:
    """Read a file that gensim's `save` wrote, without executing it."""
    content = stream.read()
    try:
        words, matrix = split_keyed_vectors(read_gensim_file(path, content), str(path))
    except FileNotFoundError as error:
        remedy = "Gensim stores large arrays in files beside the first: put all of them into one folder"
        raise DataFormatError(f"the file {error.filename} is missing", path=path, remedy=remedy) from error
    except Exception as error:  # the content may be anything
        raise _not_loaded("pickle", path, error) from error
    return VectorFile(words, matrix)


def _not_loaded(what: str, path: Path, error: Exception) -> DataFormatError:
    is_described = isinstance(error, (NotWordVectorsError, ArchiveError))
    reason = str(error) if is_described else f"{type(error).__name__}: {error}"
    return DataFormatError(f"no word vectors can be read from this {what}: {reason}", path=path, remedy=_AS_DICT)


def _finish(rows: VectorFile, path: Path) -> VectorFile:
    """Check the content, and drop repeated words."""
    with np.errstate(over="ignore"):
        words, matrix = rows.words, rows.matrix.astype(np.float32, copy=False)
    if not matrix.size:
        raise DataFormatError("expected word vectors, got an empty file", path=path, remedy=f"{_AGAIN}. {_FORMATS}")
    if rows.first_line is not None:
        _check_text(words, matrix[0], path, line=rows.first_line)
    bad = _rows_with(lambda values: ~np.isfinite(values), matrix)
    if bad.size:
        line = None if rows.first_line is None else rows.first_line + int(bad[0])
        problem = f"expected finite float32 numbers, got others in {bad.size:,} vectors, first {words[bad[0]]!r}"
        raise DataFormatError(problem, path=path, line=line, remedy="Remove or correct these vectors")
    odd = _rows_with(lambda values: (values > 1e15) | ((values < 1e-15) & (values > 0)), matrix)
    if odd.size:
        log.warning(
            "%s: %d vectors have absolute values above 1e15 or, except zero, below 1e-15, first %r. The cause may be a "
            "binary file with blanks in words, or numbers of another type or byte order: save the vectors as text",
            path,
            odd.size,
            words[odd[0]],
        )
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        row_of.setdefault(word, row)
    if repeated := len(words) - len(row_of):
        log.warning("%s: %d rows repeat an earlier word; the first vector of each word is used", path, repeated)
        words, matrix = list(row_of), matrix[list(row_of.values())]
    if broken := sum(_SURROGATE.search(word) is not None for word in words):
        log.warning("%s: %d words are not valid UTF-8; they are kept, but match no text", path, broken)
    return VectorFile(words, matrix)


def _check_text(words: list[str], first_vector: NDArray[np.float32], path: Path, *, line: int) -> None:
    """Refuse tables with names of columns, with quoted words, and without words, whose rows look like vectors."""
    problem, remedy = "", "Write the file without them"
    if len(first_vector) >= _NUMBERED and np.array_equal(first_vector, np.arange(len(first_vector))):
        problem = "expected a vector, got the numbers of the columns"
    elif len(words) > 1 and all(re.fullmatch('".+"', word, re.DOTALL) for word in words):
        problem = "expected words, got words in quotation marks"
    elif len(words) > 1 and all(_DECIMAL.fullmatch(word) for word in words):
        problem, remedy = "expected a word in each row, got only numbers", _AS_DICT
    if problem:
        raise DataFormatError(problem, path=path, line=line, remedy=remedy)


def _rows_with(
    check: Callable[[NDArray[np.float32]], NDArray[np.bool_]], matrix: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the rows in which the check is true for an absolute value; takes little memory for a large matrix."""
    blocks = range(0, len(matrix), _BLOCK)
    return np.flatnonzero(np.concatenate([check(np.abs(matrix[i : i + _BLOCK])).any(axis=1) for i in blocks]))
