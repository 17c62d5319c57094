"""Readers of lexica give the entries of a file, or an error that names the line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.datasets import read_word_clusters, read_word_numbers, read_word_tags
from flairlite.errors import DataFormatError, SettingError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str, name: str = "lexicon.tsv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode("utf-8"))
        return path

    return write_text


def test_tags_of_repeated_words_are_joined(write: Write) -> None:
    path = write("run\tNOUN VERB\n\nthe\tDET\r\nrun\tVERB\tX\nice cream\tNOUN\n")
    assert read_word_tags(path) == {"run": ("NOUN", "VERB", "X"), "the": ("DET",), "ice cream": ("NOUN",)}
    path = write('{"word": "run", "tags": ["a noun", "VERB"]}\n{"word": "the", "tags": "DET"}\n', "lexicon.jsonl")
    assert read_word_tags(path) == {"run": ("a noun", "VERB"), "the": ("DET",)}


def test_the_first_numbers_of_repeated_words_count(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write("word\tlog\tn\nrun\t-8.25\t3\nthe\t-2e0\t.5\nrun\t-8.25\t3\n")
    assert read_word_numbers(path, skip_lines=1) == {"run": (-8.25, 3), "the": (-2, 0.5)}
    assert "1 lines repeat a word, first line 4" in caplog.text
    path = write('{"word": "run", "numbers": [-8.25, 3]}\n{"word": "the", "numbers": [1, 2.5]}\n', "lexicon.ndjson")
    assert read_word_numbers(path) == {"run": (-8.25, 3), "the": (1, 2.5)}
    assert read_word_numbers(write('{"word": "run", "numbers": 5}', "one.jsonl")) == {"run": (5,)}


def test_clusters_are_those_of_a_paths_file(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write("0110\trun\t312\n0111\t0110\t5\n00\tthe\n1\trun\t1\n")
    assert read_word_clusters(path) == {"run": "0110", "0110": "0111", "the": "00"}
    assert "first line 4: of repeated words the first counts" in caplog.text
    assert read_word_clusters(write('{"word": "run", "cluster": "01"}', "x.jsonl")) == {"run": "01"}


@pytest.mark.parametrize(
    ("read", "text", "name", "line", "message"),
    [
        (read_word_tags, "run\tNOUN\nthe\n", "a.tsv", 2, "expected a word and its tags, got 'the'"),
        (read_word_tags, "run\t \n", "a.tsv", 1, "expected the tags of 'run', got"),
        (read_word_tags, "\tNOUN\n", "a.tsv", 1, "expected a word and its tags"),
        (read_word_tags, '{"word": "run", "tags": [1]}', "a.jsonl", 1, r"expected the tags of 'run', got \[1\]"),
        (read_word_tags, '{"word": "run", "tags": []}', "a.jsonl", 1, "expected a word and its tags"),
        (read_word_tags, '{"word": 5, "tags": ["A"]}', "a.jsonl", 1, "expected a word and its tags"),
        (read_word_tags, '["run", "NOUN"]', "a.jsonl", 1, "expected a word and its tags"),
        (read_word_tags, "\nrun\tNOUN", "a.jsonl", 2, "expected a word and its tags"),
        (read_word_numbers, "word\tlog\n", "a.tsv", 1, "expected finite numbers of 'word'.*skip_lines=1"),
        (read_word_numbers, "a\t1\nb\tnan\n", "a.tsv", 2, "expected finite numbers of 'b'"),
        (read_word_numbers, "a\t1_0\n", "a.tsv", 1, "expected finite numbers"),
        (read_word_numbers, "a\t1e999\n", "a.tsv", 1, "expected finite numbers"),
        (read_word_numbers, "a\t1\t2\nb\t1\n", "a.tsv", 2, "expected 2 numbers as for the first word, got 1"),
        (read_word_numbers, '{"word": "a", "numbers": [true]}', "a.jsonl", 1, "expected finite numbers"),
        (read_word_numbers, '{"word": "a", "numbers": [NaN]}', "a.jsonl", 1, "expected finite numbers"),
        (read_word_clusters, "run\t0110\n", "a.tsv", 1, "expected a cluster and a word, got 'run', '0110'"),
        (read_word_clusters, "0110\t\t5\n", "a.tsv", 1, "expected a cluster and a word"),
        (read_word_clusters, '{"word": "a", "cluster": 10}', "a.jsonl", 1, "expected a cluster and a word"),
        (read_word_clusters, '{"word": "a", "cluster": ["0", "1"]}', "a.jsonl", 1, "expected a cluster and a word"),
    ],
)
def test_other_lines_are_refused(write: Write, read: Any, text: str, name: str, line: int, message: str) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        read(write(text, name))
    assert caught.value.line == line


@pytest.mark.parametrize("read", [read_word_tags, read_word_numbers, read_word_clusters])
def test_files_without_words_are_refused(write: Write, tmp_path: Path, read: Any) -> None:
    with pytest.raises(DataFormatError, match="there is no word in it"):
        read(write("\n \n"))
    with pytest.raises(DataFormatError, match="cannot be read"):
        read(tmp_path / "missing.tsv")
    (tmp_path / "latin.tsv").write_bytes("é\tA\n".encode("latin-1"))
    with pytest.raises(DataFormatError, match="is not utf-8 text"):
        read(tmp_path / "latin.tsv")
    with pytest.raises(SettingError, match="must be one path"):
        read(5)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6).filter(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(words, st.lists(numbers, min_size=2, max_size=2), min_size=1))
def test_written_numbers_are_read(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, list[float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.tsv"
    path.write_text("".join(f"{word}\t{a!r}\t{b!r}\n" for word, (a, b) in entries.items()), encoding="utf-8")
    assert read_word_numbers(path) == {word: tuple(pair) for word, pair in entries.items()}
    path = path.with_suffix(".jsonl")
    lines = (json.dumps({"word": word, "numbers": pair}) for word, pair in entries.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_word_numbers(path) == {word: tuple(pair) for word, pair in entries.items()}


@given(st.dictionaries(words, st.text("01", min_size=1), min_size=1))
def test_written_clusters_are_read(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "paths"
    path.write_text("".join(f"{cluster}\t{word}\t7\n" for word, cluster in entries.items()), encoding="utf-8")
    assert read_word_clusters(path) == entries


@given(st.binary(max_size=60) | st.text('a\t01.NaN{}:" \r\n[]', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for name in ("any.tsv", "any.jsonl"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        for read in (read_word_tags, read_word_numbers, read_word_clusters):
            try:
                found: Any = read(path)
            except DataFormatError:
                continue
            assert found
            assert all(word and isinstance(word, str) for word in found)
            for values in found.values():
                assert len(values) > 0
                assert all(not isinstance(value, float) or math.isfinite(value) for value in values)
