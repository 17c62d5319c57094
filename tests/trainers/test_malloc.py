"""Training leaves no holes in memory, and changes no limit that the user has set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flairlite.trainers.process import malloc
from flairlite.trainers.process.malloc import _glibc, tidy_heap

# what training does: large blocks come and go, small ones between them stay
SCRIPT = """
import contextlib, runpy, sys
tidy_heap = runpy.run_path(sys.argv[1])["tidy_heap"]  # without the package, which would import torch

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

bytearray(31 << 20)  # from here on, glibc's own limit is higher than the blocks below
kept, before, most = [], rss(), 0
with tidy_heap() if "tidy" in sys.argv else contextlib.nullcontext():
    for number in range(40):
        more = [(number * 791_900 + place * 1_047_290) % (4 << 20) for place in range(3)]
        blocks = [bytearray(b"x") * ((4 << 20) + size) for size in more]
        kept.append(bytearray(b"x") * 100_000)
        del blocks[::2]
        kept.append(bytearray(b"x") * 100_000)
        del blocks
        most = max(most, rss())
print(most - before - sum(map(len, kept)))
"""


def wasted(*arguments: str, **environment: str) -> int:
    """Return the bytes that such a process has at most beside what it keeps."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, malloc.__file__, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout)


@pytest.mark.skipif(_glibc() is None, reason="this C library is not glibc")
def test_large_blocks_leave_no_holes() -> None:
    tidy, plain = wasted("tidy"), wasted()
    print(tidy, plain)
    assert tidy < 4 << 20
    assert tidy < plain / 2


@pytest.mark.skipif(_glibc() is None, reason="this C library is not glibc")
def test_thresholds_set_by_the_user_are_kept() -> None:
    limits = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
    assert wasted("tidy", **limits) > wasted("tidy")


def test_the_context_is_reusable_and_ends_after_an_error() -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), tidy_heap():
            1 / 0  # noqa: B018
