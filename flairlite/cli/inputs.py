"""Read the input of `flairlite tag` as a stream: sentences are passed on as soon as they are complete."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from flairlite.cli.parsers import Item, Parser
from flairlite.errors import DataFormatError, FlairliteError, SettingError

_PIECE = 1 << 18  # bytes per read
_CHUNK = 2048  # sentences passed on at once while more input is ready, so that batches have similar lengths
_CHUNK_BYTES = 1 << 19  # of their text, so that long sentences do not fill the memory
_STANDARD_INPUT = Path("-")


class Source:
    """A file, or standard input.

    Args:
        path: The file; `-` for standard input.

    Raises:
        DataFormatError: If the file cannot be read, or is a model or a folder.
    """

    def __init__(self, path: Path) -> None:
        self.is_standard_input = path == _STANDARD_INPUT
        self.path = Path("standard input") if self.is_standard_input else path
        self.size: int | None = None  # bytes of a regular file
        if self.is_standard_input:
            if sys.stdin is None:
                raise DataFormatError("it is closed", path=self.path, remedy="Name the files to read")
            buffer: Any = sys.stdin.buffer
            self._file = getattr(buffer, "raw", buffer)
        else:
            check_data_file(path)
            self._file = path.open("rb", buffering=0)
        with contextlib.suppress(OSError):  # a stream of a test has no descriptor
            status = os.fstat(self._file.fileno())
            self.size = status.st_size if stat.S_ISREG(status.st_mode) else None

    def is_terminal(self) -> bool:
        """Return whether a person types the input."""
        return bool(self._file.isatty())

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive."""
        while True:
            try:
                piece = self._file.read(_PIECE)
            except OSError as error:
                raise DataFormatError(f"cannot be read: {error.strerror or error}", path=self.path) from error
            if piece is None:  # the descriptor does not block, and there are no bytes yet
                select.select([self._file], [], [])
            elif piece:
                yield piece
            else:
                return

    def is_ready(self) -> bool:
        """Return whether more bytes, or the end, can be read without waiting."""
        if self.size is not None:
            return True
        try:
            return bool(select.select([self._file], [], [], 0)[0])
        except (OSError, ValueError):  # not available for pipes on Windows
            return False

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if not self.is_standard_input:
            self._file.close()


def check_data_file(path: Path) -> None:
    """Check that a path is a file, and not a model.

    Raises:
        DataFormatError: If it is missing, a folder or a model, or cannot be read.
    """
    try:
        if path.is_dir():
            remedy = "Give the path of a file in it"
            raise DataFormatError("this is a folder, not a file", path=path, remedy=remedy)
        is_regular = path.is_file()
        with path.open("rb") as file:
            head = file.read(4) if is_regular else b""
    except OSError as error:
        remedy = "Check the path"
        raise DataFormatError(f"cannot be read: {error.strerror or error}", path=path, remedy=remedy) from error
    if head == b"PK\3\4" and path.suffix == ".pt":
        raise DataFormatError("this is a model, not data", path=path, remedy="The model comes first, then the data")


def check_not_read(out: Path, sources: Iterable[Path]) -> None:
    """Check that a command does not replace a file that it reads.

    Raises:
        SettingError: If the file to write is one of those to read.
    """
    for source in sources:
        with contextlib.suppress(OSError):  # one of them does not exist
            if out.samefile(source):
                raise SettingError(f"{out} is the file to read too: name another file to write")


def read_chunks(
    paths: Iterable[Path], make_parser: Callable[[Source], Parser], on_read: Callable[[int], object]
) -> Iterator[Sequence[Item]]:
    """Yield the sentences of files in their order, several at once if they are there already.

    Args:
        paths: The files; `-` is standard input.
        make_parser: Makes the parser of a file.
        on_read: Is called with the number of bytes of each read.

    Raises:
        DataFormatError: If a file is malformed or has no sentence. The sentences before the error are yielded first.
    """
    pending: list[Item] = []
    num_bytes = 0  # read since sentences were passed on
    for path in paths:
        source = Source(path)
        parser = make_parser(source)
        has_sentence = False
        with contextlib.closing(source):
            try:
                for piece in source.pieces():
                    on_read(len(piece))
                    num_bytes += len(piece)
                    for item in parser.feed(piece):
                        pending.append(item)
                        has_sentence = has_sentence or item.sentence is not None
                    is_full = len(pending) >= _CHUNK or num_bytes >= _CHUNK_BYTES
                    if pending and (is_full or not source.is_ready()):
                        yield pending
                        pending, num_bytes = [], 0
                for item in parser.finish():
                    pending.append(item)
                    has_sentence = has_sentence or item.sentence is not None
                if not has_sentence and not source.is_standard_input:
                    raise DataFormatError("there is no sentence in it", path=path, remedy="Check the path")
            except FlairliteError:
                if pending:
                    yield pending
                raise
    if pending:
        yield pending
