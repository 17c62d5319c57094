"""history.jsonl: a line per epoch with the figures of the run, without duplicates when a run is resumed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import DataFormatError
from flairlite.models import SequenceTagger
from flairlite.storage.run_files import read_history
from flairlite.trainers import Callback, ModelTrainer, TrainingState

TIMES = ("finished", "words_per_second", "seconds", "peak_memory")


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    return Corpus((sample.train or ())[:24], (sample.dev or ())[:6], (sample.test or ())[:6])


def train(corpus: Corpus, vectors: WordEmbeddings, folder: Path, **options: Any) -> dict[str, Any]:
    dictionary = corpus.make_label_dictionary("upos")
    tagger = SequenceTagger(vectors, dictionary, "upos", hidden_size=4, seed=0)
    return ModelTrainer(tagger, corpus).train(folder, **{"max_epochs": 3, "mini_batch_size": 8, "seed": 0, **options})


def without_times(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in epoch.items() if name not in TIMES} for epoch in epochs]


def test_figures_are_those_of_the_run(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    states: list[dict[str, Any]] = []

    class Look(Callback):
        def on_epoch_end(self, state: TrainingState) -> None:
            assert len(read_history(tmp_path)) == state.epoch  # the line is there when the epoch ends
            assert state.dev is not None
            states.append({"words": state.num_words, "dev": state.dev, "bad": state.bad_epochs, "best": state.is_best})

    result = train(corpus, mini_vectors, tmp_path, plugins=[Look()], monitor_test=True, monitor_train_sample=4)
    history = read_history(tmp_path)
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert [epoch["train_loss"] for epoch in history] == result["train_loss_history"]
    assert [epoch["dev"]["score"] for epoch in history] == result["dev_score_history"]
    assert [epoch["dev"]["loss"] for epoch in history] == result["dev_loss_history"]
    for epoch, state in zip(history, states, strict=True):
        micro = state["dev"].classification_report["micro avg"]
        assert {name: epoch["dev"][name] for name in ("precision", "recall", "f1-score")} == {
            name: micro[name] for name in ("precision", "recall", "f1-score")
        }
        assert epoch["dev"]["accuracy"] == state["dev"].accuracy
        assert (epoch["words"], epoch["bad_epochs"], epoch["is_best"]) == (state["words"], state["bad"], state["best"])
        assert epoch["learning_rates"] == [0.1]
        assert epoch["words_per_second"] == pytest.approx(epoch["words"] / epoch["seconds"]["training"])
        assert epoch["seconds"]["evaluation"] >= 0
        assert {"test", "train_sample"} < set(epoch)


def test_rates_are_those_of_the_begin_of_each_epoch(
    corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    class Halve(Callback):
        schedules = True

        def on_batch_end(self, state: TrainingState) -> None:
            state.learning_rate /= 2

    def optimizer(weights: list[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.5}], lr=lr)

    train(corpus, mini_vectors, tmp_path, plugins=[Halve()], optimizer=optimizer, max_epochs=2)
    first, second = (epoch["learning_rates"] for epoch in read_history(tmp_path))
    assert first == [0.1, 0.5]
    assert second[0] == second[1] < 0.1


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_batch_end", "on_evaluated"])
def test_a_resumed_run_has_each_epoch_once(
    hook: str, corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    class Crash(Callback):
        active = True

    def crash(self: Crash, state: TrainingState) -> None:
        if self.active and state.epoch == 2 and state.iteration >= 2:
            raise ZeroDivisionError

    setattr(Crash, hook, crash)
    options: dict[str, Any] = {"checkpoint_every": 1}
    with pytest.raises(ZeroDivisionError):
        train(corpus, mini_vectors, tmp_path / "resumed", plugins=[Crash()], **options)
    Crash.active = False
    train(corpus, mini_vectors, tmp_path / "resumed", plugins=[Crash()], resume=True, **options)
    train(corpus, mini_vectors, tmp_path / "whole", plugins=[Crash()], **options)
    resumed, whole = (without_times(read_history(tmp_path / name)) for name in ("resumed", "whole"))
    assert resumed == whole
    assert [epoch["epoch"] for epoch in resumed] == [1, 2, 3]


def test_a_finished_run_continues(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    train(corpus, mini_vectors, tmp_path, max_epochs=2)
    before = (tmp_path / "history.jsonl").read_text()
    train(corpus, mini_vectors, tmp_path, max_epochs=4, resume=True)
    after = (tmp_path / "history.jsonl").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 4


def test_a_new_run_begins_a_new_file(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    train(corpus, mini_vectors, tmp_path, max_epochs=3)
    train(corpus, mini_vectors, tmp_path, max_epochs=1, create_file_logs=False, create_loss_file=False)
    assert len(read_history(tmp_path)) == 1  # written whatever other logs are


def test_values_that_are_not_finite_are_null(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    class Break(Callback):
        def on_evaluated(self, state: TrainingState) -> None:
            assert state.dev is not None
            object.__setattr__(state.dev, "accuracy", math.nan)

    train(corpus, mini_vectors, tmp_path, plugins=[Break()], max_epochs=1)
    text = (tmp_path / "history.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["dev"]["accuracy"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}\n", "line 1: expected a JSON object with an epoch"),
        ('{"epoch": 1}\nx', "line 2: expected a JSON object: "),
        (None, "cannot be read"),
    ],
)
def test_damaged_files_are_named(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "history.jsonl").write_text(content)
    with pytest.raises(DataFormatError, match=message):
        read_history(tmp_path)
