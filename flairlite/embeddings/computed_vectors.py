"""Vectors of a data set that are computed once, and kept in a memory-mapped file in the cache."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flairlite.download import cache_lock
from flairlite.errors import FileWriteError
from flairlite.runtime import get_cache_root

log = logging.getLogger("flairlite")


def load_or_compute(key: str, shape: tuple[int, int], compute: Callable[[Tensor], None]) -> Tensor:
    """Return vectors that are mapped from the cache, after computing them if they are not there.

    If the cache cannot be written, they stay in memory, which is logged.

    Args:
        key: A hash of all that the vectors depend on.
        shape: (R, D) rows and features.
        compute: Writes the vectors into a tensor of zeros, float32 (R, D).
    """
    path = get_cache_root() / "computed-vectors" / f"{key}.npy"
    if (found := _open(path, shape)) is not None:
        return found
    try:
        with cache_lock(path):
            if (found := _open(path, shape)) is not None:  # computed by another process
                return found
            log.info("computing %s vectors once; later runs map them from %s", f"{shape[0]:,}", path)
            _write(path, shape, compute)
            found = _open(path, shape)
    except (OSError, FileWriteError) as error:
        log.warning("the computed vectors cannot be kept in %s and stay in memory: %s", path, error)
    if found is None:
        found = torch.zeros(shape)
        compute(found)
    return found


def _open(path: Path, shape: tuple[int, int]) -> Tensor | None:
    try:
        # copy-on-write instead of read-only, because torch warns of read-only arrays
        array = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):  # missing or damaged
        return None
    return torch.from_numpy(array) if array.shape == shape and array.dtype == np.float32 else None


def _write(path: Path, shape: tuple[int, int], compute: Callable[[Tensor], None]) -> None:
    """Compute the vectors in a temporary file that is mapped, and rename it when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        array = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        with temporary.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):  # writing to a mapped file on a full disk would kill the process
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
            compute(torch.from_numpy(array))
            array.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
