"""Fixtures for files of word vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vector_files import MATRIX, WORDS, as_text

from flairlite.runtime import set_cache_root


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """Use an empty cache, and return its folder of vectors."""
    root = tmp_path / "cache"
    set_cache_root(root)
    yield root / "vectors"
    set_cache_root(None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of `WORDS` and `MATRIX`."""
    path = tmp_path / "some.txt"
    path.write_bytes(as_text(WORDS, MATRIX))
    return path
