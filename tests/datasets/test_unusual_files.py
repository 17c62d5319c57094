"""Unusual files and arguments: the readers give the right data, or an error that names the file and the remedy."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flairlite.data import Sentence
from flairlite.datasets import (
    ClassificationDataset,
    ColumnCorpus,
    ColumnDataset,
    CSVClassificationDataset,
    JsonlDataset,
    MultiFileColumnCorpus,
    UniversalDependenciesDataset,
    read_conllu,
    read_labelled,
)
from flairlite.errors import DataFormatError, LabelError, SettingError

NER: dict[int, str] = {0: "text", 1: "ner"}


def conllu_row(number: str, form: str, upos: str = "X", misc: str = "_") -> str:
    return "\t".join([number, form, "_", upos, "_", "_", "_", "_", "_", misc])


# Per reader: how to read a file, two lines of data, and the labels in them.
READERS: dict[str, tuple[Callable[[Path], Sequence[Sentence]], list[str], str]] = {
    "columns": (lambda path: ColumnDataset(path, {0: "text", 1: "t"}), ["in A", "Rome B"], "t"),
    "columns on disk": (
        lambda path: ColumnDataset(path, {0: "text", 1: "t"}, in_memory=False),
        ["in\tA", "Rome\tB"],
        "t",
    ),
    "CoNLL-U": (read_conllu, [conllu_row("1", "in", "A"), conllu_row("2", "Rome", "B")], "upos"),
    "CoNLL-U on disk": (
        lambda path: UniversalDependenciesDataset(path, in_memory=False),
        [conllu_row("1", "in", "A"), conllu_row("2", "Rome", "B")],
        "upos",
    ),
    "fastText": (lambda path: ClassificationDataset(path, "t"), ["__label__A in", "__label__B Rome"], "t"),
    "CSV": (lambda path: CSVClassificationDataset(path, {0: "text", 1: "label"}, "t"), ["in,A", "Rome,B"], "t"),
    "JSON lines": (
        lambda path: JsonlDataset(path, label_type="t"),
        ['{"data": "in", "label": [[0, 2, "A"]]}', '{"data": "Rome", "label": [[0, 4, "B"]]}'],
        "t",
    ),
}
every_reader = pytest.mark.parametrize("reader", list(READERS))


def save(tmp_path: Path, content: str | bytes, name: str = "train.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def labels(sentences: Sequence[Sentence], label_type: str) -> list[tuple[str, str]]:
    return [(label.data_point.text, label.value) for sentence in sentences for label in sentence.get_labels(label_type)]


def lines(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


# Line ends, blanks, byte order marks


@every_reader
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("has_last_end", [True, False])
def test_line_ends_and_marks_change_nothing(
    tmp_path: Path, reader: str, end: str, mark: str, has_last_end: bool
) -> None:
    read, rows, label_type = READERS[reader]
    path = save(tmp_path, mark + end.join(rows) + end * has_last_end)
    assert labels(read(path), label_type) == [("in", "A"), ("Rome", "B")]


@every_reader
@pytest.mark.parametrize("blank", [" ", "\u00a0", "  "])
def test_blanks_around_a_label_are_removed(tmp_path: Path, reader: str, blank: str) -> None:
    read, rows, label_type = READERS[reader]
    tab = "\t" if "CoNLL" in reader or "disk" in reader else " "
    spaced = [row.replace(f"{tab}A", f"{tab}A{blank}").replace(",A", f",{blank}A{blank}") for row in rows]
    spaced = [row.replace('"A"', f'"{blank}A{blank}"').replace("__A", f"__A{blank}") for row in spaced]
    assert labels(read(save(tmp_path, lines(*spaced))), label_type) == [("in", "A"), ("Rome", "B")]


def test_names_of_labels_are_compared_without_blanks(tmp_path: Path) -> None:
    path = save(tmp_path, lines("Ann B-PER ", "Rome B-LOC"))
    (sentence,) = ColumnDataset(path, NER, label_name_map={" PER": "person "})
    assert labels([sentence], "ner") == [("Ann", "person"), ("Rome", "LOC")]
    texts = save(tmp_path, "__label__1 bad\n")
    assert labels(ClassificationDataset(texts, "t", label_name_map={"1 ": "NEG"}), "t") == [("bad", "NEG")]


@every_reader
@pytest.mark.parametrize("character", ["\x0c", "\x0b", "\u2028", "\x85", "\x1c"])
def test_other_separators_are_characters(tmp_path: Path, reader: str, character: str) -> None:
    read, rows, label_type = READERS[reader]
    if reader == "JSON lines":
        rows = [row.replace("Rome", f"Ro{character}me").replace("4,", "5,") for row in rows]
        if character < " ":
            with pytest.raises(DataFormatError, match="line 2: the line is not valid JSON"):
                read(save(tmp_path, lines(*rows)))
            return
    else:
        rows = [row.replace("Rome", f"Ro{character}me") for row in rows]
    assert len(labels(read(save(tmp_path, lines(*rows))), label_type)) == 2


# Files that are not text


@every_reader
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: gzip.compress(text.encode()), "compressed with gzip"),
        (lambda text: gzip.compress(text.encode() * 99)[:-20], "compressed with gzip"),
        (lambda text: text.encode("utf-16"), "UTF-16"),
        (lambda text: text.encode("utf-16-le"), "byte 0x00 is not"),
        (lambda text: text.replace("Rome", "Ro\0me").encode(), "line 2: byte 0x00 is not"),
        (lambda text: text.replace("Rome", "Römé").encode("latin-1"), "line 2: byte 0xf6 is not"),
        (lambda text: b"", "no sentence in it|no text with a label"),
    ],
)
def test_file_that_is_not_text_is_an_error_with_a_remedy(
    tmp_path: Path, reader: str, change: Callable[[str], bytes], message: str
) -> None:
    read, rows, _ = READERS[reader]
    path = save(tmp_path, change(lines(*rows)))
    with pytest.raises(DataFormatError, match=message) as caught:
        read(path)
    assert caught.value.path == path


@every_reader
def test_folder_and_missing_file_are_errors(tmp_path: Path, reader: str) -> None:
    read = READERS[reader][0]
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataFormatError, match="cannot be read"):
            read(path)


@every_reader
@pytest.mark.parametrize("path", [None, b"train.txt", 5, ["a", "b"], np.array(["a"])], ids=repr)
def test_argument_that_is_not_a_path_is_an_error(reader: str, path: Any) -> None:
    with pytest.raises(SettingError, match=r"path must be one path, a str or a pathlib\.Path, not"):
        READERS[reader][0](path)


@every_reader
def test_path_may_be_any_str(tmp_path: Path, reader: str) -> None:
    read, rows, _ = READERS[reader]
    path: Any = np.str_(save(tmp_path, lines(*rows)))
    assert len(read(path)) > 0


def test_huge_fields_are_read(tmp_path: Path) -> None:
    word = "x" * 300_000
    assert CSVClassificationDataset(save(tmp_path, f"{word},A\n"), {0: "text", 1: "label"}, "t")[0].words == [word]
    assert ColumnDataset(save(tmp_path, f"{word} A\n"), {0: "text", 1: "t"})[0].words == [word]


# Tags of spans

FORMS = {
    "B-PER": ["O", "B-PER", "I-PER", "O", "B-LOC"],
    "IOB1": ["O", "I-PER", "I-PER", "O", "I-LOC"],
    "IOBES": ["O", "B-PER", "E-PER", "O", "S-LOC"],
    "BILOU": ["O", "B-PER", "L-PER", "O", "U-LOC"],
    "small outside": ["o", "B-PER", "I-PER", "o", "B-LOC"],
    "zero outside": ["0", "B-PER", "I-PER", "0", "B-LOC"],
    "b-PER": ["O", "b-PER", "i-PER", "O", "b-LOC"],
    "B_PER": ["O", "B_PER", "I_PER", "O", "B_LOC"],
    "PER-B": ["O", "PER-B", "PER-I", "O", "LOC-B"],
    "PER_B": ["O", "PER_B", "PER_I", "O", "LOC_B"],
    "brackets": ["*", "(PER*", "*)", "*", "(LOC)"],
    "brackets, closed with a star": ["*", "(PER*", "*)", "*", "(LOC*)"],
}
MANY_OUTSIDE = 40


def tagged_file(tmp_path: Path, tags: Sequence[str], outside: str) -> Path:
    rows = [
        *(row for _ in range(MANY_OUTSIDE) for row in (f"so {outside}", "")),
        *(f"w{i} {t}" for i, t in enumerate(tags)),
    ]
    return save(tmp_path, lines(*rows))


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("in_memory", [True, False])
def test_tags_of_known_forms_are_spans(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str, in_memory: bool
) -> None:
    tags = FORMS[form]
    data = ColumnDataset(tagged_file(tmp_path, tags, tags[0]), NER, in_memory=in_memory)
    assert data.span_label_types == ["ner"]
    assert data[-1].span_labels("ner") == [(1, 3, "PER"), (4, 5, "LOC")]
    assert not any(sentence.get_labels("ner") for sentence in data[:-1])
    assert not caplog.records


@pytest.mark.parametrize("tags", [["O", "B", "I", "O", "B"], ["O", "B-", "I-", "O", "B-"], ["o", "b", "i", "o", "b"]])
def test_tags_without_a_type_are_named_after_the_column(tmp_path: Path, tags: list[str]) -> None:
    data = ColumnDataset(tagged_file(tmp_path, tags, tags[0]), NER)
    assert data[-1].span_labels("ner") == [(1, 3, "ner"), (4, 5, "ner")]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["O", "PER", "PER", "O", "LOC"], r"column 1 \(ner\) has mostly 'O'.*'PER', 'LOC'.*labels of words"),
        (["*", "PER)", "PER)", "*", "LOC"], r"column 1 \(ner\) has mostly '\*'.*'PER\)', 'LOC'"),
        (
            ["O", "B-PER|B-LOC", "I-PER|O", "O", "B-LOC"],
            r"column 1 \(ner\) has several tags in a value.*'B-PER\|B-LOC'",
        ),
    ],
)
def test_values_of_an_unknown_form_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tags: list[str], message: str
) -> None:
    import re

    ColumnDataset(tagged_file(tmp_path, tags, tags[0]), NER)
    assert re.search(message, caplog.text)


def test_brackets_that_do_not_match_are_an_error_with_a_line(tmp_path: Path) -> None:
    path = save(tmp_path, lines("a (X*", "b *)", "", "c (X*", "d *"))
    with pytest.raises(DataFormatError, match=r"line 4: column 1 \(ner\): the span 'X' from value 1 .* is not closed"):
        ColumnDataset(path, NER)


def test_lemmas_and_tags_of_words_stay_labels_of_words(tmp_path: Path) -> None:
    path = save(tmp_path, lines("an e-mail B", "to i-pod S", "so house E"))
    data = ColumnDataset(path, {0: "text", 1: "lemma", 2: "pos"})
    assert data.span_label_types == []


# CoNLL-U as columns, and columns without a label


def test_conllu_file_is_read_as_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows = [
        "# text = Il va au Mans",
        conllu_row("1", "Il", misc="name=O"),
        conllu_row("2", "va", misc="name=O"),
        conllu_row("3-4", "au"),
        conllu_row("3", "à", misc="name=O"),
        conllu_row("4", "le", misc="name=B-LOC|SpaceAfter=No"),
        conllu_row("5", "Mans", misc="SpaceAfter=No|name=I-LOC"),
        conllu_row("5.1", "est", misc="name=O"),
    ]
    (sentence,) = ColumnDataset(save(tmp_path, lines(*rows)), {1: "text", 3: "upos", 9: "misc"}, comment_symbol="#")
    assert sentence.words == ["Il", "va", "à", "le", "Mans"]
    assert sentence.span_labels("name") == [(3, 5, "LOC")]
    assert sentence.token_labels("upos") == ["X"] * 5
    assert "2 rows of multiword ranges and empty nodes are left out" in caplog.text


def test_numbers_with_dashes_in_other_first_columns_stay(tmp_path: Path) -> None:
    path = save(tmp_path, lines("2020-21 saison O", "5.1 surround O", "9 x B-X"))
    assert len(ColumnDataset(path, {1: "text", 2: "ner"})[0]) == 3


@pytest.mark.parametrize("value", ["_", "O"])
def test_column_without_a_label_is_read_and_described_where_labels_are_needed(tmp_path: Path, value: str) -> None:
    save(tmp_path, lines(f"in {value} ADP", f"Rome {value} PROPN"))
    corpus = ColumnCorpus(tmp_path, {0: "text", 1: "ner", 2: "pos"})
    assert len(corpus.make_label_dictionary("pos")) == 3
    with pytest.raises(LabelError, match=rf"column 1 \(ner\) has only '{value}' \(2\)"):
        corpus.make_label_dictionary("ner")


# Column maps and options


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": 0, "ner": 1}, r"write \{0: 'text'\}"),
        (["text", "ner"], "a column map gives .* this is a list"),
        ("text", "this is a str"),
        (None, "this is a NoneType"),
        ({"0": "text"}, "not '0': 'text'"),
        ({0: "text", 1: None}, "not 1: None"),
        ({True: "text"}, "not True: 'text'"),
        ({0.0: "text"}, "not 0.0: 'text'"),
        ({0: "ner"}, "one of the columns must be named 'text'|needs a column 'text'"),
    ],
)
@pytest.mark.parametrize("kind", ["columns", "corpus", "CSV"])
def test_column_map_of_another_form_is_an_error(tmp_path: Path, columns: Any, message: str, kind: str) -> None:
    path = save(tmp_path, "a,b\n")
    readers: dict[str, Callable[[], object]] = {
        "columns": lambda: ColumnDataset(path, columns),
        "corpus": lambda: ColumnCorpus(tmp_path, columns),
        "CSV": lambda: CSVClassificationDataset(path, columns, "t"),
    }
    with pytest.raises(SettingError, match=message):
        readers[kind]()


def test_index_may_be_a_numpy_integer(tmp_path: Path) -> None:
    columns: Any = {np.int64(0): "text", np.int32(-1): "ner"}
    assert ColumnDataset(save(tmp_path, "Rome x B-LOC\n"), columns)[0].span_labels("ner") == [(0, 1, "LOC")]


def test_column_out_of_range_is_an_error_that_shows_the_map(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"must have 4 columns or more.*the column map \{0: 'text', 3: 'ner'\}"):
        ColumnDataset(save(tmp_path, "in O\n"), {0: "text", 3: "ner"})


def test_unknown_option_of_a_corpus_names_the_nearest(tmp_path: Path) -> None:
    path = save(tmp_path, "in O\n")
    with pytest.raises(SettingError, match="has no option 'in_memmory': did you mean 'in_memory'"):
        MultiFileColumnCorpus(NER, path, in_memmory=False)


def test_files_of_a_split_may_be_a_generator_and_must_be_paths(tmp_path: Path) -> None:
    paths = [save(tmp_path, "Rome B-LOC\n", name) for name in ("a", "b")]
    files: Any = (path for path in paths)
    assert len(MultiFileColumnCorpus(NER, files).train or ()) == 2
    for wrong in (5, [None], b"a"):
        with pytest.raises(SettingError, match="train_files must be"):
            MultiFileColumnCorpus(NER, wrong)  # type: ignore[arg-type]


# JSON lines of annotation tools


@pytest.mark.parametrize(
    "line",
    [
        {"id": 1, "text": "in Rome", "label": [[3, 7, "LOC"]]},
        {"text": "in Rome", "labels": [[3, 7, "LOC"]]},
        {"text": "in Rome", "entities": [{"id": 5, "label": "LOC", "start_offset": 3, "end_offset": 7}]},
        {"text": "in Rome", "spans": [{"start": 3, "end": 7, "label": "LOC", "token_end": 1}], "answer": "accept"},
    ],
)
def test_lines_of_annotation_tools_are_read(tmp_path: Path, line: dict[str, Any]) -> None:
    path = save(tmp_path, json.dumps(line) + "\n", "a.jsonl")
    assert labels(JsonlDataset(path), "ner") == [("Rome", "LOC")]
    assert labels(read_labelled(path, label_type="x", unit="span"), "x") == [("Rome", "LOC")]


def test_rejected_lines_are_left_out_with_a_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    span = {"start": 0, "end": 4, "label": "LOC"}
    rows = [
        json.dumps({"text": "Rome", "spans": [span], "answer": answer}) for answer in ("accept", "reject", "ignore")
    ]
    assert len(JsonlDataset(save(tmp_path, lines(*rows)))) == 1
    assert "2 lines that an annotator rejected or ignored are left out, first line 2" in caplog.text


@pytest.mark.parametrize(
    "span",
    [
        [5, 3, "X"],
        [-1, 2, "X"],
        [0, 99, "X"],
        [0.0, 2, "X"],
        [0, 2, None],
        [0, 2, ""],
        [0, 2, " "],
        [0, 2, True],
        {},
        "X",
        5,
    ],
)
def test_span_that_is_malformed_is_an_error(tmp_path: Path, span: Any) -> None:
    path = save(tmp_path, json.dumps({"data": "in Rome", "label": [span]}) + "\n")
    with pytest.raises(DataFormatError, match=r"line 1: a span must"):
        JsonlDataset(path)


def test_labels_may_be_whole_numbers(tmp_path: Path) -> None:
    assert labels(JsonlDataset(save(tmp_path, '{"data": "Rome", "label": [[0, 4, 3]]}\n')), "ner") == [("Rome", "3")]


# CSV

TABLE: dict[int, str] = {0: "label", 1: "text"}


def test_row_with_more_columns_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, "A,it rained\nB,it rained, and then not\n")
    with pytest.raises(DataFormatError, match=r"line 2: the row has 3 columns, but the first row has 2.*needs quotes"):
        CSVClassificationDataset(path, TABLE, "t")


def test_empty_columns_at_the_end_are_ignored(tmp_path: Path) -> None:
    data = CSVClassificationDataset(save(tmp_path, "A,in\nB,Rome,,\n"), TABLE, "t")
    assert labels(data, "t") == [("in", "A"), ("Rome", "B")]


def test_quotes_after_a_blank_are_quotes(tmp_path: Path) -> None:
    data = CSVClassificationDataset(save(tmp_path, 'A, "it rained, and so"\n'), TABLE, "t")
    assert labels(data, "t") == [("it rained, and so", "A")]


def test_header_that_is_read_as_a_text_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path, "Label,Text\nA,in Rome\n")
    CSVClassificationDataset(path, TABLE, "t")
    assert "the first row seems to be a header" in caplog.text
    caplog.clear()
    assert len(CSVClassificationDataset(path, TABLE, "t", skip_header=True)) == 1
    assert not caplog.records


def test_other_delimiter_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"line 1: a row must have 2 columns.*it has ';': pass delimiter="):
        CSVClassificationDataset(save(tmp_path, "A;in\n"), TABLE, "t")


def test_class_for_no_label_may_be_a_number(tmp_path: Path) -> None:
    none: Any = 0
    data = CSVClassificationDataset(save(tmp_path, "0,in\n1,Rome\n"), TABLE, "t", no_class_label=none)
    assert [sentence.sentence_labels("t") for sentence in data] == [[], ["1"]]


# Documents, and gold labels by unit


@pytest.mark.parametrize("rest", ["", " -X- -X- O", " (1)"])
def test_document_start_has_any_rest(tmp_path: Path, rest: str) -> None:
    data = ColumnDataset(save(tmp_path, lines(f"-DOCSTART-{rest}", "", "Rome NNP B-LOC")), {0: "text", 2: "ner"})
    assert [sentence.text for sentence in data] == ["-DOCSTART-", "Rome"]


def test_document_start_inside_a_sentence_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, lines("-DOCSTART- O", "Rome B-LOC"))
    with pytest.raises(DataFormatError, match=r"line 1: -DOCSTART- is a row of a sentence\. Put an empty line"):
        ColumnDataset(path, NER)


def test_unit_determines_the_format_of_gold_labels(tmp_path: Path) -> None:
    words = save(tmp_path, conllu_row("1", "Rome", "PROPN") + "\n", "words")
    assert labels(read_labelled(words, label_type="upos", unit="word"), "upos") == [("Rome", "PROPN")]
    columns = save(tmp_path, "Rome x B-LOC\n", "columns")
    assert labels(read_labelled(columns, label_type="ner", unit="span"), "ner") == [("Rome", "LOC")]
    texts = save(tmp_path, "__label__a Rome\nno label\n", "texts")
    assert len(read_labelled(texts, label_type="t", unit="sentence")) == 1
    assert len(read_labelled(texts, label_type="t", unit="sentence", allow_unlabelled=True)) == 2
    for name, content in (
        ("a.csv", 'A "fine" film,pos\n"Dull, and long",neg\n'),
        ("b.csv", 'id,Label,text\n1,pos,A "fine" film\n2,neg,"Dull, and long"\n'),
        ("c.tsv", 'A "fine" film\t1\tpos\nDull, and long\t2\tneg\n'),
        ("d.csv", 'sep=;\nA "fine" film;pos\nDull, and long;neg\n'),
    ):
        table = save(tmp_path, content, name)
        found = read_labelled(table, label_type="t", unit="sentence")
        assert [sentence.get_label("t").value for sentence in found] == ["pos", "neg"], name
        assert found[1].text == "Dull, and long"
    with pytest.raises(DataFormatError, match="it has ';': pass delimiter="):
        read_labelled(save(tmp_path, "A film;pos\n", "e.csv"), label_type="t", unit="sentence")
    unit: Any = "text"
    with pytest.raises(SettingError, match="unit must be word, span or sentence, not 'text'"):
        read_labelled(texts, label_type="t", unit=unit)


@pytest.mark.parametrize(
    ("train", "dev", "expected"),
    [
        (["(PER*", "*)", "*"], ["*", "*"], []),
        (["(PER*", "*)", "*"], ["_", "(LOC)"], ["LOC"]),
        (["PER-B", "PER-I", "O"], ["PER-B", "LOC-I"], ["PER", "LOC"]),
        (["B", "I", "O"], ["B", "I"], ["ner"]),
        (["b-per", "i-per", "o"], ["o", "o"], []),
        (["B-PER", "I-PER", "O"], ["O", "O"], []),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_the_first_file_determines_the_form_of_the_tags(
    tmp_path: Path, train: list[str], dev: list[str], expected: list[str], in_memory: bool
) -> None:
    for split, tags in (("train", train), ("dev", dev)):
        save(tmp_path, lines(*(f"word {tag}" for tag in tags)), f"{split}.txt")
    corpus = ColumnCorpus(tmp_path, NER, in_memory=in_memory)
    assert [label for sentence in corpus.dev or () for _, _, label in sentence.span_labels("ner")] == expected
    assert not any(sentence.token_labels("ner") for sentence in corpus.dev or ())


@pytest.mark.parametrize(
    "columns", [["(person-1", "person-1)", "_"], ["(0|(1", "0)", "1)"], ["(NP(NP*", "*)", "*)"], ["(PER*", "*)", "-"]]
)
def test_brackets_of_an_unknown_form_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, columns: list[str]
) -> None:
    ColumnDataset(save(tmp_path, lines(*(f"word {value}" for value in columns))), NER)
    ColumnDataset(save(tmp_path, lines(*(f"word NER={value}|A=B" for value in columns))), {0: "text", 1: "misc"})
    assert caplog.text.count("has brackets that are not read as spans") == 2


def test_plain_brackets_as_labels_of_words_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ColumnDataset(save(tmp_path, lines("( (", ") )", "a DT", "b NN")), {0: "text", 1: "xpos"})
    assert not caplog.text


@pytest.mark.parametrize("words", [["B-PER", "I-PER", "O"], ["1", "2", "3"]])
def test_column_map_with_tags_or_ids_as_words_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, words: list[str]
) -> None:
    path = save(tmp_path, lines(*(f"{word} Rome" for word in words)))
    ColumnDataset(path, NER)
    assert f"column 0 has the words according to column_name_map, but they are '{words[0]}'" in caplog.text
    caplog.clear()
    ColumnDataset(path, {1: "text", 0: "t"})
    assert "column_name_map" not in caplog.text


@pytest.mark.parametrize("mode", ["full", "partial", "disk"])
def test_labels_after_a_text_are_labels(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path, "in Rome __label__A __label__B\n__label__A so \t__label__C \r\nC __label__\u00e4")
    read = [
        (sentence.text, sorted(sentence.sentence_labels("t")))
        for sentence in ClassificationDataset(path, "t", memory_mode=mode)
    ]
    assert read == [("in Rome", ["A", "B"]), ("so", ["A", "C"]), ("C", ["\u00e4"])]


@pytest.mark.parametrize(
    "option",
    [
        {"truncate_to_max_tokens": "2"},
        {"truncate_to_max_chars": 2.5},
        {"filter_if_longer_than": None},
        {"skip_labels": [1]},
        {"label_name_map": {"A": " "}},
    ],
)
def test_option_of_another_type_is_an_error(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(option))):
        ClassificationDataset(save(tmp_path, "__label__A so"), "t", **option)


@pytest.mark.parametrize("option", [{"max_tokens_per_doc": "2"}, {"max_chars_per_doc": True}])
def test_limit_of_another_type_is_an_error(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(option))):
        CSVClassificationDataset(save(tmp_path, "so,A"), {0: "text", 1: "label"}, "t", **option)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_separator_line_of_excel_determines_the_delimiter(
    tmp_path: Path, in_memory: bool, mark: str, end: str, delimiter: str
) -> None:
    content = f'{mark}sep={delimiter}\ntext{delimiter}label\n"a{delimiter}\nb"{delimiter}A\n  \nc{delimiter}B'
    path = save(tmp_path, content.replace("\n", end).encode())
    options: dict[str, Any] = {"skip_header": True, "tokenizer": False, "in_memory": in_memory}
    data = CSVClassificationDataset(path, {0: "text", 1: "label"}, "t", **options)
    assert [(sentence.text, sentence.sentence_labels("t")) for sentence in data] == [
        (f"a{delimiter}\nb", ["A"]),
        ("c", ["B"]),
    ]


def test_lists_as_labels_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    CSVClassificationDataset(save(tmp_path, "so,\"['A', 'B']\"\n"), {0: "text", 1: "label"}, "t")
    assert "lists of labels are read as one label" in caplog.text


@pytest.mark.parametrize("in_memory", [True, False])
def test_spans_may_be_null_repeated_or_missing_beside_an_answer(tmp_path: Path, in_memory: bool) -> None:
    rows = [
        {"text": "none here", "answer": "accept"},
        {"text": "in Rome", "spans": [{"start": 3, "end": 7, "label": "LOC"}] * 2, "answer": "accept"},
        {"text": "nor here", "spans": None},
        {"text": "in Rome", "label": [{"start": 3, "end": 7, "labels": ["LOC"]}]},
    ]
    data = JsonlDataset(save(tmp_path, lines(*map(json.dumps, rows))), in_memory=in_memory)
    assert [sentence.span_labels("ner") for sentence in data] == [[], [(1, 2, "LOC")], [], [(1, 2, "LOC")]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"data": "a", "label": []}]', "must be a JSON object, as of each object in the list"),
        ('[\n{"data": "a", "label": []}\n]', "write each object of the file in one line"),
        ('{\n"data": "a"\n}', "write each object of the file in one line"),
        ('{"text": "a", "label": [{"start": 0, "end": 1, "labels": ["A", "B"]}]}', "a span must be"),
    ],
)
def test_json_that_is_not_in_lines_is_an_error_with_a_remedy(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        JsonlDataset(save(tmp_path, content))


@pytest.mark.parametrize(
    "space", [chr(code) for code in range(0x3001) if chr(code).isspace() and chr(code) not in "\t\n\r"]
)
def test_white_space_around_a_value_does_not_depend_on_other_rows(space: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    for rest in ("b\tY\n", "b\tY \n"):
        path.write_text(f"a\tX{space}\n{rest}\n", encoding="utf-8")
        dataset = ColumnDataset(path, {0: "text", 1: "pos"}, column_delimiter="\t")
        assert [label.value for label in dataset[0].get_labels("pos")] == ["X", "Y"]
