"""The site is built without a warning, documents every public name, loads nothing from elsewhere, and fits phones."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
MODULES = [
    "flairlite.data",
    "flairlite.datasets",
    "flairlite.deploy",
    "flairlite.distributed_utils",
    "flairlite.embeddings",
    "flairlite.errors",
    "flairlite.metrics",
    "flairlite.models",
    "flairlite.nn",
    "flairlite.samplers",
    "flairlite.serving",
    "flairlite.sklearn",
    "flairlite.spacy",
    "flairlite.splitter",
    "flairlite.tokenization",
    "flairlite.trainers",
    "flairlite.trainers.plugins",
    "flairlite.training_utils",
    "flairlite.visual.ner_html",
    "flairlite.visual.report",
    "flairlite.visual.training_curves",
]

pytestmark = pytest.mark.skipif(not (DOCS / "conf.py").is_file(), reason="docs/ is not next to tests/")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built with warnings as errors."""
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    process = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(DOCS), str(folder / "html")],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return folder / "html"


def read_inventory(site: Path) -> set[str]:
    """Return the Python names that the site documents, from the index for other sites."""
    content = (site / "objects.inv").read_bytes()
    compressed = content.split(b"\n", 4)[4]
    rows = zlib.decompress(compressed).decode().splitlines()
    return {row.split()[0] for row in rows if " py:" in row}


def list_public_names(module: str) -> set[str]:
    """Return the names in `__all__`, or else the classes and functions that the module defines."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
    ]
    return {f"{module}.{name}" for name in names}


def test_each_public_name_is_documented(site: Path) -> None:
    public = set().union(*map(list_public_names, MODULES))
    assert len(public) > 150
    assert sorted(public - read_inventory(site)) == []


def test_names_are_documented_once(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html")]
    for name in ("flairlite.models.SequenceTagger", "flairlite.trainers.ModelTrainer.train"):
        assert sum(page.count(f'id="{name}"') for page in pages) == 1


def test_docstrings_are_rendered_as_they_were_written(site: Path) -> None:
    page = (site / "reference" / "models.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert "The classes of words: the labels, or the tags of spans such as B-PER." in text
    assert "LabelError" in text


class Sources(HTMLParser):
    """The addresses that a page loads; links are not loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of an element."""
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.found.append(str(values["src"]))
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload"):
            self.found.append(str(values["href"]))


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        sources = Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert sources.found
        assert [source for source in sources.found if re.match(r"(?:https?:)?//", source)] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, from the package playwright and an installed browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.mark.parametrize(
    "name", ["index", "tutorial", "internals", "guide/command-line", "guide/large-corpora", "reference/trainers"]
)
def test_pages_fit_a_phone(browser: Any, site: Path, name: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawing_has_the_colours_of_the_theme(browser: Any, site: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    requests: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((site / "internals.html").as_uri())
    background, box, text = page.evaluate(
        """() => {
            const style = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
            return [style("body", "backgroundColor"), style(".data-flow .box rect", "fill"),
                    style(".data-flow text", "fill")];
        }"""
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (background, box, text)]
    is_dark = scheme == "dark"
    assert [value < 382 for value in brightness] == [is_dark, is_dark, not is_dark]
    assert {request.split(":")[0] for request in requests} <= {"file", "data"}
    assert problems == []
    page.close()
