"""Labelled texts, tables and JSON lines: what is written is read again; faults are errors with a line, or are said."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flairlite.data import Sentence
from flairlite.datasets import (
    ClassificationCorpus,
    ClassificationDataset,
    CSVClassificationCorpus,
    CSVClassificationDataset,
    JsonlCorpus,
    JsonlDataset,
    MultiFileJsonlCorpus,
)
from flairlite.errors import DataFormatError, SettingError

TEXT = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(
    st.characters(exclude_characters=" \t\n\r\v\f\0", exclude_categories=["Cs"]), min_size=1, max_size=5
).filter(str.strip)


def written(tmp_path: Path, text: str | bytes, name: str = "train.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def change(content: bytes, data: st.DataObject, pieces: list[bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        changed[place : place + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(pieces))
    return bytes(changed)


@contextmanager
def messages() -> Iterator[list[str]]:
    """Collect what is logged; pytest's fixture does not know single examples of a property."""
    collected: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: collected.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("flairlite").addHandler(handler)
    try:
        yield collected
    finally:
        logging.getLogger("flairlite").removeHandler(handler)


def number_left_out(said: list[str]) -> int:
    return sum(int(found[1]) for message in said if (found := re.search(r": (\d+) (?:lines|rows) .*left out", message)))


def described(sentence: Sentence) -> tuple[object, ...]:
    return sentence.text, sentence.words, sentence.metadata, [str(label) for label in sentence.get_labels()]


# fastText's form


@given(
    st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3, unique=True), TEXT), min_size=1, max_size=5), st.data()
)
def test_labelled_texts_survive_writing_and_reading(
    tmp_path: Path, rows: list[tuple[list[str], str]], data: st.DataObject
) -> None:
    rows = [(labels, " ".join(text.split()).replace("__label__", "") or "x") for labels, text in rows]
    between = data.draw(st.sampled_from([" ", "  ", "\t"]))
    lines = [between.join([*(f"__label__{label}" for label in labels), text]) + "\n" for labels, text in rows]
    path = written(tmp_path, "".join(lines))
    for mode in ("full", "partial", "disk"):
        dataset = ClassificationDataset(path, "topic", memory_mode=mode)
        expected = [(list(dict.fromkeys(map(str.strip, labels))), text.strip()) for labels, text in rows]
        assert [(s.sentence_labels("topic"), s.text) for s in dataset] == expected


@given(st.data(), st.sampled_from(["full", "disk"]), st.booleans())
def test_corrupted_lines_are_read_or_logged_or_an_error(
    tmp_path: Path, data: st.DataObject, mode: str, allow: bool
) -> None:
    content = b"__label__a __label__b in Rome\n__label__a it rained\n\n__label__b and so on\n"
    changed = change(content, data, [b"", b" ", b"\t", b"\n", b"\r\n", b"__label__", b"\xff", b"x"])
    path = written(tmp_path, changed)
    try:
        with messages() as said:
            read = list(ClassificationDataset(path, "t", memory_mode=mode, allow_examples_without_labels=allow))
    except DataFormatError:
        return

    def is_label(part: str) -> bool:
        return part.startswith("__label__")

    lines = [line for line in re.split("\r\n|\r|\n", changed.decode()) if line.strip(" \t")]
    assert len(read) + number_left_out(said) == len(lines)
    expected = []
    for parts in (re.findall(r"\S+", line, re.ASCII) for line in lines):
        labels = list(takewhile(is_label, parts))
        labels += takewhile(is_label, reversed(parts[len(labels) :]))
        if len(labels) < len(parts) and (labels or allow):
            expected.append(list(dict.fromkeys(label.removeprefix("__label__") for label in labels)))
    assert [sentence.sentence_labels("t") for sentence in read] == expected


def test_memory_mode_determines_whether_sentences_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "__label__a in Rome\n__label__b so\n")
    for mode, is_kept in (("full", True), ("partial", True), ("disk", False)):
        dataset = ClassificationDataset(path, "topic", memory_mode=mode)
        assert dataset.is_in_memory() == is_kept
        assert (dataset[1] is dataset[1]) == is_kept
        assert [sentence.text for sentence in dataset] == ["in Rome", "so"]
    with pytest.raises(SettingError, match="memory_mode must be one of full, partial, disk, not 'all'"):
        ClassificationDataset(path, "topic", memory_mode="all")


@pytest.mark.parametrize(
    ("options", "texts", "said"),
    [
        ({}, ["one two three", "four"], "1 lines that neither begin nor end with __label__.*first line 3"),
        ({"allow_examples_without_labels": True}, ["one two three", "four", "no __label__c here"], ""),
        ({"skip_labels": ["b"]}, ["one two three"], "1 lines with a label among b are left out, first line 2"),
        ({"skip_labels": ["bb", "__label__b"]}, ["one two three", "four"], ""),
        ({"filter_if_longer_than": 2}, ["four"], "1 lines of more than 2 words are left out, first line 1"),
        ({"truncate_to_max_tokens": 2}, ["one two", "four"], ""),
        ({"truncate_to_max_chars": 5}, ["one t", "four"], ""),
    ],
)
def test_filters_leave_out_lines_and_log_the_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any], texts: list[str], said: str
) -> None:
    path = written(tmp_path, "__label__a one two three\n__label__b __label__a four\nno __label__c here\n__label__d\n")
    assert [sentence.text for sentence in ClassificationDataset(path, "topic", **options)] == texts
    assert re.search(said, caplog.text)
    assert "1 lines with a label and no text are left out, first line 4" in caplog.text


def test_labels_can_be_renamed(tmp_path: Path) -> None:
    path = written(tmp_path, "__label__1 bad\n__label__5 __label__4 good\n")
    dataset = ClassificationDataset(path, "stars", label_name_map={"1": "NEG", "5": "POS", "4": "POS"})
    assert [sentence.sentence_labels("stars") for sentence in dataset] == [["NEG"], ["POS"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a text\nanother\n", r"no text with a label is in it, the first line is 'a text'; 2 lines that neither begin"),
        ("", "no text with a label is in it"),
        ("__label__a one\n__label__ two\n", r"line 2: a label has no name: '__label__ two'\. A line is like"),
        (b"__label__a one\n__label__a \xe9t\xe9\n", "line 2: byte 0xe9 is not utf-8"),
    ],
)
def test_malformed_file_is_an_error(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        ClassificationDataset(written(tmp_path, text), "topic")


def test_corpus_of_texts_has_the_splits_of_its_folder(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        written(tmp_path, f"__label__{split} some text\n", f"{split}.txt")
    corpus = ClassificationCorpus(tmp_path, label_type="split", name="three", memory_mode="disk")
    assert (corpus.name, str(corpus)) == ("three", "Corpus: 1 train + 1 dev + 1 test sentences")
    assert [s.sentence_labels("split") for s in corpus.get_all_sentences()] == [["train"], ["dev"], ["test"]]
    assert ClassificationCorpus(tmp_path).get_label_distribution("class") == {"train": 1}


# Tables

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
@example([("\x1f", "some text", " ")], ",", "\n")
def test_tables_survive_writing_and_reading(
    tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str, end: str
) -> None:
    rows = [(first, " ".join(text.split()) or "x", second) for first, text, second in [*rows, ("a", "b", "c")]]
    path = tmp_path / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    columns = {0: "label", 1: "text", 2: "label_more"}
    for in_memory in (True, False):
        with messages() as said:
            dataset = CSVClassificationDataset(path, columns, "t", in_memory=in_memory, delimiter=delimiter)
        kept = [(first, text, second) for first, text, second in rows if (first + second).strip()]  # blanks: no label
        assert [sentence.text for sentence in dataset] == [text for _, text, _ in kept]
        for sentence, (first, _, second) in zip(dataset, kept, strict=True):
            assert sentence.sentence_labels("t") == list(dict.fromkeys(filter(None, (first.strip(), second.strip()))))
        assert number_left_out(said) == len(rows) - len(kept)


@given(st.data(), st.booleans())
def test_changed_tables_are_an_error_or_complete_or_logged_as_incomplete(
    tmp_path: Path, data: st.DataObject, in_memory: bool
) -> None:
    content = b'a,in Rome\nb,"it ""rained"",\nso"\n\na,and so on\n'
    changed = change(content, data, [b"", b",", b'"', b"\n", b"\r\n", b"\xff", b"\0", b"x"])
    path = written(tmp_path, changed)
    try:
        with messages() as said:
            read = list(CSVClassificationDataset(path, {0: "label", 1: "text"}, "t", in_memory=in_memory))
    except DataFormatError:
        return
    lines = io.StringIO(changed.decode(), newline=None)
    rows = [row for row in csv.reader(lines, strict=True, skipinitialspace=True) if row]
    assert len(read) + number_left_out(said) == len(rows)
    labels = [[row[0].strip()] for row in rows if row[0].strip() and row[1].strip()]
    assert [s.sentence_labels("t") for s in read] == labels


def test_tables_are_read_with_the_given_dialect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "topic|title|text\nnews|Rain|It rained .\nnone|Sun|It shone .\n|Snow|It snowed .\nx||\n")
    columns = {0: "label", 1: "text", 2: "text"}
    dataset = CSVClassificationDataset(path, columns, "t", skip_header=True, no_class_label="none", delimiter="|")
    assert [sentence.text for sentence in dataset] == ["Rain It rained .", "Sun It shone ."]
    assert [sentence.sentence_labels("t") for sentence in dataset] == [["news"], []]
    assert "1 rows without a label are left out, first in line 4" in caplog.text
    assert "1 rows without a text are left out, first in line 5" in caplog.text
    (first, *_) = CSVClassificationDataset(path, columns, "t", max_tokens_per_doc=2, delimiter="|")
    assert first.text == "title text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\nc\n", r"line 2: a row must have 2 columns or more, but this has 1: \['c'\]. Check the delimiter"),
        (
            'a,b\nc,"d\ne\n',
            "line 2: the row that begins here is not valid CSV: unexpected end of data. Check the quotes",
        ),
        ('a,"b"c\n', "line 1: the row that begins here is not valid CSV"),
        (b"a,b\na,\xe9\n", "line 2: byte 0xe9 is not utf-8"),
        ("", "no text with a label is in it: 0 rows have no text, 0 no label"),
        (",b\n", "no text with a label is in it: 0 rows have no text, 1 no label. Check column_name_map"),
        ("\t,b\n \x1c,c\n", "no text with a label is in it: 0 rows have no text, 2 no label"),
    ],
)
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        CSVClassificationDataset(written(tmp_path, text), {0: "label", 1: "text"}, "t")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({0: "text"}, {}, "column_name_map needs a column 'text' and one 'label'"),
        ({0: "text", -1: "label"}, {}, "from 0, as in"),
        ({0: "text", 1: "label"}, {"delimiter": "||"}, "are not arguments of csv.reader"),
        ({0: "text", 1: "label"}, {"delimitter": "|"}, "are not arguments of csv.reader"),
    ],
)
def test_invalid_settings_are_errors(
    tmp_path: Path, columns: dict[int, str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        CSVClassificationDataset(written(tmp_path, "a,b\n"), columns, "t", **options)


def test_corpus_of_tables_samples_splits_only_on_request(tmp_path: Path) -> None:
    written(tmp_path, "".join(f"text {number},a\n" for number in range(10)), "train.csv")
    columns = {0: "text", 1: "label"}
    assert str(CSVClassificationCorpus(tmp_path, columns, "t")) == "Corpus: 10 train + 0 dev + 0 test sentences"
    corpus = CSVClassificationCorpus(tmp_path, columns, "t", sample_missing_splits=True, random_seed=1, in_memory=False)
    assert str(corpus) == "Corpus: 8 train + 1 dev + 1 test sentences"


# JSON lines


@given(
    st.lists(st.lists(st.sampled_from(["in", "Rome", "Ünì", "😀", "..."]), min_size=1, max_size=6), min_size=1),
    st.data(),
)
def test_spans_survive_writing_and_reading(tmp_path: Path, texts: list[list[str]], data: st.DataObject) -> None:
    lines, expected = [], []
    for number, words in enumerate(texts):
        text = " ".join(words)
        starts = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
        chosen = data.draw(st.lists(st.integers(0, len(words) - 1), unique=True, min_size=number == 0))
        spans = [[starts[place], starts[place] + len(words[place]), f"L{place}"] for place in sorted(chosen)]
        lines.append(
            json.dumps({"text": text, "spans": spans, "more": {"n": number}}, ensure_ascii=number % 2 == 0) + "\n"
        )
        expected.append((text, [(words[place], f"L{place}") for place in sorted(chosen)], {"n": number}))
    path = written(tmp_path, "\n".join(lines))
    for in_memory in (True, False):
        dataset = JsonlDataset(
            path,
            text_column_name="text",
            label_column_name="spans",
            metadata_column_name="more",
            use_tokenizer=False,
            in_memory=in_memory,
        )
        read = [
            (s.text, [(span.text, span.get_label("ner").value) for span in s.get_spans("ner")], s.metadata)
            for s in dataset
        ]
        assert read == expected


@given(st.data(), st.booleans())
def test_corrupted_lines_are_an_error_or_keep_every_span(tmp_path: Path, data: st.DataObject, in_memory: bool) -> None:
    content = b'{"data": "in Rome", "label": [[3, 7, "LOC"]]}\n{"data": "Ann is in", "label": [[0, 3, "PER"]]}\n'
    pieces = [b"", b"\n", b'"', b"1", b",", b"[]", b"{", b"\\", b"\xff", b"null", b'"label": [], ']
    path = written(tmp_path, change(content, data, pieces))
    try:
        dataset = JsonlDataset(path, in_memory=in_memory, require_labels=False)
        read = list(dataset)
    except DataFormatError:
        return
    objects = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    assert [len(sentence.get_spans("ner")) for sentence in read] == [len(known["label"] or ()) for known in objects]


def test_spans_inside_words_are_extended_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, '{"data": "in Rome", "label": [[4, 6, "LOC"], [2, 7, "X"]]}\n')
    (sentence,) = JsonlDataset(path)
    assert [span.text for span in sentence.get_spans("ner")] == ["Rome"]
    assert sentence.span_labels("ner") == [(1, 2, "LOC"), (1, 2, "X")]
    assert "1 of 2 spans begin or end inside a word, first in line 1: they are extended to words" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: the line is not valid JSON"),
        ("[" * 100_000, "line 2: the line is not valid JSON"),
        ("[1]", "line 2: the line must be a JSON object, as of each object in the list, not"),
        ('{"words": "a", "label": []}', "line 2: no 'data' in it; it has 'words', 'label'"),
        ('{"data": "a"}', "line 2: no 'label' in it; it has 'data'"),
        ('{"data": 1, "label": []}', "line 2: 'data' must be a text, not 1"),
        ('{"data": "a", "label": "LOC"}', "line 2: 'label' must be a list of spans, not 'LOC'"),
        ('{"data": "a", "label": [["0", 1, "LOC"]]}', r"line 2: a span must be \[start, end, label\], not"),
        ('{"data": "a", "label": [[0, 9, "LOC"]]}', "line 2: a span must lie within the 1 characters of the text"),
        ('{"data": "a  b", "label": [[1, 2, "LOC"]]}', "line 2: the span from 1 to 2, ' ', covers no word"),
        ('{"data": "a", "label": [], "label": []}', "line 2: the line is not valid JSON: a key occurs twice"),
        ('{"data": "a", "label": [], "metadata": [1]}', "line 2: 'metadata' must be"),
    ],
)
def test_malformed_line_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        JsonlDataset(written(tmp_path, '{"data": "x", "label": [[0, 1, "A"]]}\n' + line + "\n"))


def test_file_without_a_span_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    empty = written(tmp_path, '{"data": "x", "label": []}\n', "test.jsonl")
    with pytest.raises(DataFormatError, match="no line has a span under 'label'"):
        JsonlDataset(empty, require_labels=True)
    full = written(tmp_path, '{"data": "x", "label": [[0, 1, "A"]], "metadata": [["from", 7]]}\n', "train.jsonl")
    corpus = JsonlCorpus(tmp_path, label_type="x")
    assert str(corpus) == "Corpus: 1 train + 0 dev + 1 test sentences"
    assert "no line has a span under 'label'" in caplog.text
    assert [s.metadata for s in corpus.train or ()] == [{"from": 7}]
    both = MultiFileJsonlCorpus([full, full], [empty], label_type="x", name="both", in_memory=False)
    assert str(both) == "Corpus: 2 train + 0 dev + 1 test sentences"
    assert [described(s) for s in both.train or ()] == [described(s) for s in corpus.train or ()] * 2
