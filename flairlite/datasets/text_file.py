"""Text files, read as records: the lines that make a sentence, with where they lie in the file."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flairlite.errors import DataFormatError, SettingError


@dataclass(frozen=True)
class Record:
    """Lines that make a sentence.

    Attributes:
        text: The lines, with their ends.
        line: The 1-based number of the first.
        start: The byte where they begin in the file.
        stop: The one behind them.
    """

    text: str
    line: int
    start: int
    stop: int

    @property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return [line.removesuffix("\r") for line in self.text.removesuffix("\n").split("\n")]


class TextFile:
    """A text file that is read record by record, from its start or from a place that is known.

    Lines end with a line feed, with or without a carriage return before it. No connection to the file is kept, so that
    one object serves several threads and processes and can be pickled.

    Args:
        path: The file.
        encoding: Its encoding, one in which line feeds and blanks are those of ASCII.
        skip_lines: How many lines at its start are no data.

    Raises:
        DataFormatError: when it cannot be opened.
        SettingError: when the encoding is unknown, or no such one.
    """

    def __init__(self, path: str | Path, encoding: str = "utf-8", skip_lines: int = 0) -> None:
        self.path, self.encoding, self.skip_lines = Path(path), _checked_encoding(encoding), skip_lines
        with self.opened() as file:
            self._state = _state_of(file)

    def records(self, is_border: Callable[[bytes], bool] | None = None) -> Iterator[Record]:
        """Yield the records in order.

        Args:
            is_border: Tells a line that stands between records. Without it each line that is not blank is a record.

        Raises:
            DataFormatError: for a line that cannot be decoded.
        """
        lines: list[bytes] = []
        first = start = stop = 0
        with self.opened() as file:
            for number, line in enumerate(file, 1):
                offset, stop = stop, stop + len(line)
                if number <= self.skip_lines or (line.isspace() if is_border is None else is_border(line)):
                    if lines:
                        yield self._record(lines, first, start)
                        lines = []
                    continue
                if not lines:
                    first, start = number, offset
                lines.append(line)
                if is_border is None:
                    yield self._record(lines, first, start)
                    lines = []
        if lines:
            yield self._record(lines, first, start)

    def record_at(self, file: BinaryIO, start: int, stop: int, line: int) -> Record:
        """Return the record at a place of the opened file that `records` named."""
        if _state_of(file) != self._state:
            raise self.problem("the file was changed after it was first read", remedy="Make the corpus anew")
        file.seek(start)
        return self._record([file.read(stop - start)], line, start)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file for reading bytes.

        Raises:
            DataFormatError: when it cannot be opened or read.
        """
        try:
            with self.path.open("rb") as file:
                yield file
        except OSError as error:
            raise self.problem(f"cannot be read: {error.strerror or error}", remedy="Check the path") from error

    def problem(self, problem: str, line: int | None = None, remedy: str = "") -> DataFormatError:
        """Return an error that names this file."""
        return DataFormatError(problem, path=self.path, line=line, remedy=remedy)

    def decoded(self, raw: bytes, line: int, start: int) -> str:
        """Return bytes of the file as text.

        Args:
            raw: The bytes.
            line: The 1-based number of the line where they begin.
            start: Where that is in the file.

        Raises:
            DataFormatError: when they are not of the encoding, with the line.
        """
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            problem = f"byte 0x{raw[error.start]:02x} is not {self.encoding}"
            wrong = line + raw.count(b"\n", 0, error.start)
            raise self.problem(problem, wrong, remedy="Convert the file, or give its encoding") from error
        return text if start else text.removeprefix("\ufeff")  # the mark that Windows editors write

    def _record(self, lines: list[bytes], first: int, start: int) -> Record:
        joined = b"".join(lines)
        return Record(self.decoded(joined, first, start), first, start, start + len(joined))


def is_blank(line: str) -> bool:
    """Tell a line of nothing but ASCII's white space, as bytes have it; that of other scripts may be a word."""
    return not line.strip(" \t\r\n\v\f")


def _state_of(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


def _checked_encoding(encoding: str) -> str:
    try:
        encoded = "\n\t A".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except LookupError as error:
        raise SettingError(
            f"no text encoding is named {encoding!r}: use utf-8, latin-1 or another of Python's"
        ) from error
    if encoded not in (b"\n\t A", b"\xef\xbb\xbf\n\t A"):
        raise SettingError(f"files in {encoding} cannot be read line by line: convert them to UTF-8")
    return "utf-8" if codecs.lookup(encoding).name == "utf-8-sig" else encoding  # the mark is taken off here
