"""Get a data file from the cache, a mirror or its official address: hash-checked, and whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import math
import os
import secrets
import shutil
import string
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from flairlite.errors import DataUnavailableError, FlairliteError, SettingError
from flairlite.runtime import get_cache_root

logger = logging.getLogger("flairlite")

CONNECT_TIMEOUT = 10.0  # seconds until a server must take the connection
READ_TIMEOUT = 30.0  # seconds without a byte; FLAIRLITE_TIMEOUT replaces both
RETRIES = 2  # after a failure that may pass: no connection, time-out, answer cut short, 5xx
BACKOFF = 0.5  # seconds before the first retry, doubled before each further one


@dataclass(frozen=True)
class Resource:
    """A file that flairlite knows where to get.

    Args:
        path: Its relative path, with forward slashes, in the cache and in a mirror.
        url: Its pinned official address.
        known_hash: `algorithm:hexdigest` of the official file, for example `sha256:...` or `md5:...`, or `git:` and the
            id of its content in git. None when it is not known: then what comes is taken as it is, and the log says so.
    """

    path: str
    url: str
    known_hash: str | None


@dataclass(frozen=True)
class _Source:
    """The one place that a file is taken from: a path or a web address, and the hash that holds there."""

    address: Path | str
    known_hash: str | None


def fetch(resource: Resource) -> Path:
    """Return the path of `resource` in the cache, after getting it there if need be.

    The cache comes first: only whole and checked files are put there, so a file that is there is good. Then comes
    `FLAIRLITE_MIRROR`, a folder or an http(s) address that holds the files and a `registry.txt` in pooch's format, one
    `path algorithm:hash` a line, whose hashes hold for the mirror's files. Then the official address, only if no mirror
    is set or its registry does not list the file: a mirror that is broken is never passed over in silence. With
    `FLAIRLITE_OFFLINE=1` no connection is opened.

    Raises:
        DataUnavailableError: The file could be had from none of these places, or is not the one that was asked for.
        FlairliteError: The cache folder cannot be written.
        SettingError: `resource.path` leads out of the cache, or `FLAIRLITE_TIMEOUT` is no number of seconds.
    """
    target = get_cache_root() / _checked_relative(resource.path)
    with _blaming_the_cache(target.parent):
        is_cached = target.is_file()
    if is_cached:
        logger.debug("%s: in the cache", target)
    else:
        _obtain(resource, target)
    return target


def _obtain(resource: Resource, target: Path) -> None:
    mirror = os.environ.get("FLAIRLITE_MIRROR", "")
    official = f"official address {resource.url}"
    outcomes = {f"cache {target}": "not there"}  # a line for each place
    place, source = official, _Source(resource.url, resource.known_hash)
    try:
        if mirror:
            place = f"mirror {mirror}"
            mirrored = _find_in_mirror(mirror, resource.path)
            if mirrored is None:
                outcomes[place], place = "its registry.txt does not list this file", official
            source = mirrored or source
        _store(source, target)
    except FlairliteError:
        raise
    except (OSError, ValueError) as error:
        outcomes[place] = _reason(error)
        outcomes.setdefault(official, "not asked, because a mirror is set")
        raise DataUnavailableError(_explain(resource, target, outcomes)) from error


def _explain(resource: Resource, target: Path, outcomes: dict[str, str]) -> str:
    tried = "\n".join(f"  - {place}: {outcome}" for place, outcome in outcomes.items())
    return f"""{resource.path} could not be had:
{tried}
Do one of these:
  - get {resource.url} by other means and put it at {target}
  - set FLAIRLITE_MIRROR to a folder or an http(s) address with the file and a registry.txt that lists it
  - set FLAIRLITE_CACHE_ROOT to a cache folder that has the file already
  - use what is bundled and needs no network: flairlite.datasets.SAMPLE_ENGLISH() and WordEmbeddings('glove-mini')"""


def _reason(error: BaseException) -> str:
    """Return in one line why `error` came; requests wraps the cause that matters several layers deep."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code} {response.reason}"
    if isinstance(error, OSError):
        while inner := error.__cause__ or error.__context__:
            error = inner
    if isinstance(error, TimeoutError):
        return "timed out; FLAIRLITE_TIMEOUT sets the limit in seconds"
    return " ".join(str(error).split()) or type(error).__name__


def _checked_relative(path: str) -> Path:
    pure = PureWindowsPath(path)  # the stricter kind: it knows drives and both slashes
    if not pure.parts or pure.drive or pure.root or ".." in pure.parts:
        raise SettingError(f"the path of a resource must be relative and stay inside the cache folder, got {path!r}")
    return Path(path)


def _timeouts() -> tuple[float, float]:
    """Return the limits for connecting and for reading, in seconds."""
    text = os.environ.get("FLAIRLITE_TIMEOUT")
    if not text:
        return CONNECT_TIMEOUT, READ_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingError(f"FLAIRLITE_TIMEOUT must be a positive number of seconds, got {text!r}")
    return seconds, seconds


def _find_in_mirror(mirror: str, path: str) -> _Source | None:
    """Return where the mirror has the file, or None if its registry does not list it."""
    import pooch

    content = io.BytesIO()
    _read(_address_in_mirror(mirror, "registry.txt"), content)
    registry = pooch.create(path="", base_url="")
    lines = io.StringIO(content.getvalue().decode("utf-8-sig"))  # Windows editors write the mark
    try:
        registry.load_registry(lines)
    except (OSError, ValueError) as error:
        raise ValueError(str(error).replace(str(lines), "registry.txt")) from error
    for name, known_hash in registry.registry.items():  # any three words a line would do for pooch
        if not set(known_hash.rpartition(":")[2]) <= set(string.hexdigits):
            raise ValueError(f"registry.txt must hold `path algorithm:hash` lines, got {name!r} with {known_hash!r}")
    known_hash = registry.registry.get(path)
    return None if known_hash is None else _Source(_address_in_mirror(mirror, path), known_hash)


def _address_in_mirror(mirror: str, path: str) -> Path | str:
    parts = urlsplit(mirror)
    if parts.scheme in ("http", "https"):
        return f"{mirror.rstrip('/')}/{quote(path)}"
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)) / path
    if "://" in mirror:
        raise ValueError("FLAIRLITE_MIRROR must be a folder, a file:// or an http(s):// address")
    return Path(mirror).expanduser() / path


def _store(source: _Source, target: Path) -> None:
    """Put the file at `target`, whole and checked, or leave nothing behind."""
    _check_online(source.address)  # before a folder is made in vain
    with _locked(target.parent) as is_locked:
        if target.is_file():  # another process was quicker
            return
        if is_locked:  # then no one else writes here, and what is left of a killed process is garbage
            for leftover in target.parent.glob(".*.part"):
                leftover.unlink(missing_ok=True)
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with _blaming_the_cache(target.parent):
                part.touch(exist_ok=False)
            with part.open("r+b") as file:
                _read(source.address, file, show_progress=True)
                file.flush()
                os.fsync(file.fileno())
            _check_hash(part, source)
            with _blaming_the_cache(target.parent):
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    logger.info("%s: taken from %s", target, source.address)


def _check_hash(path: Path, source: _Source) -> None:
    if source.known_hash is None:
        got = f"sha256:{_hash_of(path, 'sha256')}"
        logger.warning(
            "%s is not pinned: taken as it came, with %s; it may be another one tomorrow", source.address, got
        )
        return
    algorithm, _, expected = source.known_hash.lower().rpartition(":")
    algorithm = algorithm or "sha256"  # pooch's default
    got = _hash_of(path, algorithm)
    if got != expected:
        size = path.stat().st_size
        raise ValueError(f"wrong file: expected {algorithm}:{expected}, got {algorithm}:{got} ({size:,} bytes)")


def _hash_of(path: Path, algorithm: str) -> str:
    import pooch

    if algorithm != "git":
        return str(pooch.file_hash(str(path), alg=algorithm))
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read(address: Path | str, file: IO[bytes], *, show_progress: bool = False) -> None:
    """Write to `file` what lies at a path or at a web address.

    `Pooch.fetch` would do the retries too, but it repeats what cannot pass (404, wrong hash), does not fsync and
    writes to stderr through a handler of its own.
    """
    if isinstance(address, Path):
        with address.open("rb") as original:
            shutil.copyfileobj(original, file)
        return
    _check_online(address)
    import pooch

    is_terminal = show_progress and sys.stderr is not None and sys.stderr.isatty()
    with contextlib.ExitStack() as responses:  # pooch leaves the connection of a failed attempt open

        def keep(response: Any, **_: object) -> None:
            responses.enter_context(contextlib.closing(response))

        download = pooch.HTTPDownloader(
            progressbar=is_terminal, chunk_size=1 << 16, timeout=_timeouts(), hooks={"response": keep}
        )
        for attempt in range(RETRIES + 1):
            try:
                file.seek(0)
                file.truncate()
                download(address, file, None)
                return
            except OSError as error:
                if attempt == RETRIES or not _may_pass(error):
                    raise
                logger.debug("%s: %s; trying again", address, _reason(error))
                time.sleep(BACKOFF * 2**attempt)


def _check_online(address: Path | str) -> None:
    if isinstance(address, str) and os.environ.get("FLAIRLITE_OFFLINE", "0") not in ("", "0"):
        raise ConnectionError("not asked, FLAIRLITE_OFFLINE is set")


def _may_pass(error: OSError) -> bool:
    """Return whether another attempt makes sense; errors of requests, and only they, have a `response`."""
    response = getattr(error, "response", None)
    if response is not None:
        return response.status_code >= 500 or response.status_code in (408, 429)
    return hasattr(error, "response") and not isinstance(error, ValueError)  # ValueError: no valid address


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Make `folder` and keep other processes from writing in it; yield whether the system could promise that.

    The lock is on the folder itself, so that no lock file is left. Without it a file may be downloaded more than once,
    but each replaces the other whole.
    """
    with _blaming_the_cache(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    with _blaming_the_cache(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    is_locked = False
    try:
        with contextlib.suppress(OSError):  # some network file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            is_locked = True
        yield is_locked
    finally:
        if is_locked:  # said outright: a process forked meanwhile holds a copy of the descriptor
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


@contextlib.contextmanager
def _blaming_the_cache(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FlairliteError(
            f"cannot use the cache folder {folder}: {error.strerror or error}. "
            f"Set FLAIRLITE_CACHE_ROOT (the cache is {get_cache_root()} now) to a folder that can be written"
        ) from error
