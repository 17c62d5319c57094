"""Run files: a training run in TOML, with the line of each key for error messages."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flairlite.errors import DataFormatError, SettingError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Keys = tuple["str | int", ...]  # the path of a value, such as ("embeddings", 0, "type")

SECTIONS = ("corpus", "embeddings", "model", "trainer")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class RunFileError(SettingError):
    """A run file asks for something that does not exist or cannot be done."""


@dataclass
class RunFile:
    """The content of a run file.

    Attributes:
        path: The file.
        text: Its bytes.
        tables: Its content, with the changes of the command line.
        origins: Where each value is given: a line of the file or an option of the command line.
        is_changed: Whether the command line changes the content.
    """

    path: Path
    text: bytes
    tables: dict[str, Any]
    origins: dict[Keys, str] = field(default_factory=dict)
    is_changed: bool = False

    def error(self, keys: Keys, problem: str) -> RunFileError:
        """Return an error about the value at `keys`, which names where it, or what contains it, is given."""
        known = [keys[:end] for end in range(len(keys), 0, -1) if keys[:end] in self.origins]
        known += [inner for inner in self.origins if inner[: len(keys)] == keys]
        return RunFileError(f"{self.origins[known[0]] if known else self.path}: {problem}")

    def content(self) -> bytes:
        """Return the content as a run file: the bytes of the file, if the command line changes nothing."""
        if not self.is_changed:
            return self.text
        head = "# written by flairlite train: a run file with the changes of --set\n\n"
        return (head + dump_toml(self.tables)).encode()


def read_run_file(path: Path, changes: Sequence[str] = ()) -> RunFile:
    """Read a run file and change single values.

    Args:
        path: The file.
        changes: Changes of values, such as `trainer.max_epochs=3`; a value is TOML, or a string without quotes.

    Raises:
        DataFormatError: If the file cannot be read or is not TOML.
        RunFileError: If a section or a change makes no sense.
    """
    try:
        text = path.read_bytes()
        content = text.decode("utf-8-sig").replace("\r\n", "\n")
        tables = tomllib.loads(content)
    except OSError as error:
        remedy = "Give the path of a run file; `flairlite init ner RUN.toml` writes one"
        raise DataFormatError(f"cannot be read: {error.strerror or error}", path=path, remedy=remedy) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        remedy = "A run file is text; `flairlite init ner RUN.toml` writes one"
        raise DataFormatError("this is not UTF-8 text", path=path, line=line, remedy=remedy) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _syntax_error(path, content, str(error)) from error
    run = RunFile(path, text, tables, dict(_find_origins(content, path)))
    for change in changes:
        _apply(run, change)
    _check_sections(run)
    return run


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the nearest known one, or all."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if not close:
        folded = {other.casefold(): other for other in names}
        close = [folded[found] for found in difflib.get_close_matches(name.casefold(), folded, n=1)]
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(names)}"


def dump_toml(tables: Mapping[str, Any]) -> str:
    """Return tables of strings, numbers, flags, dates, lists and tables as TOML."""
    return "\n".join(_dump_table(tables, ()))


def _dump_table(table: Mapping[str, Any], name: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its values, then the tables in it."""
    inner: list[tuple[str, Any]] = []
    for key, value in table.items():
        is_tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        if isinstance(value, dict) or is_tables:
            inner.append((key, value))
        else:
            yield f"{_dump_key(key)} = {_dump_value(value)}"
    yield ""
    for key, value in inner:
        full = (*name, key)
        dotted = ".".join(map(_dump_key, full))
        for item in value if isinstance(value, list) else [value]:
            yield f"[[{dotted}]]" if isinstance(value, list) else f"[{dotted}]"
            yield from _dump_table(item, full)


def _dump_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _dump_value(key)


def _dump_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(_dump_value, value))}]"
    if isinstance(value, dict):
        items = ", ".join(f"{_dump_key(key)} = {_dump_value(item)}" for key, item in value.items())
        return f"{{{items}}}"
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)  # dates; numbers, inf and nan


def _syntax_error(path: Path, content: str, message: str) -> DataFormatError:
    position = _POSITION.search(message)
    line = content.rstrip("\n").count("\n") + 1
    if position and position[1]:
        line = int(position[1])
    if path.suffix == ".pt":
        remedy = "This is a model; a run file is text"
    else:
        remedy = "Strings have quotes, and flags are true or false: see https://toml.io"
    return DataFormatError(f"this is not TOML: {_POSITION.sub('', message)}", path=path, line=line, remedy=remedy)


def _find_origins(content: str, path: Path) -> Iterator[tuple[Keys, str]]:
    """Yield the path of each value and where it is given.

    A statement of TOML is a header or a key with its value, and is valid by itself, while a value that is cut at the
    end of a line is not. So the statements are the shortest groups of lines that are valid.
    """
    lines = content.split("\n")
    counts: dict[Keys, int] = {}  # of the tables in each array of tables
    prefix: Keys = ()
    start = 0
    for end in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:end])
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        origin = f"{path}, line {start + 1}"
        start = end
        if not parsed:
            continue
        names = [keys for keys, _ in _walk(parsed)]
        if statement.lstrip().startswith("["):
            prefix = _resolve(_names_of(parsed), counts, is_array=statement.lstrip().startswith("[["))
            yield prefix, origin
        else:
            yield from ((prefix + keys, origin) for keys in names)


def _names_of(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the dotted name in a header, which is parsed as nested tables with one key each."""
    names: list[str] = []
    value: Any = header
    while isinstance(value, dict) and value:
        ((name, value),) = value.items()
        names.append(name)
        value = value[0] if isinstance(value, list) else value
    return tuple(names)


def _resolve(names: tuple[str, ...], counts: dict[Keys, int], *, is_array: bool) -> Keys:
    """Return the path of the table that a header names: in arrays of tables, that of their last table."""
    keys: Keys = ()
    for position, name in enumerate(names, 1):
        keys = (*keys, name)
        if is_array and position == len(names):
            counts[keys] = counts.get(keys, 0) + 1
        if keys in counts:
            keys = (*keys, counts[keys] - 1)
    return keys


def _walk(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield the path of each value in nested containers, and the value."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*keys, key), item
        yield from _walk(item, (*keys, key))


def _apply(run: RunFile, change: str) -> None:
    """Change a value of a run file."""
    origin = f"--set {change}"
    name, equals, text = change.partition("=")
    keys = tuple(int(part) if part.isdigit() else part for part in name.strip().split("."))
    if not equals or len(keys) < 2 or "" in keys:
        raise RunFileError(f"{origin}: give a section, a key and a value, as in --set trainer.max_epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if keys[0] not in SECTIONS:
        raise RunFileError(f"{origin}: there is no section {keys[0]}; {suggest(str(keys[0]), SECTIONS)}")
    table: Any = run.tables
    for key in keys[:-1]:
        if isinstance(table, list):
            if not isinstance(key, int) or key >= len(table):
                known = ", ".join(map(str, range(len(table))))
                raise RunFileError(f"{origin}: {key} must be the position of a table; there are {known}")
            table = table[key]
        elif isinstance(table, dict):
            table = table.setdefault(str(key), {})
        else:
            break
    if not isinstance(table, dict):
        hint = "give its position, as in embeddings.0.type" if isinstance(table, list) else "it has no keys"
        raise RunFileError(f"{origin}: {'.'.join(map(str, keys[:-1]))} is not a table: {hint}")
    table[str(keys[-1])] = value
    run.is_changed = True
    for changed in [known for known in run.origins if known[: len(keys)] == keys]:
        del run.origins[changed]
    run.origins[keys] = origin


def _check_sections(run: RunFile) -> None:
    for name, value in run.tables.items():
        if name not in SECTIONS:
            raise run.error((name,), f"there is no section [{name}]; {suggest(name, SECTIONS)}")
        expected, kind = ("[[embeddings]]", list) if name == "embeddings" else (f"[{name}]", dict)
        if not isinstance(value, kind) or not all(isinstance(item, dict) for item in value if kind is list):
            raise run.error((name,), f"{name} must be written as {expected}, with a key and a value in each line")
    for name in ("corpus", "embeddings", "model"):
        if not run.tables.get(name):
            shown = "[[embeddings]]" if name == "embeddings" else f"[{name}]"
            remedy = "`flairlite init ner RUN.toml` writes a complete run file"
            raise RunFileError(f"{run.path}: the section {shown} is missing; {remedy}")
