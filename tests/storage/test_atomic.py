"""Locks exclude processes and threads, end with their process, and are not a forked child's; writes are atomic."""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import flairlite
from flairlite.checks import file_path, folder_path
from flairlite.errors import FileWriteError, SettingError
from flairlite.storage.atomic import atomic_write, file_lock

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="file modes and folder handles are POSIX's")

HOLDER = """
import sys
from pathlib import Path
from flairlite.storage.atomic import file_lock
with file_lock(Path(sys.argv[1])) as is_held:
    print("held" if is_held else "not held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock until it reads a line."""
    environment = {**os.environ, "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def is_free(path: Path) -> bool:
    """Return whether another process could take the lock; a thread is as good, as locks are not shared by threads."""
    answers: list[bool] = []

    def attempt() -> None:
        try:
            with file_lock(path, timeout=0) as is_held:
                answers.append(is_held)
        except TimeoutError:
            answers.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return answers[0]


class TestLock:
    def test_it_excludes_another_process_until_released(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        with another_process(path) as process:
            with pytest.raises(TimeoutError), file_lock(path, timeout=0):
                pytest.fail("the other process holds the lock")
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "released\n"
            with file_lock(path, timeout=0) as is_held:
                assert is_held

    def test_it_ends_with_a_process_that_is_killed(self, tmp_path: Path) -> None:
        with another_process(tmp_path / "lock") as process:
            process.kill()
            process.wait()
            assert is_free(tmp_path / "lock")

    def test_waiting_is_logged_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "lock"
        with caplog.at_level(logging.INFO, logger="flairlite"), another_process(path) as process:

            class Handler(logging.Handler):
                def emit(self, record: logging.LogRecord) -> None:
                    process.kill()  # so the wait ends, but not before it was logged

            handler = Handler()
            logging.getLogger("flairlite").addHandler(handler)
            try:
                with file_lock(path) as is_held:
                    assert is_held
            finally:
                logging.getLogger("flairlite").removeHandler(handler)
        (record,) = caplog.records
        assert str(path) in record.getMessage()

    def test_it_excludes_threads(self, tmp_path: Path) -> None:
        path, inside, most = tmp_path / "lock", 0, 0

        def work() -> None:
            nonlocal inside, most
            for _ in range(20):
                with file_lock(path):
                    inside += 1
                    most = max(most, inside)
                    inside -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

    def test_a_thread_may_take_it_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "lock"
        monkeypatch.chdir(tmp_path)
        with file_lock(path):
            with file_lock(Path("lock"), timeout=0) as is_held:
                assert is_held
            assert not is_free(path), "the inner block released it"
        assert is_free(path)

    def test_it_is_released_after_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError), file_lock(tmp_path / "lock"):
            raise KeyError
        assert is_free(tmp_path / "lock")

    @needs_fork
    @pytest.mark.parametrize("way", ["leaves the block", "exits", "takes the lock"])
    def test_a_forked_child_does_not_hold_or_release_it(self, way: str, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        parent = os.getpid()
        status = 1
        try:
            with file_lock(path):
                child = os.fork()
                if child == 0:
                    if way == "exits":
                        os._exit(0)
                    if way == "takes the lock":
                        try:
                            with file_lock(path, timeout=0):
                                os._exit(2)
                        except TimeoutError:
                            os._exit(0)
                    status = 0
                else:
                    assert os.waitpid(child, 0)[1] == 0
                    assert not is_free(path), "the child released it"
        finally:
            if os.getpid() != parent:
                os._exit(status)
        assert is_free(path)

    @needs_fork
    def test_a_surviving_child_does_not_keep_it(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        read_end, write_end = os.pipe()
        with file_lock(path):
            child = os.fork()
            if child == 0:
                os.close(write_end)
                os.read(read_end, 1)
                os._exit(0)
        try:
            assert is_free(path)
        finally:
            os.close(write_end)
            os.waitpid(child, 0)
            os.close(read_end)

    @needs_posix
    @pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_its_file_has_the_mode_of_the_umask(self, mask: int, mode: int, tmp_path: Path) -> None:
        old = os.umask(mask)
        try:
            with file_lock(tmp_path / "lock"):
                pass
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == mode

    def test_a_lock_file_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing" / "lock", tmp_path):
            with pytest.raises(FileWriteError, match="lock file") as caught, file_lock(path):
                pytest.fail("the lock cannot be taken")
            assert caught.value.path == path

    @pytest.mark.parametrize(
        "error", [NotImplementedError(), OSError(errno.ENOSYS, "no"), OSError(errno.ENOLCK, "no")], ids=repr
    )
    def test_a_file_system_without_locks_is_reported_to_the_caller(
        self, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: object, **options: object) -> Any:
            raise error

        monkeypatch.setattr("filelock.FileLock.acquire", fail)
        with file_lock(tmp_path / "lock") as is_held:
            assert not is_held
        with file_lock(tmp_path / "lock") as is_held:
            assert not is_held


class TestAtomicWrite:
    @needs_posix
    def test_an_error_after_renaming_does_not_claim_that_the_old_file_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        synced = os.fsync

        def fail_for_folders(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EIO, "Input/output error")
            synced(handle)

        monkeypatch.setattr(os, "fsync", fail_for_folders)
        with pytest.raises(FileWriteError, match="was written, but its folder could not be synced") as caught:
            write(path, b"new")
        assert "kept" not in str(caught.value)
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @needs_posix
    @pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
    def test_a_file_system_that_cannot_sync_folders_is_no_error(
        self, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced = os.fsync

        def fail_for_folders(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(number, "cannot")
            synced(handle)

        monkeypatch.setattr(os, "fsync", fail_for_folders)
        write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"

    @needs_posix
    def test_what_is_not_a_regular_file_is_not_replaced(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for path, kind in ((pipe, "not a regular file"), (tmp_path, "a folder")):
            with pytest.raises(FileWriteError, match=f"it is {kind}"):
                write(path, b"new")
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    def test_the_error_has_path_and_number_of_the_system(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="does not exist") as caught:
            write(tmp_path / "missing" / "file", b"new")
        assert isinstance(caught.value, FileWriteError)
        assert caught.value.path == tmp_path / "missing" / "file"
        assert caught.value.errno == errno.ENOENT


def write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)


@pytest.mark.parametrize(("check", "kind"), [(file_path, "file"), (folder_path, "folder")])
def test_paths_of_all_types(check: Callable[[str, Any], Path], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for given in ("a/b", b"a/b", Path("a/b")):
        assert check("path", given) == Path("a/b")
    for given in ("~/b", b"~/b", Path("~/b")):
        assert check("path", given) == Path("/home/me/b")
    for value in (None, 3, True, ["a"], "", b"", "a\0b", "a/" + 256 * "b", io.BytesIO()):
        with pytest.raises(SettingError, match=f"path must be the path of a {kind}; it is "):
            check("path", value)
    with pytest.raises(SettingError, match="home folder of an unknown user: ~nobody-of-this-name/b"):
        check("path", "~nobody-of-this-name/b")
