"""Read lexica: the tags, numbers or Brown clusters of words, from tables and JSON lines."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flairlite.datasets.text_file import JSON_LINES, TextFile

log = logging.getLogger("flairlite")

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_BITS = re.compile("[01]+")
_TAGS_REMEDY = 'A line is like `run<tab>NOUN VERB`, in JSON like {"word": "run", "tags": ["NOUN", "VERB"]}'
_NUMBERS_REMEDY = (
    'A line is like `run<tab>-8.25`, in JSON like {"word": "run", "numbers": [-8.25]}; skip_lines=1 skips a header'
)
_CLUSTER_REMEDY = 'A line is like `0110<tab>run<tab>312`, in JSON like {"word": "run", "cluster": "0110"}'


def read_word_tags(path: str | Path, encoding: str = "utf-8", *, skip_lines: int = 0) -> dict[str, tuple[str, ...]]:
    r"""Read the tags of words, such as the parts of speech that a lexicon allows.

    A line has a word, a tab, and tags separated by spaces or tabs: `run\tNOUN VERB`. In a file whose name ends with
    `.jsonl` or `.ndjson`, a line is an object such as `{"word": "run", "tags": ["NOUN", "VERB"]}`. A word that occurs
    in several lines has the tags of all of them.

    Args:
        path: The file.
        encoding: The encoding of the file.
        skip_lines: Number of lines to skip at the start, such as a header.

    Returns:
        The tags of each word, in the order of the file, each once.

    Raises:
        DataFormatError: If the file cannot be read or has no word, or a line is not such a line.
        SettingError: If the path is not a path, or the encoding is unknown.
    """
    file = TextFile(path, encoding, skip_lines)
    found: dict[str, dict[str, None]] = {}
    for line, word, values in _rows(file, "tags", _TAGS_REMEDY):
        tags = values if _is_json(file) else " ".join(values).split()
        if not tags or not all(isinstance(tag, str) and tag for tag in tags):
            raise file.error(f"expected the tags of {word!r:.60}, got {values!r:.60}", line, _TAGS_REMEDY)
        found.setdefault(word, {}).update(dict.fromkeys(tags))
    return {word: tuple(tags) for word, tags in found.items()}


def read_word_numbers(
    path: str | Path, encoding: str = "utf-8", *, skip_lines: int = 0
) -> dict[str, tuple[float, ...]]:
    r"""Read numbers of words, such as the logarithm of their frequency.

    A line has a word and one or several numbers, separated by tabs: `run\t-8.25\t3`. In a file whose name ends with
    `.jsonl` or `.ndjson`, a line is an object such as `{"word": "run", "numbers": [-8.25, 3]}`. Of repeated words the
    first counts; their number is logged.

    Args:
        path: The file.
        encoding: The encoding of the file.
        skip_lines: Number of lines to skip at the start, such as a header.

    Raises:
        DataFormatError: If the file cannot be read or has no word, or a line is not such a line, or has fewer or more
            numbers than the first.
        SettingError: If the path is not a path, or the encoding is unknown.
    """
    file = TextFile(path, encoding, skip_lines)
    found: dict[str, tuple[float, ...]] = {}
    repeated: list[int] = []
    count = 0
    for line, word, values in _rows(file, "numbers", _NUMBERS_REMEDY):
        numbers = tuple(number for number in map(_to_number, values) if number is not None)
        if not numbers or len(numbers) < len(values):
            raise file.error(f"expected finite numbers of {word!r:.60}, got {values!r:.60}", line, _NUMBERS_REMEDY)
        count = count or len(numbers)
        if len(numbers) != count:
            raise file.error(f"expected {count} numbers as for the first word, got {len(numbers)}", line)
        if found.setdefault(word, numbers) is not numbers:
            repeated.append(line)
    _warn_of_repeated(file, repeated)
    return found


def read_word_clusters(path: str | Path, encoding: str = "utf-8", *, skip_lines: int = 0) -> dict[str, str]:
    r"""Read the Brown clusters of words: strings of bits, each the path to a cluster in a binary tree.

    A line has a cluster, a word, and optionally the count of the word, separated by tabs: `0110\trun\t312`. This is the
    file `paths` that brown-cluster and compatible programs write. In a file whose name ends with `.jsonl` or `.ndjson`,
    a line is an object such as `{"word": "run", "cluster": "0110"}`. Of repeated words the first counts; their number
    is logged.

    Args:
        path: The file.
        encoding: The encoding of the file.
        skip_lines: Number of lines to skip at the start, such as a header.

    Raises:
        DataFormatError: If the file cannot be read or has no word, or a line is not such a line.
        SettingError: If the path is not a path, or the encoding is unknown.
    """
    file = TextFile(path, encoding, skip_lines)
    found: dict[str, str] = {}
    repeated: list[int] = []
    for line, first, values in _rows(file, "cluster", _CLUSTER_REMEDY):
        word, cluster = (first, values[0]) if _is_json(file) else (values[0], first)
        has_one = len(values) == 1 or not _is_json(file)  # tables may have counts
        if not has_one or not word or not isinstance(cluster, str) or not _BITS.fullmatch(cluster):
            raise file.error(f"expected a cluster and a word, got {cluster!r:.60}, {word!r:.60}", line, _CLUSTER_REMEDY)
        if word in found:
            repeated.append(line)
        found.setdefault(word, cluster)
    _warn_of_repeated(file, repeated)
    return found


def _rows(file: TextFile, key: str, remedy: str) -> Iterator[tuple[int, str, Sequence[Any]]]:
    """Yield the number of each line, its first cell or the value of `word`, and its other cells or values of `key`."""
    is_empty = True
    for record in file.records():
        text = record.text.removesuffix("\n")
        if _is_json(file):
            word, values = _read_object(text, key)
        else:
            word, *values = text.split("\t")
        if not isinstance(word, str) or not word or not values:
            raise file.error(f"expected a word and its {key}, got {text!r:.80}", record.line, remedy)
        is_empty = False
        yield record.line, word, values
    if is_empty:
        raise file.error("there is no word in it", remedy="Check the path and the format")


def _read_object(text: str, key: str) -> tuple[Any, list[Any]]:
    """Return the word and the values of a line of JSON, or None and no values if it is another line."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(content, dict):
        return None, []
    values = content.get(key, [])
    return content.get("word"), values if isinstance(values, list) else [values]


def _is_json(file: TextFile) -> bool:
    return file.path.suffix.lower() in JSON_LINES


def _to_number(value: Any) -> float | None:
    """Return a finite number, written or as JSON has it, or None for anything else."""
    is_number = _NUMBER.fullmatch(value) if isinstance(value, str) else type(value) in (int, float)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:  # of an integer
        return None
    return number if math.isfinite(number) else None


def _warn_of_repeated(file: TextFile, lines: Sequence[int]) -> None:
    if lines:
        message = "%s: %d lines repeat a word, first line %d: of repeated words the first counts"
        log.warning(message, file.path, len(lines), lines[0])
