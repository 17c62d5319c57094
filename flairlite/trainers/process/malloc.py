"""Keep the memory of training together if glibc manages it.

Each step of training allocates blocks of megabytes and frees them, and the first steps leave small blocks between them
that stay, such as oneDNN's primitives. glibc puts all of them on one heap after it has seen a large block freed, and
soon much of the heap is holes, about a quarter of the memory. With a fixed threshold, large blocks are mapped apart
from the heap; and as the heap does not shrink meanwhile, no pages are returned only to be requested again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # mallopt's parameters
_LARGE = 4 << 20  # bytes; smaller thresholds cost time, larger ones memory
_NEVER = 1 << 30
_USUAL = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}  # glibc's own thresholds after large blocks
_ENVIRONMENT = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@contextlib.contextmanager
def tidy_heap() -> Iterator[None]:
    """Keep large blocks off the heap within the `with` statement, then return free memory to the system.

    glibc does not tell its thresholds, so that those it usually reaches are set at the end. If the C library is not
    glibc, or the environment sets thresholds, nothing is changed.
    """
    libc = None if any(name in os.environ for name in _ENVIRONMENT) else _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGE)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        for parameter, threshold in _USUAL.items():
            libc.mallopt(parameter, threshold)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
