"""docs/flair-calls.md is complete and correct: each row has a test, and each public name of Flair has a row."""

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

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "flair-calls.md"
STATUSES = ("same", "differs", "not offered")
MODULES = (test_api_data, test_api_models, test_api_training)
# attributes that constructors set, so the classes do not have them
INSTANCE_ATTRIBUTES = re.compile(r"Corpus\.(train|dev|test)|Result\.loss|\w+Splitter\.tokenizer")

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="the tests were copied without docs/")


@dataclass(frozen=True)
class Row:
    """A row of flair-calls.md."""

    module: str
    title: str
    status: str
    note: str

    @property
    def names(self) -> list[str]:
        """The names in the title; `.name` is an attribute of the class named last."""
        found: list[str] = []
        for name in re.findall(r"`([\w.*]+)`", self.title):
            found.append(f"{found[-1].split('.')[0]}{name}" if name.startswith(".") else name)
        return found


def read_rows() -> Iterator[Row]:
    """Yield the rows of the tables in sections named after a module."""
    module = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            module = line[3:].strip("`") if line.startswith("## `") else ""
        elif module and line.startswith("| ") and not line.startswith("| Flair"):
            title, status, note = (cell.strip() for cell in line.strip("|").split(" | "))
            yield Row(module, title, status, note)


def find(module: str, name: str) -> Any:
    """Return the object with this name, or None."""
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
        assert getattr(module, test.__name__) is test, f"{test.__name__} does not run: two tests have its name"
        assert test.__name__.startswith("test_")


def test_each_row_has_a_status_and_a_note(rows: list[Row]) -> None:
    for row in rows:
        assert row.status in STATUSES, row
        assert row.note or row.status == "same", f"the row needs a note on the difference or the alternative: {row}"
        assert row.names, row


def test_names_exist_unless_not_offered(rows: list[Row]) -> None:
    for row in rows:
        for name in row.names:
            if "*" not in name and not INSTANCE_ATTRIBUTES.fullmatch(name):
                exists = find(row.module, name) is not None
                assert exists == (row.status != "not offered"), f"{row.module}.{name}: {row.status}"


def test_each_public_name_of_flair_has_a_row(rows: list[Row]) -> None:
    missing = []
    for line in (ROOT / "tests" / "support" / "flair_api.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        module, name = line.replace("flair", "flairlite", 1).split()
        patterns = [(pattern, row.status) for row in rows if row.module == module for pattern in row.names]
        missing_classes = [pattern for pattern, status in patterns if status == "not offered"]  # and their attributes
        if not matches(name, [pattern for pattern, _ in patterns]) and not matches(name.split(".")[0], missing_classes):
            missing.append(line)
    assert missing == []


def matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def test_the_table_of_counts_is_right(rows: list[Row]) -> None:
    text = TABLE.read_text(encoding="utf-8")
    for module in dict.fromkeys(row.module for row in rows):
        counts = Counter(row.status for row in rows if row.module == module)
        line = f"| `{module}` | {' | '.join(str(counts[status]) for status in STATUSES)} |"
        assert line in text, f"flair-calls.md should have the row: {line}"
