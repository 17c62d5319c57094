"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from flairlite.errors import TrainingError

log = logging.getLogger("flairlite")

_BUFFER = 1 << 20


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write to a temporary file beside `path`, and put it in its place when all is on the disk.

    Whoever reads `path` meanwhile, or after a crash, finds the old file or the new one.

    Raises:
        TrainingError: when the folder cannot be written or the disk is full, with the bytes that are needed; the old
            file stays.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    sink = _Sink(temporary)
    try:
        with io.BufferedWriter(sink, _BUFFER) as file:
            yield file
        if sink.error is None:
            with sink.noting_errors():
                temporary.replace(path)
                _sync_folder(path.parent)
        if sink.error is not None:
            raise _cannot_write(path, sink.size, sink.error) from sink.error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_temporary(path: Path) -> None:
    """Remove what a process that was killed while it wrote `path` has left; nobody may be writing it now."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder that can be written into, and return it.

    Raises:
        TrainingError: when that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise TrainingError(
            f"the folder {path} cannot be written: {error.strerror or error}. Choose another base path"
        ) from error
    return path


class _Sink(io.RawIOBase):
    """Writes a new file while that goes well; after an error it only counts, to be able to say what was needed."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self.error: OSError | None = None
        self._file: io.FileIO | None = None
        with self.noting_errors():
            self._file = path.open("xb", buffering=0)  # mkstemp's would be private; this has the mode of the umask

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        self.size += size
        with self.noting_errors():
            while self._file is not None and self.error is None and len(rest):
                rest = rest[self._file.write(rest) :]
        return size

    def close(self) -> None:
        if not self.closed and self._file is not None:
            with self.noting_errors(), self._file:
                os.fsync(self._file.fileno())
        super().close()

    @contextlib.contextmanager
    def noting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error


def _cannot_write(path: Path, size: int, error: OSError) -> TrainingError:
    try:
        free = f", and {shutil.disk_usage(path.parent).free:,} bytes are free there"
    except OSError:
        free = ""
    kept = "the file that was there is kept" if path.exists() else "nothing is left of it"
    return TrainingError(
        f"{path} cannot be written: {error.strerror or error}. It needs {size:,} bytes{free}; {kept}. Free space, make "
        "the folder writable, or choose another one"
    )


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def file_lock(path: Path, *, timeout: float | None = None) -> Iterator[bool]:
    """Hold an exclusive lock on `path` among processes and threads; the lock ends with the process that holds it.

    Args:
        path: The lock file. It is made when missing; its folder must exist.
        timeout: Seconds to wait for another holder. None waits until the lock is free, and says so in the log after one
            second.

    Yields:
        Whether the lock is held: False where the file system has no locks.

    Raises:
        TimeoutError: If another holder keeps the lock for longer than `timeout`.
        OSError: If the lock file cannot be written.
    """
    from filelock import FileLock, Timeout  # torch depends on filelock, so it is always installed

    lock = FileLock(path, thread_local=False)
    try:
        try:
            lock.acquire(timeout=1.0 if timeout is None else timeout)
        except Timeout:
            if timeout is not None:
                raise
            log.info("Waiting for another process that holds the lock %s", path)
            lock.acquire()
        is_held = True
    except NotImplementedError:  # filelock raises this where the file system has no locks
        is_held = False
    try:
        yield is_held
    finally:
        if is_held:
            lock.release()
