"""Data files: bundled with the package, or fetched into the cache, hash-checked and complete or not at all."""

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
from glob import escape
from pathlib import Path, PureWindowsPath
from typing import IO, Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from flairlite.errors import DataUnavailableError, FileWriteError, FlairliteError, SettingError
from flairlite.runtime import get_cache_root
from flairlite.storage.atomic import file_lock

log = logging.getLogger("flairlite")

CONNECT_TIMEOUT = 10.0  # seconds until a server must accept the connection
READ_TIMEOUT = 30.0  # seconds without a byte; FLAIRLITE_TIMEOUT replaces both
RETRIES = 2  # after a failure that may be temporary: no connection, time-out, truncated response, 5xx
BACKOFF = 0.5  # seconds before the first retry, doubled before each further one


@dataclass(frozen=True)
class Resource:
    """A data file with its official address.

    Args:
        path: Its relative path, with forward slashes, in the cache and in a mirror.
        url: Its pinned official address.
        known_hash: `algorithm:hexdigest` of the official file, for example `sha256:...` or `md5:...`, or `git:` and the
            id of its content in git. None if unknown: the file is then accepted as downloaded, with a warning.
    """

    path: str
    url: str
    known_hash: str | None


@dataclass(frozen=True)
class _Source:
    """Where a file is copied from: a path or a web address, and the hash that the file must have."""

    address: Path | str
    known_hash: str | None


def fetch(resource: Resource) -> Path:
    """Return the path of a file in the cache, after fetching it if necessary.

    A file in the cache is used as it is, because only complete and checked files are put there. Otherwise it is copied
    from `FLAIRLITE_MIRROR`, a folder or an http(s) address with the files and a `registry.txt` in pooch's format (lines
    of `path algorithm:hash`), whose hashes apply to the mirror's files. The official address is used only if no mirror
    is set or its registry does not list the file: a broken mirror is an error. With `FLAIRLITE_OFFLINE=1` no connection
    is opened.

    Raises:
        DataUnavailableError: If the file is not available from these sources, or does not have the known hash.
        FileWriteError: If the cache folder cannot be written.
        SettingError: If `resource.path` leads out of the cache, or `FLAIRLITE_TIMEOUT` is not a number of seconds.
    """
    target = get_cache_root() / _to_relative(resource.path)
    with _cache_errors(target.parent):
        is_cached = target.is_file()
    if is_cached:
        log.debug("%s: in the cache", target)
    else:
        _obtain(resource, target)
    return target


@contextlib.contextmanager
def cache_lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock for a path in the cache among processes and threads; see `file_lock`.

    Yields:
        Whether the lock is held: False if the file system does not support locks. Writers must then still be safe, by
        replacing files as a whole.

    Raises:
        FileWriteError: If the cache folder cannot be written.
    """
    root = get_cache_root()
    name = hashlib.sha256(ascii(os.path.relpath(path, root)).encode()).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        with _cache_errors(root):
            (root / ".locks").mkdir(parents=True, exist_ok=True)
            is_held = stack.enter_context(file_lock(root / ".locks" / f"{path.name[:40]}-{name}.lock"))
        yield is_held


def _obtain(resource: Resource, target: Path) -> None:
    mirror = os.environ.get("FLAIRLITE_MIRROR", "")
    official = f"official address {resource.url}"
    outcomes = {f"cache {target}": "not there"}  # of each source
    tried, source = official, _Source(resource.url, resource.known_hash)
    try:
        if mirror:
            tried = f"mirror {mirror}"
            mirrored = _find_in_mirror(mirror, resource.path)
            if mirrored is None:
                outcomes[tried], tried = "its registry.txt does not list this file", official
            source = mirrored or source
        _store(source, target)
    except FlairliteError:
        raise
    except (OSError, ValueError) as error:
        outcomes[tried] = _explain(error)
        outcomes.setdefault(official, "not tried, because a mirror is set")
        shown = "\n".join(f"  - {tried}: {outcome}" for tried, outcome in outcomes.items())
        problem = f"""{resource.path} is not available:
{shown}
Do one of these:
  - download {resource.url} by other means to {target}
  - set FLAIRLITE_MIRROR to a folder or an http(s) address with the file and a registry.txt that lists it
  - set FLAIRLITE_CACHE_ROOT to a cache folder that contains the file
  - use bundled data, which needs no network: flairlite.datasets.SAMPLE_ENGLISH() and WordEmbeddings('glove-mini')"""
        raise DataUnavailableError(problem) from error


def _explain(error: BaseException) -> str:
    """Return the cause of an error in one line; requests wraps the relevant cause in several layers."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code} {response.reason}"
    if isinstance(error, OSError):
        while inner := error.__cause__ or error.__context__:
            error = inner
    if isinstance(error, TimeoutError):
        return "timed out; FLAIRLITE_TIMEOUT sets the limit in seconds"
    return " ".join(str(error).split()) or type(error).__name__


def _to_relative(path: str) -> Path:
    pure = PureWindowsPath(path)  # the stricter class: it knows drives and both slashes
    if not pure.parts or pure.drive or pure.root or ".." in pure.parts:
        raise SettingError(f"the path of a resource must be relative and stay inside the cache folder, got {path!r}")
    return Path(path)


def _timeouts() -> tuple[float, float]:
    """Return the time-outs of connecting and of reading, in seconds."""
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
    """Return the source of a file in the mirror, or None if the mirror's registry does not list it."""
    import pooch

    content = io.BytesIO()
    _read(_address_in_mirror(mirror, "registry.txt"), content)
    registry = pooch.create(path="", base_url="")
    lines = io.StringIO(content.getvalue().decode("utf-8-sig"))  # Windows editors write a byte order mark
    try:
        registry.load_registry(lines)
    except (OSError, ValueError) as error:
        raise ValueError(str(error).replace(str(lines), "registry.txt")) from error
    for name, known_hash in registry.registry.items():  # pooch accepts any lines of two or three words
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
    """Copy a file to `target`, complete and checked, or leave nothing there."""
    _check_online(source.address)  # before folders are created
    with _cache_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with cache_lock(target) as is_locked:
        if target.is_file():  # fetched by another process
            return
        if is_locked:  # then these files are left from killed processes
            for leftover in target.parent.glob(f".{escape(target.name)}.*.part"):
                leftover.unlink(missing_ok=True)
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        try:
            with _cache_errors(target.parent):
                part.touch(exist_ok=False)
            with part.open("r+b") as file:
                _read(source.address, file, show_progress=True)
                file.flush()
                os.fsync(file.fileno())
            _check_hash(part, source)
            with _cache_errors(target.parent):
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    log.info("%s: copied from %s", target, source.address)


def _check_hash(path: Path, source: _Source) -> None:
    if source.known_hash is None:
        got = f"sha256:{_hash_of(path, 'sha256')}"
        log.warning("%s has no pinned hash: downloaded as is (%s), but its content may change", source.address, got)
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
    """Copy the content of a path or a web address to `file`.

    `Pooch.fetch` retries too, but also after permanent failures (404, wrong hash), does not fsync, and installs a log
    handler that writes to stderr.
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
                if attempt == RETRIES or not _is_temporary(error):
                    raise
                log.debug("%s: %s; trying again", address, _explain(error))
                time.sleep(BACKOFF * 2**attempt)


def _check_online(address: Path | str) -> None:
    if isinstance(address, str) and os.environ.get("FLAIRLITE_OFFLINE", "0") not in ("", "0"):
        raise ConnectionError("not tried, because FLAIRLITE_OFFLINE is set")


def _is_temporary(error: OSError) -> bool:
    """Return whether to try again; of all errors, only those of requests have a `response`."""
    response = getattr(error, "response", None)
    if response is not None:
        return response.status_code >= 500 or response.status_code in (408, 429)
    return hasattr(error, "response") and not isinstance(error, ValueError)  # ValueError: not a valid address


@contextlib.contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    """Raise errors of the file system as errors of the cache, with the remedy."""
    try:
        yield
    except OSError as error:
        raise FileWriteError(
            f"cannot use the cache folder {folder}: {error.strerror or error}. "
            f"Set FLAIRLITE_CACHE_ROOT (the cache is {get_cache_root()} now) to a folder that can be written",
            path=folder,
            errno=error.errno,
        ) from error
