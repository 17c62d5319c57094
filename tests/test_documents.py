"""The documents and `.ci/run` name only paths, tests, names and variables that exist."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATHS = ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", ".ci/run"]
PATHS += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
FOLDERS = ("flairlite", "tests", "examples", "benchmarks", "docs", ".ci")
OTHER_PACKAGES = {"DataFrame", "KeyedVectors", "TreebankWordTokenizer"}

pytestmark = pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="the tests were copied without the documents")


@pytest.fixture(params=PATHS)
def document(request: pytest.FixtureRequest) -> Path:
    return ROOT / str(request.param)


@pytest.fixture(scope="module")
def source() -> str:
    """The source code of the package."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "flairlite").rglob("*.py"))


def expand_braces(path: str) -> list[str]:
    """Return the paths that a shell makes of `a/{b,c/d}.py`."""
    parts = [part[1:-1].split(",") if part.startswith("{") else [part] for part in re.split(r"(\{[^}]*\})", path)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def read_code_spans(text: str) -> list[str]:
    """Return the texts between backticks outside code blocks."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


def test_braces_expand_as_in_a_shell() -> None:
    assert expand_braces("t/{a,b/c}.py") == ["t/a.py", "t/b/c.py"]
    assert expand_braces("t/a.py") == ["t/a.py"]


def test_paths_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    mentioned = re.findall(rf"(?<![\w./-])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./{{}},-]*)", text)
    paths = [path.rstrip(".,") for names in mentioned for path in expand_braces(names)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_links_lead_to_files_and_headings(document: Path) -> None:
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", document.read_text(encoding="utf-8")):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        if anchor and not anchor.startswith("flairlite."):  # Sphinx checks links to names
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_table_of_locations_names_existing_files() -> None:
    rows = re.findall(r"^\| .+ \| (`.+`) \|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([\w/.]+(?:/|\.\w+))`", row)]
    assert len(paths) > 30
    assert [path for path in paths if not ((ROOT / "flairlite" / path).exists() or (ROOT / path).exists())] == []


def test_commands_select_tests(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", text):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
    commands = re.findall(r"pytest (?:-s |-p [\w:]+ )*([\w/. ]+?)(?: -k (\w+))?`", text)
    for paths, word in commands:
        roots = [ROOT / path for path in paths.split()]
        files = [path for root in roots for path in (root, *root.rglob("*.py")) if path.is_file()]
        code = "\n".join(path.read_text(encoding="utf-8") for path in files)
        names = re.findall(r"(?:def|class) ([Tt]est\w+)", code)
        assert any(word.lower() in name.lower() for name in names), f"no test in {paths} is selected by -k {word}"


def test_names_exist(document: Path, source: str) -> None:
    text = document.read_text(encoding="utf-8")
    if document.name == "flair-calls.md":
        return  # tests/api/test_api_table.py checks these names
    for span in read_code_spans(text):
        if "pytest" in span:
            continue
        if re.fullmatch(r"flairlite(\.\w+)+", span):
            assert_is_public(span)
        for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z]\w+|\.[a-z])[\w.]*|\b[a-z_]+(?==)", span):
            for part in name.split("."):
                assert part in OTHER_PACKAGES or re.search(rf"\b{part}\b", source), f"`{span}` in {document.name}"


def assert_is_public(name: str) -> None:
    """Check that `flairlite.a.b` is a module or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        is_module = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the part before the last dot is no package
        is_module = False
    assert is_module or hasattr(importlib.import_module(module), attribute), name


def test_environment_variables_are_used(document: Path, source: str) -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    names = set(re.findall(r"\bFLAIRLITE_[A-Z_]+\b", document.read_text(encoding="utf-8")))
    assert [name for name in names if f'"{name}"' not in source + tests] == []
