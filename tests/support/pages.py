"""Run the code blocks of a page of the documentation, and compare what they print with the page.

- `python` blocks run in one namespace, and `sh` blocks in bash, all in one folder.
- A `text` block is what the block before it prints. In it, a line `...` stands for any lines, `...` within a
  line for any text, and decimal numbers and times for others, because scores and times depend on the machine. If it has
  an error, such as `flairlite.errors.LabelError: ...`, the code must raise it with this message.
- A `{code-block}` with a caption is the file of that name, and is written.
- Blocks after a comment `<!-- needs: EXTRA -->` need the packages of an extra; `sh` blocks need the extra `cli`.
- A `sh` block after `<!-- background -->` is one command, such as a server, that runs until the end of the page. The
  next block is run when it has printed its first line, which is what a `text` block after it shows.
- A `sh` block after `<!-- install -->` is not run here: `.ci/run` runs the README's block, which must be the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flairlite

PACKAGES = {  # the packages that blocks import from each extra
    "cli": ["typer"],
    "datasets": ["datasets"],
    "deploy": ["onnx", "onnxruntime"],
    "openvino": ["openvino"],
    "pandas": ["pandas"],
    "plot": ["matplotlib"],
    "polars": ["polars"],
    "report": ["jinja2"],
    "serve": ["fastapi", "prometheus_client", "uvicorn"],
    "spacy": ["spacy"],
    "transformers": ["transformers"],
}
DIRECTIVES = {"eval-rst", "grid", "note", "raw", "tip", "toctree", "warning"}  # of Sphinx, without code
_ERROR = re.compile(r"^(?:\w+\.)*\w*Error: ", re.MULTILINE)
_PATTERNS = {
    "any": ".*",
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}",
    "number": r"-?\d+\.\d+(?:e[+-]?\d+)?",
}
_VARIABLE = re.compile(rf"(?P<any>\.\.\.)|(?P<time>{_PATTERNS['time']})|(?P<number>{_PATTERNS['number']})")


@dataclass
class Block:
    """A code block, with the number of its first line in the page."""

    language: str
    code: str
    line: int
    file: str = ""
    needs: set[str] = field(default_factory=set)
    output: str | None = None
    is_install: bool = False
    is_background: bool = False


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of a page that are run or written, each with its expected output."""
    blocks: list[Block] = []
    lines = text.splitlines()
    comment, position = "", 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if not (fence := re.fullmatch(r"(`{3,})(\S*) ?(.*)", line)):
            if line.strip():
                comment = line if line.startswith("<!--") else ""
            continue
        end = lines.index(fence[1], position)
        block = _make_block(fence[2], fence[3], lines[position:end], position + 1, comment)
        position, comment = end + 1, ""
        if block is not None and block.language == "text" and not block.file:
            printing = blocks[-1] if blocks else None
            assert printing is not None, f"line {block.line}: no block prints this text"
            assert printing.output is None, f"line {block.line}: the block before it prints another text"
            printing.output = block.code
        elif block is not None:
            blocks.append(block)
    return blocks


def _make_block(kind: str, argument: str, content: list[str], line: int, comment: str) -> Block | None:
    if kind.strip("{}") in DIRECTIVES:
        return None
    needs = set(re.findall(r"\w+", comment.partition("needs:")[2]))
    if kind == "{code-block}":
        options = [option for option in content if option.startswith(":")]
        file = next((option.split(": ", 1)[1] for option in options if option.startswith(":caption:")), "")
        assert file, f"line {line}: a code-block needs the name of a file as its caption"
        return Block(argument, "\n".join(content[len(options) :]).strip("\n") + "\n", line, file=file, needs=needs)
    assert kind in ("python", "sh", "text"), f"line {line}: blocks of {kind!r} are not run"
    is_install = comment == "<!-- install -->"
    is_background = comment.startswith("<!-- background")
    assert kind == "sh" or not is_background, f"line {line}: only sh blocks run in the background"
    if kind == "sh" and not is_install:
        needs.add("cli")
    assert needs <= PACKAGES.keys(), f"line {line}: unknown extra in {needs}"
    code = "\n".join(content) + "\n"
    return Block(kind, code, line, needs=needs, is_install=is_install, is_background=is_background)


def run_page(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run the blocks of a page in a folder, and yield each with what it printed.

    Close the generator to end what runs in the background.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.ExitStack() as stack:
        for block in read_blocks(page.read_text(encoding="utf-8")):
            if block.file:
                path = folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.code, encoding="utf-8")
            elif block.language == "python":
                yield block, _run_python(block, page, namespace)
            elif block.is_background:
                yield block, stack.enter_context(_run_in_background(block, folder))
            elif not block.is_install:
                yield block, _run_shell(block, page, folder)


def _run_python(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")  # tracebacks name lines of the page
    is_error = block.output is not None and _ERROR.search(block.output)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, namespace)
        except Exception as error:
            if not is_error:
                raise
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            print(f"{module}{kind.__qualname__}: {error}")
    return printed.getvalue()


def _run_shell(block: Block, page: Path, folder: Path) -> str:
    with _start_shell(block.code, folder) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, f"{page}, line {block.line}: exit code {process.returncode}\n{printed}"
    return printed


@contextlib.contextmanager
def _run_in_background(block: Block, folder: Path) -> Iterator[str]:
    """Start a command, wait until it has printed its first line, and end it by SIGTERM on exit."""
    with _start_shell(f"exec {block.code}", folder) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
            process.stdout.read()  # a full pipe would block it


def _start_shell(code: str, folder: Path) -> subprocess.Popen[str]:
    programs = folder / ".bin"
    programs.mkdir(exist_ok=True)
    for name, module in (("flairlite", "-m flairlite "), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n', encoding="utf-8")
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "100",
    }
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def assert_printed(block: Block, printed: str, page: Path) -> None:
    """Check that a block printed what the page shows."""
    if block.output is None:
        return
    if re.fullmatch(_to_pattern(block.output), _tidy(printed)) is None:
        shown = textwrap.indent(_tidy(printed), "    ")
        problem = f"the block should print\n{block.output}\nIt printed\n{shown}"
        raise AssertionError(f"{page.name}, line {block.line}: {problem}")


def _tidy(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def _to_pattern(expected: str) -> str:
    """Return a regular expression of what a block may print."""
    pattern = ""
    for line in _tidy(expected).splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        position = 0
        for part in _VARIABLE.finditer(line):
            pattern += re.escape(line[position : part.start()]) + _PATTERNS[str(part.lastgroup)]
            position = part.end()
        pattern += re.escape(line[position:]) + r"\n"
    return pattern
