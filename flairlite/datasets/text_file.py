"""Text files as records, the lines of a sentence, and datasets of such files, in memory or on disk."""

from __future__ import annotations

import codecs
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from flairlite.checks import can_be_path, flag, shown, whole_number
from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.deferred import no_garbage_collection
from flairlite.errors import DataFormatError, SettingError

JSON_LINES = (".jsonl", ".ndjson")  # endings of names

_SENTENCES_AT_ONCE = 1024  # made before the first of them is yielded
_CHUNK = 1 << 20  # bytes per read
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SIGNATURES = {  # first bytes of files that are not text in a supported encoding
    b"\x1f\x8b": "It is compressed with gzip: decompress it first",
    b"BZh": "It is compressed with bzip2: decompress it first",
    b"\xfd7zXZ": "It is compressed with xz: decompress it first",
    b"PK\x03\x04": "It is a zip archive: unpack it first",
    b"\xff\xfe": "It is in UTF-16 or UTF-32: convert it to UTF-8",
    b"\xfe\xff": "It is in UTF-16: convert it to UTF-8",
}
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Record:
    r"""The lines of a sentence.

    Attributes:
        text: The lines, each with its end as `\n`.
        line: The 1-based number of the first line.
        start: Offset of the first byte in the file.
        end: Offset of the last byte, exclusive.
    """

    text: str
    line: int
    start: int
    end: int

    @property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return self.text.removesuffix("\n").split("\n")


class TextFile:
    """A text file that is read record by record, from its start or from a known offset.

    Lines end with a line feed, a carriage return or both. The file is closed between reads, so the object can be shared
    by threads and pickled.

    Args:
        path: The file.
        encoding: Its encoding, in which line feeds and blanks must be those of ASCII.
        skip_lines: Number of lines to skip at the start.

    Raises:
        DataFormatError: If the file cannot be opened.
        SettingError: If `path` is not a path, the encoding is unknown or not like ASCII, or `skip_lines` is no number.
    """

    def __init__(self, path: str | Path, encoding: str = "utf-8", skip_lines: int = 0) -> None:
        self.path, self.encoding = to_path(path), _check_encoding(encoding)
        self.skip_lines: int = whole_number(least=0)("skip_lines", skip_lines)
        with self.open() as file:
            self._state = _state_of(file)

    def records(self, is_border: Callable[[bytes], bool] | None = None) -> Iterator[Record]:
        """Yield the records in order.

        Args:
            is_border: Whether a line separates two records. When None, each line that is not blank is a record.

        Raises:
            DataFormatError: If a line cannot be decoded.
        """
        lines: list[bytes] = []
        first = start = end = 0
        with self.open() as file:
            for number, line in enumerate(split_lines(file), 1):
                offset, end = end, end + len(line)
                if number <= self.skip_lines or (line.isspace() if is_border is None else is_border(line)):
                    if lines:
                        yield self._record(b"".join(lines), first, start)
                        lines = []
                    continue
                if not lines:
                    first, start = number, offset
                lines.append(line)
                if is_border is None:
                    yield self._record(line, first, start)
                    lines = []
        if lines:
            yield self._record(b"".join(lines), first, start)

    def record_at(self, file: BinaryIO, start: int, end: int, line: int) -> Record:
        """Return the record at an offset of the open file.

        Raises:
            DataFormatError: If the file has changed since it was first read.
        """
        if _state_of(file) != self._state:
            raise self.error("the file has changed since it was first read", remedy="Create the corpus again")
        file.seek(start)
        return self._record(file.read(end - start), line, start)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for reading bytes.

        Raises:
            DataFormatError: If it cannot be opened or read.
        """
        try:
            with self.path.open("rb") as file:
                yield file
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror or error}", remedy="Check the path") from error

    def error(self, problem: str, line: int | None = None, remedy: str = "") -> DataFormatError:
        """Return an error that names this file."""
        return DataFormatError(problem, path=self.path, line=line, remedy=remedy)

    def decode(self, raw: bytes, line: int, start: int) -> str:
        r"""Decode bytes of the file, with `\n` as the end of each line.

        Args:
            raw: The bytes.
            line: The 1-based number of their first line.
            start: Offset of the first byte in the file.

        Raises:
            DataFormatError: If the bytes are not text of the encoding.
        """
        try:
            text = raw.decode(self.encoding)
            wrong = raw.find(b"\0")
        except UnicodeDecodeError as error:
            wrong = error.start
        if wrong >= 0:
            problem = f"byte 0x{raw[wrong]:02x} is not {self.encoding} text"
            remedy = remedy_of_encoding(self.path, "Convert the file, or pass its encoding")
            raise self.error(problem, line + count_lines(raw[:wrong]), remedy)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text if start else text.removeprefix("\ufeff")  # the byte order mark of some editors

    def _record(self, raw: bytes, line: int, start: int) -> Record:
        return Record(self.decode(raw, line, start), line, start, start + len(raw))


def to_path(path: Any, name: str = "path") -> Path:
    """Return a path of a file.

    Raises:
        SettingError: If `path` is not a text or a `Path`, or no file can have this name.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise SettingError(f"{name} must be one path, a str or a pathlib.Path, not {type(path).__name__}: {path!r:.80}")
    if not can_be_path(os.fspath(path)):
        raise SettingError(f"{name} must be a path, which has no NUL and no lone surrogate; it is {shown(path)}")
    return Path(path)


def split_lines(file: BinaryIO) -> Iterable[bytes]:
    """Return the lines of an open file with their ends: a line feed, a carriage return or both."""
    has_returns = any(b"\r" in chunk for chunk in iter(partial(file.read, _CHUNK), b""))
    file.seek(0)
    if has_returns:
        return (part for line in file for part in _LINE.findall(line))
    return file  # the fastest way, for most files


def count_lines(raw: bytes) -> int:
    """Return the number of line ends in bytes."""
    return raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")


def is_blank(line: str) -> bool:
    """Return whether a line has only ASCII white space; a no-break space may be a word."""
    return not line.strip(" \t\r\n\v\f")


def remedy_of_encoding(path: Path, default: str) -> str:
    """Return what to do with a file that is not text of its encoding, judged by its first bytes."""
    with path.open("rb") as file:
        head = file.read(6)
    return next((remedy for signature, remedy in _SIGNATURES.items() if head.startswith(signature)), default)


def _state_of(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


def _check_encoding(encoding: str) -> str:
    try:
        encoded = "\n\t A".encode(encoding)
        name = codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError) as error:
        raise SettingError(
            f"no text encoding is named {encoding!r}: use utf-8, latin-1 or another of Python's"
        ) from error
    if encoded not in (b"\n\t A", b"\xef\xbb\xbf\n\t A"):
        raise SettingError(f"files in {encoding} cannot be read line by line: convert them to UTF-8")
    return "utf-8" if name == "utf-8-sig" else encoding  # `decode` removes the mark


class FileDataset(FlairDataset):
    """The sentences of a file.

    In memory, the lines of a sentence are kept until it is first accessed, then the sentence is. Otherwise three
    integers per sentence are kept, its position in the file, and each access makes a new sentence: changes are lost.
    """

    def __init__(self, file: TextFile, in_memory: bool) -> None:
        self.file = file
        self.in_memory = flag("in_memory", in_memory)
        self._records: list[Record | None] = []  # None once the sentence exists
        self._sentences: dict[int, Sentence] = {}
        self._positions: Positions = np.empty((0, 3), dtype=np.int64)  # (S, 3) start, end and line

    def _sentence_of(self, record: Record) -> Sentence:
        """Make the sentence of a record.

        Raises:
            DataFormatError: If the record is malformed, with its line.
        """
        raise NotImplementedError

    def _store(self, records: Iterable[tuple[Record, Sentence | None]]) -> None:
        """Keep records, or their positions.

        Args:
            records: The records, with their sentences where these exist already.

        Raises:
            DataFormatError: If there is no record.
        """
        if self.in_memory:
            with no_garbage_collection():
                for index, (record, sentence) in enumerate(records):
                    self._records.append(record if sentence is None else None)
                    if sentence is not None:
                        self._sentences[index] = self._attach(sentence, index)
        else:
            positions = array("q")
            for record, _ in records:
                positions.extend((record.start, record.end, record.line))
            self._positions = np.array(positions, dtype=np.int64).reshape(-1, 3)
        if not len(self):
            raise self._no_sentences()

    def _no_sentences(self) -> DataFormatError:
        return self.file.error("there is no sentence in it", remedy="Check the path and the format")

    @property
    def sentences(self) -> list[Sentence]:
        """All sentences, as a list."""
        return list(self)

    def is_in_memory(self) -> bool:
        """Return whether an index always gives the same sentence object."""
        return self.in_memory

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index.

        Raises:
            DataFormatError: If the dataset is not in memory and the file has changed.
        """
        if self.in_memory:
            return self._keep(index)
        with self.file.open() as file:
            return self._read(file, index)

    def _keep(self, index: int) -> Sentence:
        record = self._records[index]
        if record is None:
            return self._sentences[index]
        # setdefault: threads that access the same index at once get the same object
        sentence = self._sentences.setdefault(index, self._attach(self._sentence_of(record), index))
        self._records[index] = None
        return sentence

    def _read(self, file: BinaryIO, index: int) -> Sentence:
        record = self.file.record_at(file, *self._positions[index].tolist())
        return self._attach(self._sentence_of(record), index)

    def _attach(self, sentence: Sentence, index: int) -> Sentence:
        """Link a sentence to its neighbours; a subclass overrides this if its sentences form documents."""
        return sentence

    def __iter__(self) -> Iterator[Sentence]:
        if self.in_memory:
            for start in range(0, len(self), _SENTENCES_AT_ONCE):
                with no_garbage_collection():
                    sentences = [self._keep(i) for i in range(start, min(start + _SENTENCES_AT_ONCE, len(self)))]
                yield from sentences
            return
        with self.file.open() as file:
            for index in range(len(self)):
                yield self._read(file, index)

    def __len__(self) -> int:
        return len(self._records) if self.in_memory else len(self._positions)
