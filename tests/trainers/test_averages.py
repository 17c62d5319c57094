"""Averages of weights: those that are evaluated and saved are plain averages of the weights of the steps or epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import Model, SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import AnnealingPlugin, CheckpointPlugin, EMAPlugin, SWAPlugin

Weights = dict[str, np.ndarray]
TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"] * 3
EPOCHS, STEPS = 4, 3


def make_trainer(device: torch.device | str = "cpu") -> ModelTrainer:
    corpus = Corpus(list(map(tagged, TEXTS)), list(map(tagged, TEXTS[:4])), list(map(tagged, TEXTS[:4])))
    embeddings = WordEmbeddings(WordVectors(["the", "dog", "now"], np.eye(3)))
    tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("pos"), "pos", hidden_size=3, seed=0)
    return ModelTrainer(tagger.to(device), corpus)


def train(trainer: ModelTrainer, folder: Path, *plugins: Callback, **options: Any) -> dict[str, Any]:
    defaults = {"max_epochs": EPOCHS, "mini_batch_size": 4, "seed": 0, "attach_default_scheduler": False}
    return trainer.train(folder, plugins=plugins, **{**defaults, "device": trainer.model.device, **options})


def weights_of(model: Model) -> Weights:
    return {name: weight.detach().cpu().double().numpy().copy() for name, weight in model.named_parameters()}


def assert_close(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=1e-6, err_msg=name)


class Recorder(Callback):
    """Records the weights after each step, those that are evaluated, and those at the start of each epoch."""

    def __init__(self) -> None:
        self.steps: list[Weights] = []
        self.evaluated: list[Weights] = []
        self.begun: list[Weights] = []

    def on_epoch_begin(self, state: TrainingState) -> None:
        self.begun.append(weights_of(state.model))

    def on_batch_end(self, state: TrainingState) -> None:
        self.steps.append(weights_of(state.model))

    def on_evaluated(self, state: TrainingState) -> None:
        self.evaluated.append(weights_of(state.model))


def average_steps(steps: list[Weights], decay: float) -> Weights:
    """Average by shares that are computed one by one for each step."""
    decays = [0.0, *(min(decay, (1 + count) / (10 + count)) for count in range(1, len(steps)))]
    shares = [(1 - decays[step]) * math.prod(decays[step + 1 :]) for step in range(len(steps))]
    assert sum(shares) == pytest.approx(1)
    return {
        name: sum(share * step[name] for share, step in zip(shares, steps, strict=True))  # type: ignore[misc]
        for name in steps[0]
    }


class TestEMA:
    def test_each_evaluation_and_the_final_model_have_the_average_of_the_steps(
        self, device: torch.device, tmp_path: Path
    ) -> None:
        recorder, trainer = Recorder(), make_trainer(device)
        train(trainer, tmp_path, recorder, EMAPlugin(0.6), use_final_model_for_eval=True)
        for epoch, evaluated in enumerate(recorder.evaluated, start=1):
            assert_close(evaluated, average_steps(recorder.steps[: epoch * STEPS], 0.6))
        assert_close(weights_of(SequenceTagger.load(tmp_path / "final-model.pt")), recorder.evaluated[-1])
        assert_close(weights_of(trainer.model), recorder.evaluated[-1])

    def test_the_best_model_is_the_average_that_scored_best(self, tmp_path: Path) -> None:
        recorder, trainer = Recorder(), make_trainer()
        result = train(trainer, tmp_path, recorder, EMAPlugin(0.8), learning_rate=0.5)
        best = result["dev_score_history"].index(max(result["dev_score_history"]))
        loaded = SequenceTagger.load(tmp_path / "best-model.pt")
        assert_close(weights_of(loaded), recorder.evaluated[best])
        assert loaded.evaluate(trainer.corpus.test or ()).main_score == result["test_score"]

    @pytest.mark.parametrize("is_first", [True, False])
    def test_the_models_of_all_epochs_are_averages(self, is_first: bool, tmp_path: Path) -> None:
        recorder, saving, average = Recorder(), CheckpointPlugin(1, False, tmp_path), EMAPlugin(0.8)
        train(make_trainer(), tmp_path, recorder, *([saving, average] if is_first else [average, saving]))
        for epoch, evaluated in enumerate(recorder.evaluated, start=1):
            assert_close(weights_of(SequenceTagger.load(tmp_path / f"model_epoch_{epoch}.pt")), evaluated)

    def test_fixed_vectors_are_not_copied(self, tmp_path: Path) -> None:
        plugin, trainer = EMAPlugin(), make_trainer()
        train(trainer, tmp_path, plugin, max_epochs=1)
        shapes = [weight.shape for weight in trainer.model.parameters() if weight.requires_grad]
        assert [average.shape for average in plugin.state_dict()["averages"]] == shapes

    @pytest.mark.parametrize("has_best", [True, False])
    def test_after_a_restart_the_average_begins_with_the_best_model(self, has_best: bool, tmp_path: Path) -> None:
        recorder = Recorder()
        annealing = AnnealingPlugin(patience=1, anneal_with_restarts=True, min_learning_rate=0)
        options = {"learning_rate": 1e-9, "use_final_model_for_eval": not has_best}  # no epoch is better than the first
        train(make_trainer(), tmp_path, recorder, EMAPlugin(0.9), annealing, **options)
        assert ("resetting to best model" in (tmp_path / "training.log").read_text()) == has_best
        if has_best:
            assert_close(recorder.begun[2], recorder.evaluated[0])
            assert_close(recorder.evaluated[2], average_steps(recorder.steps[2 * STEPS : 3 * STEPS], 0.9))
        else:
            assert_close(recorder.evaluated[2], average_steps(recorder.steps[: 3 * STEPS], 0.9))


class TestSWA:
    @pytest.mark.parametrize(("start", "first"), [(2, 2), (0.5, 3), (9, 9)])
    def test_the_average_of_the_last_epochs(self, start: float, first: int, tmp_path: Path) -> None:
        recorder = Recorder()
        train(make_trainer(), tmp_path, recorder, SWAPlugin(start), use_final_model_for_eval=True)
        ends = recorder.steps[STEPS - 1 :: STEPS]
        for epoch, evaluated in enumerate(recorder.evaluated, start=1):
            chosen = ends[first - 1 : epoch] or ends[epoch - 1 : epoch]
            assert_close(evaluated, {name: np.mean([end[name] for end in chosen], axis=0) for name in evaluated})
        assert_close(weights_of(SequenceTagger.load(tmp_path / "final-model.pt")), recorder.evaluated[-1])


@pytest.mark.parametrize("plugin", [EMAPlugin(0.9), SWAPlugin(2)], ids=str)
def test_training_itself_is_left_as_it_is(plugin: Callback, tmp_path: Path) -> None:
    recorders = Recorder(), Recorder()
    train(make_trainer(), tmp_path / "without", recorders[0])
    train(make_trainer(), tmp_path / "with", recorders[1], plugin)
    for one, other in zip(*((*run.steps, *run.begun) for run in recorders), strict=True):
        assert all(np.array_equal(weight, other[name]) for name, weight in one.items())
    assert not np.array_equal(*(run.evaluated[-1]["linear.bias"] for run in recorders))


@pytest.mark.parametrize("make", [lambda: EMAPlugin(0.9), lambda: SWAPlugin(2)], ids=["EMA", "SWA"])
def test_a_finished_run_continues_with_the_trained_weights(make: Callable[[], Callback], tmp_path: Path) -> None:
    whole, parts = make_trainer(), make_trainer()
    expected = train(whole, tmp_path / "whole", make())
    train(make_trainer(), tmp_path / "parts", make(), max_epochs=2)
    assert parts.resume(tmp_path / "parts", plugins=[make()], max_epochs=EPOCHS, device="cpu") == expected
    for name in ("best-model.pt", "final-model.pt"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_has_one_average(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="has EMAPlugin, SWAPlugin: choose one"):
        train(make_trainer(), tmp_path, EMAPlugin(), SWAPlugin())


def test_a_start_after_the_last_epoch_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(make_trainer(), tmp_path, SWAPlugin(EPOCHS))
    assert "averages nothing" not in caplog.text
    train(make_trainer(), tmp_path, SWAPlugin(EPOCHS + 1))
    assert f"SWAPlugin(start={EPOCHS + 1}) averages nothing: the run has {EPOCHS} epochs" in caplog.text


@pytest.mark.parametrize("plugin", [EMAPlugin(), SWAPlugin(1)], ids=str)
def test_an_interrupted_run_ends_with_the_average(plugin: Callback, tmp_path: Path) -> None:
    class Interrupt(Callback):
        def on_batch_begin(self, state: TrainingState) -> None:
            if state.epoch == 3 and state.iteration == 2:
                raise KeyboardInterrupt

    recorder, trainer = Recorder(), make_trainer()
    train(trainer, tmp_path, recorder, plugin, Interrupt(), use_final_model_for_eval=True)
    steps = recorder.steps
    expected = recorder.evaluated[-1] if isinstance(plugin, SWAPlugin) else average_steps(steps, 0.999)
    assert_close(weights_of(trainer.model), expected)


@pytest.mark.parametrize("decay", [1, -0.1, "0.9", None, math.nan, True])
def test_a_decay_is_a_number_below_1(decay: Any) -> None:
    with pytest.raises(SettingError, match="decay must be"):
        EMAPlugin(decay)


@pytest.mark.parametrize("start", [1.5, 2.0, -1, "1", None, math.nan, True])
def test_a_start_is_an_epoch_or_a_part_of_all(start: Any) -> None:
    with pytest.raises(SettingError, match="start must be"):
        SWAPlugin(start)
