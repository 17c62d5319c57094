"""Link each row of docs/flair-calls.md to the test that runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

ROWS: dict[str, Callable[..., Any]] = {}  # first cell of a row -> its test

_Test = TypeVar("_Test", bound=Callable[..., Any])


def row(name: str) -> Callable[[_Test], _Test]:
    """Return a decorator that registers a test for the row of flair-calls.md with this first cell."""

    def register(test: _Test) -> _Test:
        assert name not in ROWS or ROWS[name].__qualname__ == test.__qualname__, f"two tests for the row {name}"
        ROWS[name] = test
        return test

    return register


def assert_missing(module: str, *names: str) -> None:
    """Check that the names, which flair-calls.md lists as not offered, do not exist."""
    for name in names:
        found: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            found = getattr(found, part)
        assert not hasattr(found, last), f"{module}.{name} exists: flair-calls.md should say so"
