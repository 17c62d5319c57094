"""run.json: what it holds, what it must not hold, and the comparison of two runs."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentences import tagged

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataFormatError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState, compare_runs, read_run_record


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def make_corpus(name: str = "corpus") -> Corpus:
    sentences = [tagged("the/DET dog/NOUN sleeps/VERB"), tagged("the/DET dog/NOUN"), tagged("and/or///SYM a/b/NOUN")]
    return Corpus(sentences * 2, sentences[:2], sentences[:2], name=name)


def train(folder: Path, corpus: Corpus | None = None, vectors: Any = None, **options: Any) -> ModelTrainer:
    corpus = corpus or make_corpus()
    embeddings = WordEmbeddings(vectors or WordVectors(["the", "dog"], np.eye(2)))
    labels = corpus.make_label_dictionary("pos")
    trainer = ModelTrainer(SequenceTagger(embeddings, labels, "pos", hidden_size=2, seed=0), corpus)
    trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 2, "seed": 0, **options})
    return trainer


class Stop(Callback):
    """Ends training with a reason that has paths in it."""

    def on_epoch_end(self, state: TrainingState) -> None:
        state.stop_reason = f"see {state.base_path / 'file'} and {Path.home() / 'notes'}, or C:\\Users\\alice\\x; 1/2"


def strings_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings_in(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings_in(item)]
    return [value] if isinstance(value, str) else []


def test_the_record_names_no_folder_and_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "alice"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("LOGNAME", "alice")
    assert getpass.getuser() == "alice"
    (home / "my words.txt").write_text("the 0.5 0.25\ndog 0.125 1\n")
    train(home / "run", make_corpus(f"corpus of {home}"), str(home / "my words.txt"), plugins=[Stop()])
    text = (home / "run" / "run.json").read_text()
    assert "alice" not in text
    assert str(home) not in text
    assert str(tmp_path) not in text
    record = json.loads(text)
    assert not [value for value in strings_in(record) if re.search(r"(^|[\s'\"(])(/[\w.]+/|[A-Z]:\\)", value)]
    assert record["result"]["stop_reason"] == "see ~/run/file and ~/notes, or x; 1/2"
    assert "my words.txt" in text
    assert "and/or//" not in text  # words are there only as a hash


def test_two_equal_runs_have_no_differences(tmp_path: Path) -> None:
    train(tmp_path / "one")
    train(tmp_path / "two")
    found = compare_runs(tmp_path / "one", tmp_path / "two" / "run.json")
    assert (found.differences, found.circumstances, found.results) == ([], [], [])
    assert found.has_same_result


def test_differences_of_runs_are_named(tmp_path: Path) -> None:
    train(tmp_path / "one")
    train(tmp_path / "two", learning_rate=0.2)
    corpus = make_corpus()
    train(tmp_path / "three", Corpus(list(corpus.train or ())[1:], corpus.dev, corpus.test))
    found = compare_runs(tmp_path / "two", tmp_path / "one")
    assert found.differences == ["settings.learning_rate is 0.2 and was 0.1"]
    assert not found.has_same_result
    assert any("final_weights" in text for text in found.results)
    found = compare_runs(tmp_path / "three", tmp_path / "one")
    assert any("data.train.sentences is 5 and was 6" in text for text in found.differences)


def test_circumstances_are_separate_from_settings(tmp_path: Path) -> None:
    train(tmp_path)
    record = read_run_record(tmp_path)
    record["parts"][0]["versions"]["torch"] = "1.0"
    (tmp_path / "other.json").write_text(json.dumps(record))
    found = compare_runs(tmp_path, tmp_path / "other.json")
    assert found.differences == found.results == []
    assert len(found.circumstances) == 1
    assert "versions.torch" in found.circumstances[0]
    assert found.has_same_result
    record["result"] = None
    (tmp_path / "other.json").write_text(json.dumps(record))
    assert not compare_runs(tmp_path / "other.json", tmp_path / "other.json").has_same_result


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", "null", '{"format": "flairlite run"}', "[" * 100_000])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"run\.json"):
        read_run_record(tmp_path)
    with pytest.raises(DataFormatError):
        read_run_record(tmp_path / "missing")


def test_model_files_tell_the_training_and_no_path(tmp_path: Path) -> None:
    trainer = train(tmp_path / "run", make_corpus(str(tmp_path / "corpus")), checkpoint_every=1)
    result = read_run_record(tmp_path / "run")["result"]
    records = {}
    for name in ("best-model.pt", "final-model.pt"):
        records[name] = record = SequenceTagger.load(tmp_path / "run" / name).training_record
        assert record is not None
        assert (record["corpus"], record["settings"]["learning_rate"]) == ("corpus", 0.1)
        assert not any(str(tmp_path) in text for text in strings_in(record))
    final, best = records["final-model.pt"], records["best-model.pt"]
    assert final == trainer.model.training_record
    assert (final["dev_scores"], final["train_losses"]) == (result["dev_scores"], result["train_losses"])
    num_best = result["dev_scores"].index(max(result["dev_scores"])) + 1  # later epochs did not change this model
    assert (final["epochs"], best["epochs"]) == (2, num_best)
    assert best["dev_scores"] == result["dev_scores"][:num_best]


def test_settings_that_change_no_weight_do_not_change_model_files(tmp_path: Path) -> None:
    for folder, options in (
        ("one", {}),
        ("other", {"checkpoint_every": 1, "eval_batch_size": 1, "tune_process": True}),
    ):
        train(tmp_path / folder, **options)
    for name in ("best-model.pt", "final-model.pt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_model_that_was_not_trained_has_no_record(tmp_path: Path) -> None:
    labels = make_corpus().make_label_dictionary("pos")
    model = SequenceTagger(WordEmbeddings(WordVectors(["the"], np.eye(1))), labels, "pos", hidden_size=2)
    model.save(tmp_path / "model.pt")
    assert model.training_record is SequenceTagger.load(tmp_path / "model.pt").training_record is None
