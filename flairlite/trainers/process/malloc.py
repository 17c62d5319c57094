"""Keep the memory of training together where glibc manages it.

Each step of training takes some blocks of megabytes and gives them back, and the first steps leave small ones between
them that stay, such as oneDNN's primitives. glibc puts all on one heap once it has seen a large block go, and soon much
of the heap is holes: the tutorial's script takes a quarter more memory so. With a fixed limit, large blocks lie beside
the heap; and as the heap does not shrink meanwhile, no pages are given back only to be asked for again, which would
take a third of the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # the numbers that mallopt knows them by
_LARGE = 4 << 20  # bytes; smaller limits cost time, larger ones memory
_NEVER = 1 << 30
_USUAL = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}  # where glibc's own limits end after large blocks
_OF_THE_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@contextlib.contextmanager
def tidy_heap() -> Iterator[None]:
    """Keep large blocks off the heap until the block of code ends; then give back what is free.

    Where the C library is not glibc, or the user has set its limits by the environment, nothing is changed.
    """
    libc = None if any(name in os.environ for name in _OF_THE_USER) else _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGE)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        for number, limit in _USUAL.items():
            libc.mallopt(number, limit)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
