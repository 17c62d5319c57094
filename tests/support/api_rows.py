"""The rows of API.md, each beside the test that runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

ROWS: dict[str, Callable[..., Any]] = {}  # first cell of a row -> its test

_Test = TypeVar("_Test", bound=Callable[..., Any])


def row(name: str) -> Callable[[_Test], _Test]:
    """Say which row of API.md a test runs."""

    def note(test: _Test) -> _Test:
        assert name not in ROWS or ROWS[name].__qualname__ == test.__qualname__, f"two tests of the row {name}"
        ROWS[name] = test
        return test

    return note


def assert_missing(module: str, *names: str) -> None:
    """Check that what API.md says is not offered is not there."""
    for name in names:
        found: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            found = getattr(found, part)
        assert not hasattr(found, last), f"{module}.{name} is there: say so in API.md"
