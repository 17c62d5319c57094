"""The code of each page of the documentation runs, and prints what the page shows; see `tests/support/pages.py`."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
from pathlib import Path

import pytest
from pages import PACKAGES, assert_printed, read_blocks, run_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

pytestmark = pytest.mark.skipif(not PAGES, reason="docs/ is not next to tests/")


def read_page(text: str) -> list[tuple[str, str, str | None]]:
    return [(block.language, block.code, block.output) for block in read_blocks(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS).with_suffix("")))
def test_page_runs_and_prints_what_it_shows(
    page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = read_blocks(page.read_text(encoding="utf-8"))
    for extra in sorted(set().union(*(block.needs for block in blocks))):
        for package in PACKAGES[extra]:
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))  # small_transformer
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path_factory.mktemp("cache")))  # other tests may have real data
    # training prints its log unless the program has configured logging, which pytest has
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with contextlib.closing(run_page(page, tmp_path)) as outputs:
        for block, printed in outputs:
            assert_printed(block, printed, page)


@pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="README.md is not next to tests/")
def test_installation_is_that_of_the_readme_which_ci_runs() -> None:
    block = next(block for block in read_blocks((DOCS / "index.md").read_text(encoding="utf-8")) if block.is_install)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = readme.partition("<!-- install-and-train -->\n```sh\n")[2].partition("```")[0]
    assert commands.startswith(block.code)
    assert "readme_block install-and-train" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_extras_named_in_the_pages_exist() -> None:
    named = {extra for page in PAGES for extra in re.findall(r"flairlite\[(\w+)\]", page.read_text(encoding="utf-8"))}
    declared = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert named <= set(declared)
    assert PACKAGES.keys() <= set(declared)


def test_command_line_page_names_each_command() -> None:
    pytest.importorskip("typer", reason="typer is not installed")
    from typer.main import get_command

    from flairlite.cli.app import app

    text = (DOCS / "guide" / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `flairlite (\w+)", text, re.MULTILINE)) == set(get_command(app).commands)  # type: ignore[attr-defined]


class TestReadBlocks:
    def test_output_belongs_to_the_block_before_it(self) -> None:
        text = "```python\na\n```\nIt prints\n\n```text\nb\n```\n```sh\nc\n```\n"
        assert read_page(text) == [("python", "a\n", "b\n"), ("sh", "c\n", None)]

    def test_captions_name_files(self) -> None:
        blocks = read_blocks("```{code-block} json\n:caption: a/b.json\n\n{}\n```\n")
        assert [(block.file, block.code) for block in blocks] == [("a/b.json", "{}\n")]

    def test_needs_are_read_from_comments_and_the_shell_needs_the_command_line(self) -> None:
        text = "<!-- needs: plot, pandas -->\n```python\na\n```\n```sh\nb\n```\n```python\nc\n```\n"
        assert [block.needs for block in read_blocks(text)] == [{"plot", "pandas"}, {"cli"}, set()]

    def test_directives_without_code_are_left_out(self) -> None:
        assert read_blocks("```{toctree}\n:hidden:\n\na\n```\n:::{note}\na\n:::\n") == []

    @pytest.mark.parametrize(
        "text",
        [
            "```text\nnothing prints this\n```\n",
            "```python\na\n```\n```text\nb\n```\n```text\nc\n```\n",
            "```console\n$ a\n```\n",
            "```\na\n```\n",
            "```{code-block} python\na\n```\n",
            "<!-- needs: unknown -->\n```python\na\n```\n",
            "<!-- background -->\n```python\na\n```\n",
        ],
    )
    def test_blocks_that_would_not_be_tested_are_errors(self, text: str) -> None:
        with pytest.raises(AssertionError):
            read_blocks(text)


class TestRunPage:
    def run(self, text: str, folder: Path) -> None:
        page = folder / "page.md"
        page.write_text(text, encoding="utf-8")
        with contextlib.closing(run_page(page, folder)) as outputs:
            for block, printed in outputs:
                assert_printed(block, printed, page)

    @pytest.mark.parametrize(
        ("code", "output"),
        [
            ("print('a 0.51 b')", "a 0.49 b"),
            ("print('loss -1.5e-07')", "loss 2.0"),
            ("print('2026-01-02 03:04:05,678 done')", "2025-11-30 14:00:00,000 done"),
            ("print('a\\nb\\nc\\nd')", "a\n...\nd"),
            ("print('a\\nb')", "...\nb"),
            ("print('a\\nb')", "a\n..."),
            ("print('one two three')", "one ... three"),
            ("print('a  \\n')", "a"),
            ("x = 1\nraise ValueError('not b: c')", "ValueError: not b: c"),
            ("print('a'); raise ValueError('many words')", "...\nValueError: many ..."),
        ],
    )
    def test_output_matches(self, code: str, output: str, tmp_path: Path) -> None:
        self.run(f"```python\n{code}\n```\n```text\n{output}\n```\n", tmp_path)

    @pytest.mark.parametrize(
        ("code", "output"),
        [
            ("print('a 1 b')", "a 2 b"),
            ("print('a')", "a\nb"),
            ("print('a\\nb')", "a"),
            ("print('a')", "ValueError: a"),
            ("raise ValueError('a')", "ValueError: b"),
            ("raise KeyError('a')", "ValueError: 'a'"),
            ("print('axb')", "a.b"),
        ],
    )
    def test_other_output_is_an_error(self, code: str, output: str, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match=r"page\.md, line 2"):
            self.run(f"```python\n{code}\n```\n```text\n{output}\n```\n", tmp_path)

    def test_errors_that_the_page_does_not_show_are_raised(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            self.run("```python\n1 / 0\n```\n```text\na\n```\n", tmp_path)

    @pytest.mark.skipif(os.name == "nt", reason="needs bash")
    def test_blocks_share_names_and_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        text = """\
```{code-block} text
:caption: in/a.txt

hello
```
```python
from pathlib import Path

text = Path("in/a.txt").read_text()
```
```python
Path("b.txt").write_text(text * 2)
```
```sh
cat b.txt
```
```text
hello
hello
```
"""
        self.run(text, tmp_path)
        with pytest.raises(AssertionError, match="exit code 3"):
            self.run("```sh\nexit 3\n```\n", tmp_path)

    @pytest.mark.skipif(os.name == "nt", reason="needs bash")
    @pytest.mark.parametrize("code", ["pass", "1 / 0"])
    def test_commands_in_the_background_run_until_the_page_ends_or_fails(self, code: str, tmp_path: Path) -> None:
        command = 'python -c "import os, time; print(os.getpid(), flush=True); time.sleep(1e6)"'
        page = tmp_path / "page.md"
        page.write_text(f"<!-- background -->\n```sh\n{command}\n```\n```python\n{code}\n```\n", encoding="utf-8")
        with contextlib.suppress(ZeroDivisionError), contextlib.closing(run_page(page, tmp_path)) as outputs:
            process_id = int(next(outputs)[1])
            os.kill(process_id, 0)  # it exists
            assert [printed for _, printed in outputs] == [""]
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)
