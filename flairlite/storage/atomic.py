"""Write files atomically, and lock them across processes."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from flairlite.errors import FileWriteError

log = logging.getLogger("flairlite")

_BUFFER_SIZE = 1 << 20
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

_is_temporary = ContextVar("is_temporary", default=False)


@contextlib.contextmanager
def temporary_files() -> Iterator[Path]:
    """Make a temporary folder for the block; files that the block writes are not flushed to the disk, which is slow."""
    token = _is_temporary.set(True)
    try:
        with tempfile.TemporaryDirectory(prefix="flairlite-") as folder:
            yield Path(folder)
    finally:
        _is_temporary.reset(token)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write to a temporary file in the same folder, and rename it to `path` once its content is on the disk.

    Readers find either the old or the new file, also after a crash.

    Raises:
        FileWriteError: If the folder cannot be written, the disk is full (the message gives the required size), or
            `path` is not a regular file. The old file is kept.
    """
    if path.exists() and not path.is_file():  # renaming onto a device such as /dev/null would remove it
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise FileWriteError(
            f"{path} cannot be written: it is {kind}. Give the path of a file", path=path, errno=errno.EISDIR
        )
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:  # the first statement that creates the file, as Ctrl-C may come at any time
        sink = _Sink(temporary)
        with io.BufferedWriter(sink, _BUFFER_SIZE) as file:
            yield file
        if sink.error is None:
            with sink.record_errors():
                temporary.replace(path)
        if sink.error is not None:
            raise _write_error(path, sink.size, sink.error) from sink.error
        _sync_folder(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_temporary(path: Path) -> None:
    """Remove temporary files that a killed process left while writing `path`; no process may be writing it now."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Create a folder with its parents if needed, check that it is writable, and return it.

    Raises:
        FileWriteError: If the folder cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise FileWriteError(
            f"the folder {path} cannot be written: {error.strerror or error}. Choose another base path",
            path=path,
            errno=error.errno,
        ) from error
    return path


class _Sink(io.RawIOBase):
    """Writes a new file; after an error it only counts bytes, so that the message can give the required size."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self.error: OSError | None = None
        self._file: io.FileIO | None = None
        with self.record_errors():
            self._file = path.open("xb", buffering=0)  # not mkstemp, whose files ignore the umask

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        self.size += size
        with self.record_errors():
            while self._file is not None and self.error is None and len(rest):
                rest = rest[self._file.write(rest) :]
        return size

    def close(self) -> None:
        if not self.closed and self._file is not None:
            with self.record_errors(), self._file:
                if not _is_temporary.get():
                    os.fsync(self._file.fileno())
        super().close()

    @contextlib.contextmanager
    def record_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error


def _write_error(path: Path, size: int, error: OSError) -> FileWriteError:
    reason = error.strerror or str(error)
    if not path.parent.exists():
        problem = f"{path} cannot be written: the folder {path.parent} does not exist. Create it, or choose another one"
        return FileWriteError(problem, path=path, errno=error.errno)
    try:
        free = f", and {shutil.disk_usage(path.parent).free:,} bytes are free there"
    except OSError:
        free = ""
    kept = "the old file is kept" if path.exists() else "no file is left"
    return FileWriteError(
        f"{path} cannot be written: {reason}. It needs {size:,} bytes{free}; {kept}. Free space, make the folder "
        "writable, or choose another one",
        path=path,
        errno=error.errno,
    )


def _sync_folder(path: Path) -> None:
    """Make the renaming of a file to `path` durable, where the file system can do that.

    Raises:
        FileWriteError: If the disk reports an error.
    """
    if os.name != "posix" or _is_temporary.get():
        return
    try:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED | {errno.EACCES}:  # a folder may be writable but not readable
            raise FileWriteError(
                f"{path} was written, but its folder could not be synced: {error.strerror or error}. The new file may "
                "be lost if the system fails now: check the disk",
                path=path,
                errno=error.errno,
            ) from error


class _HeldLocks(threading.local):
    """The locks that the current thread holds: from path to (process id, number of nested holders)."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}


_held = _HeldLocks()


@contextlib.contextmanager
def file_lock(path: Path, *, timeout: float | None = None) -> Iterator[bool]:
    """Hold an exclusive lock on `path` among processes and threads.

    The lock is re-entrant in a thread. The operating system releases it when its process ends, even if killed. A forked
    child does not hold its parent's lock, and leaving the block in the child does not release it.

    Args:
        path: The lock file. It is created if missing, with the permissions of the umask; its folder must exist.
        timeout: Seconds to wait for another holder. None waits until the lock is free, and logs that after one second.

    Yields:
        Whether the lock is held: False if the file system does not support locks.

    Raises:
        TimeoutError: If another holder keeps the lock for longer than `timeout`.
        FileWriteError: If the lock file cannot be written.
    """
    key, pid = str(path.resolve()), os.getpid()
    owner, count = _held.counts.get(key, (pid, 0))
    if count and owner == pid:
        _held.counts[key] = pid, count + 1
        try:
            yield True
        finally:
            _held.counts[key] = pid, count
        return
    lock = _acquire(path, timeout)
    if lock is not None:
        _held.counts[key] = pid, 1
    try:
        yield lock is not None
    finally:
        if lock is not None and os.getpid() == pid:
            del _held.counts[key]
            lock.release()


def _acquire(path: Path, timeout: float | None) -> Any:
    """Return the acquired lock, or None if the file system does not support locks."""
    from filelock import FileLock, Timeout  # installed with torch

    try:
        if not path.exists():
            path.touch()  # filelock's own mode would ignore the umask in some versions
        lock = FileLock(path, mode=stat.S_IMODE(path.stat().st_mode), thread_local=False)
        try:
            lock.acquire(timeout=1.0 if timeout is None else timeout)
        except Timeout:
            if timeout is not None:
                raise
            log.info("Waiting for another process that holds the lock %s", path)
            lock.acquire()
    except TimeoutError:
        raise
    except NotImplementedError:  # raised by filelock
        return None
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise FileWriteError(
            f"the lock file {path} cannot be written: {error.strerror or error}", path=path, errno=error.errno
        ) from error
    return lock
