"""Arguments of readers of a wrong type or value: one error that names them, in every reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flairlite.data import Corpus
from flairlite.datasets import (
    ClassificationCorpus,
    ClassificationDataset,
    ColumnCorpus,
    ColumnDataset,
    CSVClassificationCorpus,
    CSVClassificationDataset,
    FlairDatapointDataset,
    JsonlCorpus,
    JsonlDataset,
    StringDataset,
    UniversalDependenciesCorpus,
    UniversalDependenciesDataset,
    read_conllu,
    read_word_clusters,
    read_word_numbers,
    read_word_tags,
)
from flairlite.datasets.read_labelled import read_labelled
from flairlite.errors import FlairliteError, SettingError

FILES = {
    "column": "the DET\ncat NOUN\n",
    "conllu": "1\tthe\t_\tDET" + "\t_" * 6 + "\n\n",
    "text": "__label__a hello\n",
    "csv": "hello,a\n",
    "jsonl": '{"text": "hello", "labels": [[0, 5, "X"]]}\n',
    "tags": "run\tVERB\n",
    "numbers": "run\t1\n",
    "clusters": "01\trun\n",
}
COLUMNS = {0: "text", 1: "upos"}
TABLE = {0: "text", 1: "label"}
READERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "column": (ColumnDataset, {"column_name_map": COLUMNS}),
    "conllu": (UniversalDependenciesDataset, {}),
    "text": (ClassificationDataset, {"label_type": "class"}),
    "csv": (CSVClassificationDataset, {"column_name_map": TABLE, "label_type": "class"}),
    "jsonl": (JsonlDataset, {}),
    "tags": (read_word_tags, {}),
    "numbers": (read_word_numbers, {}),
    "clusters": (read_word_clusters, {}),
}
FLAGS = (
    ("column", "in_memory"),
    ("column", "skip_first_line"),
    ("column", "every_sentence_is_independent"),
    ("column", "documents_as_sentences"),
    ("column", "require_labels"),
    ("conllu", "in_memory"),
    ("conllu", "split_multiwords"),
    ("text", "allow_examples_without_labels"),
    ("csv", "in_memory"),
    ("csv", "skip_header"),
    ("jsonl", "in_memory"),
    ("jsonl", "require_labels"),
)
OTHERS = (
    ("column", "banned_sentences", 5),
    ("column", "banned_sentences", [5]),
    ("column", "column_delimiter", b","),
    ("column", "comment_symbol", 5),
    ("column", "comment_symbol", b"#"),
    ("column", "comment_symbol", "\ud800"),
    ("column", "document_separator_token", ["-DOCSTART-"]),
    ("column", "default_whitespace_after", "1"),
    ("column", "default_whitespace_after", -1),
    ("column", "span_label_types", 5),
    ("column", "tag_to_bioes", True),
    ("text", "memory_mode", ["full"]),
    ("jsonl", "text_column_name", ["data"]),
    ("jsonl", "label_column_name", 5),
    ("jsonl", "metadata_column_name", {}),
    *((name, "skip_lines", value) for name in ("tags", "numbers", "clusters") for value in (-1, "1", 0.5, True, None)),
)
CORPORA: tuple[tuple[Callable[..., Corpus], str, dict[str, Any]], ...] = (
    (ColumnCorpus, "column", {"column_format": COLUMNS}),
    (UniversalDependenciesCorpus, "conllu", {}),
    (ClassificationCorpus, "text", {}),
    (CSVClassificationCorpus, "csv", {"column_name_map": TABLE, "label_type": "class"}),
    (JsonlCorpus, "jsonl", {}),
)
NO_PATHS = ("a\0b", "a\ud800", Path("a\0b"))


def read(folder: Path, name: str, **options: Any) -> Any:
    reader, arguments = READERS[name]
    path = folder / f"train.{name}"
    path.write_text(FILES[name], encoding="utf-8")
    return reader(path, **{**arguments, **options})


@pytest.mark.parametrize("name", READERS)
def test_files_of_these_tests_can_be_read(name: str, tmp_path: Path) -> None:
    assert len(read(tmp_path, name))


@pytest.mark.parametrize("value", ["False", 0, None, 5], ids=repr)
@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_flags_of_readers_are_true_or_false(name: str, flag: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"^{flag} must be True or False; it is {value!r}"):
        read(tmp_path, name, **{flag: value})


@pytest.mark.parametrize(("name", "option", "value"), OTHERS, ids=ascii)
def test_options_of_readers_are_checked(name: str, option: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"^{option} must be "):
        read(tmp_path, name, **{option: value})


@pytest.mark.parametrize("path", NO_PATHS, ids=ascii)
@pytest.mark.parametrize("name", READERS)
def test_names_that_no_file_can_have_are_refused(name: str, path: Any) -> None:
    reader, arguments = READERS[name]
    with pytest.raises(SettingError, match=r"^path must be a path, which has no NUL"):
        reader(path, **arguments)


def test_names_that_no_file_can_have_are_refused_by_functions(tmp_path: Path) -> None:
    for read_file in (read_conllu, lambda path: read_labelled(path, label_type="t", unit="sentence")):
        for path in (*NO_PATHS, None, 5):
            with pytest.raises(SettingError, match=r"^path must be"):
                read_file(path)


@pytest.mark.parametrize("encoding", ["\0", "\ud800", b"utf-8", 5], ids=ascii)
@pytest.mark.parametrize("name", ["column", "text", "csv", "jsonl", "tags"])
def test_unknown_encodings_are_refused(name: str, encoding: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^no text encoding is named"):
        read(tmp_path, name, encoding=encoding)


@pytest.mark.parametrize("option", ["data_folder", "train_file", "dev_file", "test_file"])
@pytest.mark.parametrize(("corpus", "name", "arguments"), CORPORA)
def test_corpora_refuse_names_that_no_file_can_have(
    corpus: Callable[..., Corpus], name: str, arguments: dict[str, Any], option: str, tmp_path: Path
) -> None:
    (tmp_path / "train.txt").write_text(FILES[name], encoding="utf-8")
    given = {"data_folder": tmp_path, "train_file": "train.txt", **arguments}
    assert len(corpus(**given).train or ()) == 1
    for path in NO_PATHS:
        with pytest.raises(SettingError, match=f"^{option} must be a path"):
            corpus(**{**given, option: path})


@pytest.mark.parametrize(("corpus", "name", "arguments"), CORPORA)
def test_names_and_seeds_of_corpora_are_checked(
    corpus: Callable[..., Corpus], name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "train.txt").write_text(FILES[name], encoding="utf-8")
    given = {"data_folder": tmp_path, "train_file": "train.txt", **arguments}
    for value in (5, ["name"], 0):
        with pytest.raises(SettingError, match=r"^name must be a string"):
            corpus(**given, name=value)
    for value in ("1", 1.5, True):
        with pytest.raises(SettingError, match=r"^random_seed must be a whole number"):
            corpus(**given, random_seed=value)


@pytest.mark.parametrize("value", ["no", 1, None], ids=repr)
def test_searching_for_splits_is_true_or_false(value: Any, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(FILES["column"], encoding="utf-8")
    with pytest.raises(SettingError, match=r"^autofind_splits must be True or False"):
        ColumnCorpus(tmp_path, COLUMNS, autofind_splits=value)


@pytest.mark.parametrize("given", [None, 5, 1.5, b"text", {"text": 1}], ids=repr)
@pytest.mark.parametrize("make", [StringDataset, FlairDatapointDataset])
def test_datasets_of_values_need_several_or_one(make: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(FlairliteError, match=r"^a dataset is made of one or several (texts|sentences), not of"):
        make(given)


@pytest.mark.parametrize("ending", [".JSONL", ".ndjson", ".NDJSON"])
def test_json_lines_are_known_by_any_usual_ending(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data{ending}"
    path.write_text(FILES["jsonl"], encoding="utf-8")
    (sentence,) = read_labelled(path, label_type="ner", unit="span")
    assert [span.tag for span in sentence.get_spans("ner")] == ["X"]


def test_tables_are_known_by_endings_in_upper_case(tmp_path: Path) -> None:
    for name, text in {"DATA.CSV": "text,label\nhello,a\n", "DATA.TSV": "label\ttext\na\thello\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (sentence,) = read_labelled(tmp_path / name, label_type="class", unit="sentence")
        assert (sentence.text, sentence.sentence_labels("class")) == ("hello", ["a"])
