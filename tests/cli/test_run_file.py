"""Run files: what they may say, and errors that name the line."""

from __future__ import annotations

import inspect
import string
from pathlib import Path
from typing import Any

import pytest
from command_line import HAS_TYPER, invoke, needs_typer
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Corpus
from flairlite.embeddings import StackedEmbeddings, WordEmbeddings
from flairlite.errors import DataFormatError, SettingError
from flairlite.models import SequenceTagger, TextClassifier

if HAS_TYPER:
    from flairlite.cli import catalog
    from flairlite.cli.build import build_corpus, build_model, build_settings
    from flairlite.cli.run_file import dump_toml, read_run_file, tomllib

pytestmark = needs_typer

RUN = """# comment
[corpus]
type = "SAMPLE_ENGLISH"
label_type = "upos"

[[embeddings]]
type = "WordEmbeddings"
embeddings = "glove-mini"

[[embeddings]]
type = "HashEmbeddings"
num_embeddings = 10

[model]
type = "SequenceTagger"
hidden_size = 8
loss_weights = { NOUN = 2 }
use_crf = false

[trainer]
optimizer = "Adam"
max_epochs = 2
weight_decay = 0.01
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_bytes(text.encode())
    return path


def build(path: Path, *changes: str) -> tuple[Any, Any, Any]:
    run = read_run_file(path, changes)
    settings = build_settings(run)
    corpus = build_corpus(run)
    return corpus, build_model(run, corpus), settings


def problem(folder: Path, old: str, new: str, *changes: str) -> str:
    """Return the error about a run file in which `old` is replaced by `new`."""
    assert old in RUN
    path = write(folder, RUN.replace(old, new))
    with pytest.raises((SettingError, DataFormatError)) as caught:
        build(path, *changes)
    return str(caught.value).replace(f"{path}, ", "")


@pytest.mark.parametrize("kind", ["upos", "ner", "classify"])
def test_written_run_files_describe_models(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    assert invoke("init", kind, path).code == 0
    corpus, model, (settings, is_fine_tuned) = build(path)
    assert isinstance(corpus, Corpus)
    assert isinstance(model, TextClassifier if kind == "classify" else SequenceTagger)
    assert settings.max_epochs >= 10
    assert not is_fine_tuned
    assert f"flairlite train {path}" in path.read_text(encoding="utf-8")


def test_all_parts_are_as_the_file_says(tmp_path: Path) -> None:
    corpus, model, (settings, _) = build(write(tmp_path, RUN), "corpus.downsample=0.1")
    assert len(corpus.train) == 50
    assert isinstance(model.embeddings, StackedEmbeddings)
    assert isinstance(model.embeddings.embeddings[0], WordEmbeddings)
    assert (model.hidden_size, model.crf, model.loss_weights) == (8, None, {"NOUN": 2.0})
    assert settings.to_plain()["optimizer"] == {"name": "torch.optim.Adam", "options": {"weight_decay": 0.01}}
    assert settings.max_epochs == 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_epochs", "max_epoch", "line 22: [trainer] has no key 'max_epoch': did you mean max_epochs?"),
        ("max_epochs = 2", 'max_epochs = "2"', "line 22: max_epochs must be a whole number; it is '2'"),
        ("hidden_size", "hiden_size", "line 16: SequenceTagger has no argument 'hiden_size': did you mean hidden"),
        ("hidden_size = 8", "hidden_size = 8.5", "line 16: hidden_size must be a whole number, not 8.5"),
        ("hidden_size = 8", "hidden_size = true", "line 16: hidden_size must be a whole number, not True"),
        ("use_crf = false", 'use_crf = "false"', "line 18: use_crf must be a table or true or false, not"),
        ("hidden_size = 8", 'tag_type = "x"', "line 16: tag_type comes from the other sections: leave it out"),
        ("hidden_size = 8", "rnn = 1", "line 16: rnn of SequenceTagger cannot be given in a run file"),
        ('"SequenceTagger"', '"SequenceTager"', "line 15: there is no model 'SequenceTager': did you mean Sequence"),
        ('"HashEmbeddings"', '"hashembeddings"', "line 11: there is no class 'hashembeddings': did you mean HashEmb"),
        ('"SAMPLE_ENGLISH"', '"os.system"', "line 3: there is no corpus 'os.system': use one of "),
        ('"SAMPLE_ENGLISH"', '"UD_GERMN"', "line 3: there is no corpus 'UD_GERMN': did you mean UD_GERMAN?"),
        ('label_type = "upos"', 'label_type = "upso"', "line 4: no label type 'upso' in this corpus; it has:"),
        ('label_type = "upos"', "", "line 2: label_type must name the labels to learn"),
        ('type = "SAMPLE_ENGLISH"', 'type = "ColumnCorpus"', "line 2: missing 2 required positional arguments: 'data_"),
        ('type = "HashEmbeddings"', "", "line 10: the key type is missing"),
        ('"glove-mini"', '"glove-mni"', "line 6: no word embeddings 'glove-mni'"),
        ("num_embeddings = 10", "num_embeddings = 0", "line 12: num_embeddings must be at least 1; it is 0"),
        ("[trainer]", "[training]", "line 20: there is no section [training]; did you mean trainer?"),
        ("[model]", "[[model]]", "line 14: model must be written as [model]"),
        ("use_crf = false", "use_crf = False", "line 18: this is not TOML: Invalid value"),
        ("NOUN = 2", 'NOUN = "x"', "line 17: loss_weights['NOUN'] must be a number"),
    ],
)  # fmt: skip
def test_errors_name_the_line_and_the_remedy(old: str, new: str, expected: str, tmp_path: Path) -> None:
    found = problem(tmp_path, old, new)
    assert found.startswith(expected), found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("trainer.max_epoch=3", "--set trainer.max_epoch=3: [trainer] has no key 'max_epoch': did you mean max_e"),
        ("trainr.max_epochs=3", "--set trainr.max_epochs=3: there is no section trainr; did you mean trainer?"),
        ("max_epochs=3", "--set max_epochs=3: give a section, a key and a value"),
        ("trainer.max_epochs", "--set trainer.max_epochs: give a section, a key and a value"),
        ("embeddings.7.type=x", "--set embeddings.7.type=x: 7 must be the position of a table; there are 0, 1"),
        ("embeddings.type=x", "--set embeddings.type=x: embeddings is not a table: give its position, as in"),
        ("model.hidden_size=big", "--set model.hidden_size=big: hidden_size must be a whole number, not 'big'"),
    ],
)  # fmt: skip
def test_errors_in_changes_name_the_option(change: str, expected: str, tmp_path: Path) -> None:
    found = problem(tmp_path, "# comment", "#", change)
    assert found.startswith(expected), found


def test_changes_are_toml_or_strings_and_replace_values(tmp_path: Path) -> None:
    run = read_run_file(
        write(tmp_path, RUN),
        ["trainer.max_epochs=3", "trainer.optimizer=SGD", 'embeddings.1.type="SubwordEmbeddings"', "trainer.seed = 4"],
    )
    assert run.tables["trainer"] == {"optimizer": "SGD", "max_epochs": 3, "weight_decay": 0.01, "seed": 4}
    assert run.tables["embeddings"][1]["type"] == "SubwordEmbeddings"
    assert tomllib.loads(run.content().decode()) == run.tables


def test_an_unchanged_run_file_is_kept_byte_for_byte(tmp_path: Path) -> None:
    text = "\ufeff" + RUN.replace("\n", "\r\n")
    assert read_run_file(write(tmp_path, text)).content() == text.encode()


def test_embeddings_and_tokenizers_are_tables_within_tables(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.csv").write_text("text;label\nA fine-film;good\nDull;bad\n", encoding="utf-8")
    path = write(
        tmp_path,
        f"""[corpus]
type = "CSVClassificationCorpus"
data_folder = '{data}'
label_type = "quality"
column_name_map = {{ 0 = "text", 1 = "label" }}
skip_header = true
delimiter = ";"
tokenizer = {{ type = "SpaceTokenizer" }}
[[embeddings]]
type = "DocumentRNNEmbeddings"
hidden_size = 4
[[embeddings.embeddings]]
type = "HashEmbeddings"
[[embeddings.embeddings]]
type = "CharacterEmbeddings"
[model]
type = "TextClassifier"
""",
    )
    corpus, model, _ = build(path)
    assert [token.text for token in corpus.train[0]] == ["A", "fine-film"]
    assert model.label_names == ("good", "bad")
    assert [type(part).__name__ for part in model.embeddings.embeddings.embeddings] == [
        "HashEmbeddings",
        "CharacterEmbeddings",
    ]
    path.write_text(path.read_text(encoding="utf-8").replace('= "CharacterEmb', '= "ChracterEmb'), encoding="utf-8")
    with pytest.raises(SettingError, match=r"line 15: there is no class 'ChracterEmbeddings': did you mean Character"):
        build(path)
    path.write_text(path.read_text(encoding="utf-8").replace("0 = ", "a = "), encoding="utf-8")
    with pytest.raises(SettingError, match="line 5: the keys of column_name_map must be whole numbers"):
        build(path)


def test_every_public_class_can_be_named_and_its_arguments_are_known() -> None:
    factories = {**catalog.corpora(), **catalog.parts(), **catalog.models()}
    assert {"UD_ENGLISH", "SAMPLE_NER", "ColumnCorpus", "WordEmbeddings", "SpaceTokenizer", "TextClassifier"} <= set(
        factories
    )
    for name, factory in factories.items():
        function = factory if inspect.isfunction(factory) or isinstance(factory, type) else factory.__call__
        expected = {
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
        assert expected <= set(catalog.parameters_of(factory)), name
    columns = catalog.parameters_of(catalog.corpora()["ColumnCorpus"])
    assert {"column_delimiter", "sample_missing_splits", "in_memory"} <= set(columns)
    assert "train_files" not in columns


VALUES = st.recursive(
    st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_what_is_written_as_toml_reads_as_it_was(tables: dict[str, Any]) -> None:
    assert tomllib.loads(dump_toml(tables)) == tables


KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=3)
LITERALS = st.sampled_from(
    ["1", '"x # y"', '"""\n[a]\nb = 2\n"""', "[\n  1, # one\n  2,\n]", "{ q = 1 }", "'''\n=\n'''", "1979-05-27"]
)


@given(
    pairs=st.lists(st.tuples(KEYS, LITERALS), min_size=1, max_size=6, unique_by=lambda pair: pair[0]),
    num_blank=st.integers(0, 2),
)
def test_lines_are_found_whatever_the_values_look_like(
    pairs: list[tuple[str, str]], num_blank: int, tmp_path: Path
) -> None:
    text, expected = "[corpus]\ntype = 'x'\n[[embeddings]]\ntype = 'x'\n[model]\n", {}
    for key, literal in pairs:
        text += "\n# note = 1\n" * num_blank
        expected[key] = text.count("\n") + 1
        text += f"{key} = {literal} # end\n"
    path = write(tmp_path, text)
    run = read_run_file(path)
    assert {key: run.origins["model", key] for key in expected} == {
        key: f"{path}, line {line}" for key, line in expected.items()
    }


def test_run_files_that_are_something_else(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="cannot be read: No such file"):
        read_run_file(tmp_path / "missing.toml")
    with pytest.raises(DataFormatError, match="line 1: this is not UTF-8 text"):
        read_run_file(models["words"])
    with pytest.raises(SettingError, match=r"the section \[corpus\] is missing; `flairlite init ner RUN.toml` writes"):
        read_run_file(write(tmp_path, ""))
