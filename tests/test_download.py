"""Files come complete and checked from the right source, or one error says why not and the cache stays clean."""

from __future__ import annotations

import errno
import hashlib
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_server import LoopbackServer, Manner

from flairlite import download, runtime
from flairlite.download import Resource, fetch
from flairlite.errors import DataUnavailableError, FileWriteError, FlairliteError, SettingError

PATH = "corpus/v1/train.conllu"
CONTENT = "".join(f"{number}\tWörd\t_\n" for number in range(20_000)).encode()
OTHER = CONTENT.replace(b"W", b"w")

needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
allows_fork = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def hash_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def registry_of(files: dict[str, bytes]) -> bytes:
    return "".join(f'"{path}" {hash_of(content)}\n' for path, content in files.items()).encode()


def make_folder_mirror(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in {**files, "registry.txt": registry_of(files)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FLAIRLITE_MIRROR", "FLAIRLITE_OFFLINE", "FLAIRLITE_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.setattr(runtime, "_cache_root", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({PATH: CONTENT}) as server:
        yield server


@pytest.fixture
def resource(server: LoopbackServer) -> Resource:
    return Resource(PATH, f"{server.url}/{PATH}", hash_of(CONTENT))


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a socket was requested")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def fails(resource: Resource) -> DataUnavailableError:
    with pytest.raises(DataUnavailableError) as caught:
        fetch(resource)
    return caught.value


# --- order of the sources ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_fetch_copies_the_official_file_to_the_cache(server: LoopbackServer, cache: Path, algorithm: str) -> None:
    path = fetch(Resource(PATH, f"{server.url}/{PATH}", hash_of(CONTENT, algorithm)))
    assert path == cache / PATH
    assert files_in(cache) == {PATH: CONTENT}


def test_hash_may_be_in_upper_or_lower_case(resource: Resource, cache: Path) -> None:
    fetch(Resource(resource.path, resource.url, resource.known_hash.upper()))
    assert files_in(cache) == {PATH: CONTENT}


def test_second_fetch_opens_no_connection(resource: Resource, server: LoopbackServer) -> None:
    assert fetch(resource) == fetch(resource)
    assert server.num_requests == {PATH: 1}


@pytest.mark.usefixtures("no_sockets")
def test_existing_file_in_the_cache_takes_precedence_over_the_mirror(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(make_folder_mirror(tmp_path / "mirror", {PATH: OTHER})))
    (cache / PATH).parent.mkdir(parents=True)
    (cache / PATH).write_bytes(CONTENT)
    assert fetch(Resource(PATH, "http://127.0.0.1:1/x", hash_of(CONTENT))).read_bytes() == CONTENT


@pytest.mark.parametrize("is_address", [False, True], ids=["path", "file-address"])
def test_mirror_is_used_before_the_official_address_and_with_its_own_hash(
    is_address: bool,
    resource: Resource,
    server: LoopbackServer,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_folder_mirror(tmp_path / "müror with spaces", {PATH: OTHER})
    monkeypatch.setenv("FLAIRLITE_MIRROR", folder.as_uri() if is_address else str(folder))
    fetch(resource)
    assert files_in(cache) == {PATH: OTHER}  # a cut, say, whose hash is not the official file's
    assert not server.num_requests


def test_http_mirror_gets_requests_for_its_registry_and_the_file(
    resource: Resource, server: LoopbackServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files |= {f"my mirror/{PATH}": OTHER, "my mirror/registry.txt": registry_of({PATH: OTHER})}
    monkeypatch.setenv("FLAIRLITE_MIRROR", f"{server.url}/my mirror/")
    fetch(resource)
    assert files_in(cache) == {PATH: OTHER}
    assert server.num_requests == {"my mirror/registry.txt": 1, f"my mirror/{PATH}": 1}


def test_file_not_in_the_registry_comes_from_the_official_address(
    resource: Resource, server: LoopbackServer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(make_folder_mirror(tmp_path / "mirror", {"another.txt": b"x"})))
    fetch(resource)
    assert files_in(cache) == {PATH: CONTENT}
    server.files.clear()
    error = fails(Resource("gone.txt", f"{server.url}/gone.txt", hash_of(b"")))
    assert "its registry.txt does not list this file\n  - official address" in str(error)
    assert "HTTP 404 Not Found" in str(error)


def test_cached_file_needs_no_mirror(resource: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder_mirror(tmp_path / "mirror", {PATH: CONTENT})
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(folder))
    assert not fetch(resource).is_symlink()
    (folder / PATH).unlink()
    (folder / "registry.txt").unlink()
    assert fetch(resource).read_bytes() == CONTENT


def test_source_of_a_file_is_logged_once(resource: Resource, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="flairlite"):
        path = fetch(resource)
        fetch(resource)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("flairlite", f"{path}: copied from {resource.url}")
    ]


def test_nothing_is_printed_when_stderr_is_no_terminal(resource: Resource, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(resource)
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_is_drawn_on_a_terminal(
    resource: Resource, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(resource)
    assert "100%" in capsys.readouterr().err


# --- odd names and odd registries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by_http", [False, True], ids=["folder", "http"])
@pytest.mark.parametrize("path", ["my corpus/Größe & 語 #1 100%.txt", "top.txt", "a/b/c/d.txt"])
def test_file_names_may_contain_spaces_and_unicode(
    path: str, by_http: bool, server: LoopbackServer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder_mirror(tmp_path / "mirror", {path: CONTENT})
    server.files |= files_in(folder)
    monkeypatch.setenv("FLAIRLITE_MIRROR", server.url if by_http else str(folder))
    fetch(Resource(path, "http://127.0.0.1:1/unused", hash_of(CONTENT)))
    assert files_in(cache) == {path: CONTENT}


def test_registry_may_contain_comments_blank_lines_and_a_byte_order_mark(
    resource: Resource, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder_mirror(tmp_path / "mirror", {PATH: OTHER})
    plain_sha256 = hash_of(OTHER).removeprefix("sha256:").upper()
    text = f"\ufeff{PATH} {plain_sha256}\r\n\r\n# a comment\r\nother sha256:00 http://127.0.0.1:1/\r\n"
    (folder / "registry.txt").write_bytes(text.encode())
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(folder))
    fetch(resource)
    assert files_in(cache) == {PATH: OTHER}


@pytest.mark.parametrize("text", [b"<html><body>Please log in</body></html>", b"a\n", b"'a sha256:0\n", b"\xff\xfe"])
def test_malformed_registry_is_an_error_that_names_the_mirror(
    text: bytes,
    resource: Resource,
    server: LoopbackServer,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "registry.txt").write_bytes(text)
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(tmp_path))
    error = fails(resource)
    assert f"mirror {tmp_path}: " in str(error)
    assert "object at 0x" not in str(error)
    assert not server.num_requests
    assert files_in(cache) == {}


def test_malformed_registry_error_names_the_line(
    resource: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "registry.txt").write_text("a sha256:0\nb\n")
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(tmp_path))
    assert "'registry.txt': expected 2 or 3 elements in line 2" in str(fails(resource))


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/x", "", ".", "a/..", "..", "C:/x", "C:x", "..\\x", "\\\\host\\share\\x"]
)
@pytest.mark.usefixtures("no_sockets")
def test_path_outside_the_cache_is_refused(path: str, cache: Path) -> None:
    with pytest.raises(SettingError, match="stay inside the cache folder"):
        fetch(Resource(path, "http://127.0.0.1:1/x", hash_of(b"")))
    assert not cache.exists()


@given(st.lists(st.sampled_from(["..", ".", "a", "b c", "ü", "...", "/", "\\", "C:"]), max_size=6).map("/".join))
def test_accepted_paths_are_inside_the_cache(path: str) -> None:
    try:
        relative = download._to_relative(path)
    except SettingError:
        return
    root = Path("root").resolve()
    assert root in (root / relative).resolve().parents


def test_registry_lines_outside_the_cache_write_nothing(
    resource: Resource, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder_mirror(tmp_path / "a" / "mirror", {PATH: CONTENT, "../evil.txt": b"evil"})
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(folder))
    fetch(resource)
    assert [path.name for path in tmp_path.rglob("evil.txt")] == ["evil.txt"]  # the mirror's own one
    assert files_in(cache) == {PATH: CONTENT}


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manner", "num_requests", "reason"),
    [
        ("error", 3, "HTTP 500"),
        ("busy", 3, "HTTP 429"),
        ("silent", 3, "timed out; FLAIRLITE_TIMEOUT"),
        ("stalled", 3, "timed out; FLAIRLITE_TIMEOUT"),
        ("cut", 3, "more expected"),
        ("aborted", 3, "without response"),
    ],
)
@pytest.mark.parametrize("by_mirror", [False, True], ids=["official", "mirror"])
def test_server_failure_raises_one_error_and_leaves_no_file(
    manner: Manner,
    num_requests: int,
    reason: str,
    by_mirror: bool,
    server: LoopbackServer,
    resource: Resource,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLAIRLITE_TIMEOUT", "0.3")
    if by_mirror:
        server.files["registry.txt"] = registry_of({PATH: CONTENT})
        monkeypatch.setenv("FLAIRLITE_MIRROR", server.url)
        resource = Resource(PATH, "http://127.0.0.1:1/never-asked", resource.known_hash)
    server.manners[PATH] = manner
    error = fails(resource)
    assert reason in str(error)
    assert error.__cause__ is not None
    assert ("not tried, because a mirror is set" in str(error)) is by_mirror
    assert server.num_requests[PATH] == num_requests
    assert files_in(cache) == {}


@pytest.mark.parametrize("manner", ["error", "busy", "silent", "stalled", "cut", "aborted"])
def test_temporary_failure_is_retried(
    manner: Manner, server: LoopbackServer, resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_TIMEOUT", "0.5")
    server.manners[PATH], server.num_failures[PATH] = manner, 1
    fetch(resource)
    assert files_in(cache) == {PATH: CONTENT}  # not a byte of the first attempt is left in it
    assert server.num_requests == {PATH: 2}


def test_missing_file_is_not_retried(server: LoopbackServer, resource: Resource, cache: Path) -> None:
    server.files.clear()
    assert "HTTP 404 Not Found" in str(fails(resource))
    assert server.num_requests == {PATH: 1}
    assert files_in(cache) == {}


def test_wrong_bytes_are_refused_with_both_hashes(server: LoopbackServer, resource: Resource, cache: Path) -> None:
    server.files[PATH] = OTHER
    error = fails(resource)
    assert f"expected {hash_of(CONTENT)}, got {hash_of(OTHER)} ({len(OTHER):,} bytes)" in str(error)
    assert server.num_requests == {PATH: 1}
    assert files_in(cache) == {}


@pytest.mark.parametrize("fault", ["wrong bytes", "file missing", "registry missing", "folder missing", "scheme"])
def test_broken_mirror_is_never_replaced_by_the_official_address(
    fault: str, server: LoopbackServer, resource: Resource, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder_mirror(tmp_path / "mirror", {PATH: CONTENT})
    mirror, reason = str(folder), "No such file"
    if fault == "wrong bytes":
        (folder / PATH).write_bytes(OTHER)
        reason = f"expected {hash_of(CONTENT)}, got {hash_of(OTHER)}"
    elif fault == "scheme":
        mirror, reason = "s3://bucket/mirror", "must be a folder, a file:// or an http(s):// address"
    elif fault == "folder missing":
        mirror = str(tmp_path / "none")
    else:
        (folder / (PATH if fault == "file missing" else "registry.txt")).unlink()
    monkeypatch.setenv("FLAIRLITE_MIRROR", mirror)
    error = fails(resource)
    assert f"mirror {mirror}: " in str(error)
    assert reason in str(error)
    assert not server.num_requests
    assert files_in(cache) == {}


def test_refused_connection_is_reported(cache: Path) -> None:
    with socket.socket() as probe:  # a port that was free a moment ago
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert "refused" in str(fails(Resource(PATH, f"http://127.0.0.1:{port}/x", hash_of(b"")))).lower()
    assert files_in(cache) == {}


def test_unknown_host_is_reported(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = fails(Resource(PATH, "https://nowhere.invalid/x", hash_of(b"")))
    assert "official address https://nowhere.invalid/x: [Errno -2] Name or service not known\n" in str(error)
    assert files_in(cache) == {}


@pytest.mark.usefixtures("no_sockets")
def test_invalid_address_is_reported(cache: Path) -> None:
    assert "No scheme supplied" in str(fails(Resource(PATH, "nowhere", hash_of(b""))))
    assert files_in(cache) == {}


def test_error_says_what_was_tried_and_what_to_do(
    server: LoopbackServer, resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {"registry.txt": b""}
    monkeypatch.setenv("FLAIRLITE_MIRROR", server.url)
    assert str(fails(resource)).splitlines() == [
        f"{PATH} is not available:",
        f"  - cache {cache / PATH}: not there",
        f"  - mirror {server.url}: its registry.txt does not list this file",
        f"  - official address {resource.url}: HTTP 404 Not Found",
        "Do one of these:",
        f"  - download {resource.url} by other means to {cache / PATH}",
        "  - set FLAIRLITE_MIRROR to a folder or an http(s) address with the file and a registry.txt that lists it",
        "  - set FLAIRLITE_CACHE_ROOT to a cache folder that contains the file",
        "  - use bundled data, which needs no network: flairlite.datasets.SAMPLE_ENGLISH() and "
        "WordEmbeddings('glove-mini')",
    ]


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_invalid_time_out_is_refused(
    seconds: str, server: LoopbackServer, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_TIMEOUT", seconds)
    with pytest.raises(SettingError, match=f"FLAIRLITE_TIMEOUT.*'{seconds}'"):
        fetch(resource)
    assert not server.num_requests


def test_interrupt_leaves_no_file(resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> NoReturn:
        assert [Path(name).suffix for name in files_in(cache)] == [".part"]
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(resource)
    assert files_in(cache) == {}


def test_file_is_synced_before_it_is_renamed(resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def note(descriptor: int) -> None:
        assert not (cache / PATH).exists()
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", note)
    fetch(resource)
    assert synced == [len(CONTENT)]


# --- the cache folder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocked", [".", "corpus", "corpus/v1"])
def test_file_with_the_name_of_a_cache_folder_is_named(blocked: str, resource: Resource, cache: Path) -> None:
    (cache / blocked).parent.mkdir(parents=True, exist_ok=True)
    (cache / blocked).write_text("I am a file")
    with pytest.raises(FlairliteError, match="FLAIRLITE_CACHE_ROOT") as caught:
        fetch(resource)
    assert isinstance(caught.value, FileWriteError)
    assert str(cache) in str(caught.value)
    assert (cache / blocked).read_text() == "I am a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_cache_is_named(resource: Resource, cache: Path) -> None:
    cache.mkdir(mode=0o500)
    with pytest.raises(FlairliteError, match="FLAIRLITE_CACHE_ROOT") as caught:
        fetch(resource)
    assert str(cache) in str(caught.value)


def test_folder_with_the_name_of_the_file_is_named(resource: Resource, cache: Path) -> None:
    (cache / PATH).mkdir(parents=True)
    with pytest.raises(FlairliteError, match="FLAIRLITE_CACHE_ROOT"):
        fetch(resource)
    assert files_in(cache) == {}


def test_full_disk_is_reported_and_leaves_no_file(
    resource: Resource, server: LoopbackServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert "No space left on device" in str(fails(resource))
    assert server.num_requests == {PATH: 1}
    assert files_in(cache) == {}


def test_cached_file_has_the_permissions_of_the_umask(resource: Resource, cache: Path) -> None:
    path = fetch(resource)
    (plain := cache / "plain").touch()
    assert path.stat().st_mode == plain.stat().st_mode


# --- offline -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("mirror", ["", "http://127.0.0.1:1/mirror"])
def test_offline_opens_no_socket_and_makes_no_folder(mirror: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_OFFLINE", "1")
    monkeypatch.setenv("FLAIRLITE_MIRROR", mirror)
    error = fails(Resource(PATH, "http://127.0.0.1:1/x", hash_of(CONTENT)))
    assert "not tried, because FLAIRLITE_OFFLINE is set" in str(error)
    assert not cache.exists()


@pytest.mark.usefixtures("no_sockets")
def test_offline_uses_a_folder_mirror(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder_mirror(tmp_path / "mirror", {PATH: CONTENT})
    with (folder / "registry.txt").open("a") as registry:
        registry.write("elsewhere.txt sha256:0 http://127.0.0.1:1/elsewhere.txt\n")
    monkeypatch.setenv("FLAIRLITE_OFFLINE", "1")
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(folder))
    fetch(Resource(PATH, "http://127.0.0.1:1/x", hash_of(CONTENT)))
    fails(Resource("elsewhere.txt", "http://127.0.0.1:1/x", hash_of(CONTENT)))  # pooch's third column is no way out
    fails(Resource("unlisted.txt", "http://127.0.0.1:1/x", hash_of(CONTENT)))
    assert files_in(cache) == {PATH: CONTENT}


@pytest.mark.parametrize("value", ["", "0"])
def test_offline_can_be_disabled(value: str, resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_OFFLINE", value)
    fetch(resource)
    assert files_in(cache) == {PATH: CONTENT}


def test_no_sockets_fixture_refuses_connections(resource: Resource, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("no_sockets")
    with pytest.raises(AssertionError, match="a socket was requested"):
        fetch(resource)


# --- several processes ---------------------------------------------------------------------------------------------


def refuse_locks(descriptor: int, operation: int) -> NoReturn:
    raise OSError(errno.ENOLCK, "no locks on this file system")


def fetch_without_locks(resource: Resource) -> None:
    import fcntl

    fcntl.flock = refuse_locks
    fetch(resource)


@needs_fork
@allows_fork
@pytest.mark.parametrize("is_locking", [True, False])
def test_ten_processes_fetch_the_file_at_the_same_time(
    is_locking: bool, server: LoopbackServer, resource: Resource, cache: Path
) -> None:
    import pooch  # noqa: F401  # once here, not in each child

    context = multiprocessing.get_context("fork")
    target = fetch if is_locking else fetch_without_locks
    processes = [context.Process(target=target, args=(resource,)) for _ in range(10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 10
    assert files_in(cache) == {PATH: CONTENT}
    if is_locking:
        assert server.num_requests == {PATH: 1}


@needs_fork
@allows_fork
def test_killed_download_is_repeated_and_its_partial_file_removed(
    server: LoopbackServer, resource: Resource, cache: Path
) -> None:
    server.manners[PATH], server.num_failures[PATH] = "stalled", 1
    process = multiprocessing.get_context("fork").Process(target=fetch, args=(resource,))
    process.start()
    assert server.is_reached.wait(timeout=30)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (cache / PATH).exists()
    assert [Path(name).suffix for name in files_in(cache)] == [".part"]
    fetch(resource)
    assert files_in(cache) == {PATH: CONTENT}


@needs_fork
@allows_fork
def test_lock_is_released_although_a_forked_process_lives_on(resource: Resource, cache: Path) -> None:
    """The child is forked while the lock is held, and keeps its copy of the descriptor until it is told to end."""
    context = multiprocessing.get_context("fork")
    is_done = context.Event()
    with download.cache_lock(cache / PATH):
        process = context.Process(target=is_done.wait)
        process.start()
    try:
        other = context.Process(target=fetch, args=(resource,))
        other.start()
        other.join()
        assert other.exitcode == 0
    finally:
        is_done.set()
        process.join()
    assert files_in(cache) == {PATH: CONTENT}


@needs_fork
@allows_fork
def test_process_forked_while_the_lock_is_held_can_fetch(resource: Resource, cache: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=fetch, args=(resource,))
    with download.cache_lock(cache / PATH):
        process.start()
    process.join()
    assert process.exitcode == 0
    assert files_in(cache) == {PATH: CONTENT}


def test_waiting_for_another_process_is_logged_once(
    resource: Resource, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import pooch  # noqa: F401  # before the lock, so that the thread waits for nothing else

    with caplog.at_level(logging.INFO, "flairlite"):
        with download.cache_lock(cache / PATH):
            thread = threading.Thread(target=fetch, args=(resource,))
            thread.start()
            while "Waiting" not in caplog.text:
                time.sleep(0.01)
        thread.join()
    assert caplog.text.count("Waiting for another process") == 1
    assert files_in(cache) == {PATH: CONTENT}


def test_files_of_one_folder_have_different_locks(cache: Path) -> None:
    with download.cache_lock(cache / "a" / "x"), download.cache_lock(cache / "a" / "y"):
        locks = {path.name for path in cache.rglob("*.lock")}
    with download.cache_lock(cache / "b" / "x"):
        assert len({path.name for path in cache.rglob("*.lock")}) == len(locks) + 1 == 3


def test_file_system_without_locks_is_supported(
    resource: Resource, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse_locks)
    fetch(resource)
    assert files_in(cache) == {PATH: CONTENT}


def test_import_loads_neither_pooch_nor_requests() -> None:
    code = "import sys, flairlite.download; print(sorted({'pooch', 'requests'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
