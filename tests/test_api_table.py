"""API.md is whole and true: each row has a test that runs it, and each public name of Flair in scope has a row."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_api_data
import test_api_models
import test_api_training
from api_rows import ROWS

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "API.md"
STATUSES = ("same", "differs", "not offered")
MODULES = (test_api_data, test_api_models, test_api_training)
# set by constructors: no attributes of their classes
OF_OBJECTS = re.compile(r"Corpus\.(train|dev|test)|Result\.loss|\w+Splitter\.tokenizer")

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="API.md is not beside tests/")


@dataclass(frozen=True)
class Row:
    """A row of API.md."""

    module: str
    title: str
    status: str
    note: str

    @property
    def names(self) -> list[str]:
        """The names in it; `.name` goes on with the class of the name before."""
        found: list[str] = []
        for name in re.findall(r"`([\w.*]+)`", self.title):
            found.append(f"{found[-1].split('.')[0]}{name}" if name.startswith(".") else name)
        return found


def read_rows() -> Iterator[Row]:
    module = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            module = line[3:].strip("`")
        elif line.startswith("| ") and not line.startswith("| Flair"):
            title, status, note = (cell.strip() for cell in line.strip("|").split(" | "))
            yield Row(module, title, status, note)


def find(module: str, name: str) -> Any:
    """Return what a name stands for, or None."""
    if importlib.util.find_spec(module) is None:
        return None
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(read_rows())


def test_each_row_has_a_test_and_each_test_a_row(rows: list[Row]) -> None:
    assert Counter(row.title for row in rows) == Counter(list(ROWS))
    for test in ROWS.values():
        module = importlib.import_module(test.__module__)
        assert module in MODULES
        assert getattr(module, test.__name__) is test, f"{test.__name__} is not run: its name is there twice"
        assert test.__name__.startswith("test_")


def test_each_row_says_how_it_stands(rows: list[Row]) -> None:
    for row in rows:
        assert row.status in STATUSES, row
        assert row.note or row.status == "same", f"say how it differs, or what to do instead: {row}"
        assert row.names, row


def test_names_are_there_or_not_as_is_said(rows: list[Row]) -> None:
    for row in rows:
        for name in row.names:
            if "*" not in name and not OF_OBJECTS.fullmatch(name):
                is_there = find(row.module, name) is not None
                assert is_there == (row.status != "not offered"), f"{row.module}.{name}: {row.status}"


def test_each_public_name_of_flair_has_a_row(rows: list[Row]) -> None:
    missing = []
    for line in (ROOT / "tests" / "support" / "flair_api.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        module, name = line.replace("flair", "flairlite", 1).split()
        own = [(pattern, row.status) for row in rows if row.module == module for pattern in row.names]
        is_whole = [pattern for pattern, status in own if status == "not offered"]  # with all that the class has
        if not matches(name, [pattern for pattern, _ in own]) and not matches(name.split(".")[0], is_whole):
            missing.append(line)
    assert missing == []


def matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def test_the_readme_counts_the_rows(rows: list[Row]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for module in dict.fromkeys(row.module for row in rows):
        counts = Counter(row.status for row in rows if row.module == module)
        line = f"| `{module}` | {' | '.join(str(counts[status]) for status in STATUSES)} |"
        assert line in text, f"the README's table should have: {line}"
