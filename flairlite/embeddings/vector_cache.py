"""Word vectors from files, each converted once into memory-mapped arrays in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from glob import escape
from pathlib import Path
from typing import BinaryIO

import numpy as np

from flairlite.download import cache_lock
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataUnavailableError, FileWriteError, ModelFileError, SettingError
from flairlite.runtime import get_cache_root

log = logging.getLogger("flairlite")

_VERSION = 1  # of the format of an entry
_ARRAYS = ("matrix", "text", "offsets", "hashes", "order")


def load_vectors(path: str | Path) -> WordVectors:
    """Load word vectors from a file, converting it once into a form in the cache that later loads only map.

    The file may be word2vec text (with a header line) or binary, GloVe text (without a header), fastText's `.vec` or
    `.bin`, or gensim's `KeyedVectors.save`, plain or compressed with gzip, bzip2, xz or zip; its content decides which.
    gensim's own format is a pickle; it is read as data, so that nothing in it is executed.

    Of repeated words the first counts, and words that are not valid UTF-8 are kept but match no text; both are counted
    in the log. A file that changes is converted again; its older entry in the cache stays, because checkpoints of
    unfinished training runs refer to it.

    Args:
        path: The file.

    Returns:
        The table, mapped from the cache, or in memory if the cache cannot be written, which is logged.

    Raises:
        SettingError: If `path` is not a path.
        DataUnavailableError: If there is no such file, or it cannot be read.
        DataFormatError: If the file is damaged or of another format.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise SettingError(f"word vectors are loaded from a path, got {type(path).__name__}")
    path = Path(path).resolve()
    if not path.is_file():
        raise DataUnavailableError(f"no file of word vectors at {path}: check the path, or download the file first")
    entry = _entries() / _entry_name(path)
    if (stored := _open_entry(entry)) is not None:
        return stored
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileWriteError):  # an error of the cache is reported when the entry is written
            stack.enter_context(cache_lock(entry))
        if (stored := _open_entry(entry, log_level=logging.DEBUG)) is not None:  # converted by another process
            return stored
        from flairlite.embeddings.vector_formats import read_vector_file

        log.info("converting the word vectors in %s once; later loads map them from %s", path, entry)
        content, reason = read_vector_file(path), "it was removed at once"
        vectors = WordVectors(content.words, content.matrix)
        try:
            _write_entry(entry, vectors, source=path)
        except OSError as error:
            reason = str(error)
        stored = _open_entry(entry)
    if stored is None:
        log.warning("the converted word vectors cannot be kept in %s and stay in memory: %s", entry, reason)
    return stored or vectors


def load_cached_vectors(entry: str) -> WordVectors:
    """Map the table that has a name in the cache; see `WordVectors.entry`.

    Raises:
        ModelFileError: If the cache has no table of this name.
    """
    is_name = Path(entry).name == entry  # a path could lead out of the cache
    if not is_name or (vectors := _open_entry(_entries() / entry)) is None:
        raise ModelFileError(
            f"the file is of an unfinished training run, and its word vectors {entry!r} are not in {_entries()}: "
            "load it on the machine of the training run and save it there, or finish the run"
        )
    return vectors


def _entries() -> Path:
    return get_cache_root() / "vectors"


def _entry_name(path: Path) -> str:
    """Return a name that changes with the file; hashing a gigabyte of content would take longer than loading it."""
    parts = [path, *sorted(path.parent.glob(f"{escape(path.name)}.*.npy"))]  # gensim stores large arrays in more files
    stats = [
        (str(part), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for part in parts for stat in [part.stat()]
    ]  # ctime too: copying with attributes restores the time of modification
    return f"{path.name[:40]}-{hashlib.sha256(ascii(stats).encode()).hexdigest()[:16]}"


def _open_entry(entry: Path, *, log_level: int = logging.WARNING) -> WordVectors | None:
    """Map a table from the cache; None if it is missing or its files do not have the sizes in its manifest."""
    try:
        if not entry.exists():
            return None
        manifest = json.loads((entry / "manifest.json").read_bytes())
        if manifest["version"] != _VERSION:
            raise ValueError(f"version {manifest['version']} instead of {_VERSION}")
        for name in _ARRAYS:
            size, expected = (entry / f"{name}.npy").stat().st_size, manifest["bytes"][name]
            if size != expected:
                raise ValueError(f"{name}.npy has {size:,} bytes instead of {expected:,}")
        # copy-on-write instead of read-only, because torch warns of read-only arrays
        vectors = WordVectors.from_arrays({name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in _ARRAYS})
        vectors.entry = entry.name
        return vectors
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        log.log(log_level, "the converted word vectors in %s are damaged: %s", entry, error)
        return None


def _write_entry(entry: Path, vectors: WordVectors, *, source: Path) -> None:
    """Write a table to a temporary folder and rename the folder when it is on disk, so that no entry is incomplete."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as scratch:
        folder = Path(scratch, "new")
        folder.mkdir()
        sizes = {}
        for name, array in vectors.to_arrays().items():
            with (folder / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                _sync(file)
                sizes[name] = file.tell()
        manifest = {"version": _VERSION, "source": str(source), "bytes": sizes}
        with (folder / "manifest.json").open("wb") as file:
            file.write(json.dumps(manifest, indent=1).encode())
            _sync(file)
        if entry.exists():  # a damaged entry; processes that have mapped it keep it
            entry.replace(Path(scratch, "old"))
        folder.replace(entry)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
