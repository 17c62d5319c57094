"""Schedules by step: the learning rate of each step is that of torch's schedulers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sentences import tagged
from torch.optim import lr_scheduler

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import SequenceTagger
from flairlite.samplers import MultiCorpusSampler
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import (
    AnnealingPlugin,
    CosineSchedulerPlugin,
    LinearSchedulerPlugin,
    OneCycleSchedulerPlugin,
)
from flairlite.trainers.plugins.schedules import StepSchedule

PLUGINS = (LinearSchedulerPlugin, CosineSchedulerPlugin, OneCycleSchedulerPlugin)
RATES = (2.0, 0.3)  # of two parameter groups


def make_optimizer(*, rates: tuple[float, ...] = RATES) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates_of(
    schedule: StepSchedule, num_steps: int, *, more: int = 0, rates: tuple[float, ...] = RATES
) -> list[list[float]]:
    """The learning rates of each step of a run of an epoch, and of some more steps."""
    model: Any = None
    state = TrainingState(model, make_optimizer(rates=rates), Path(), 1, num_batches=num_steps)
    schedule.on_train_begin(state)
    found = []
    for _ in range(num_steps + more):
        found.append([group["lr"] for group in state.optimizer.param_groups])
        schedule.on_batch_end(state)
    return found


def rates_of_torch(scheduler: Any, num_steps: int) -> list[list[float]]:
    rates = []
    for step in range(num_steps):
        rates.append([group["lr"] for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        if step < num_steps - 1:
            scheduler.step()
    return rates


class TestRates:
    @given(st.integers(1, 60), st.floats(0, 0.99), st.floats(1, 50), st.floats(1, 1e5))
    @example(num_steps=10, fraction=0.3, div=25.0, final_div=1e4)
    def test_one_cycle_is_that_of_torch(self, num_steps: int, fraction: float, div: float, final_div: float) -> None:
        if num_steps * fraction == 1:  # torch divides by 0 then
            fraction /= 2
        scheduler = lr_scheduler.OneCycleLR(
            make_optimizer(),
            list(RATES),
            total_steps=num_steps,
            pct_start=fraction,
            div_factor=div,
            final_div_factor=final_div,
            cycle_momentum=False,
        )
        expected = rates_of_torch(scheduler, num_steps)
        found = rates_of(OneCycleSchedulerPlugin(fraction, div, final_div), num_steps)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)

    def test_one_cycle_may_begin_with_the_peak(self) -> None:
        rates = rates_of(OneCycleSchedulerPlugin(0.1), 10)
        assert rates[0] == pytest.approx(RATES)
        assert rates == sorted(rates, reverse=True)

    @given(st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]))
    def test_cosine_is_that_of_torch(self, num_steps: int, fraction: float) -> None:
        warmup = math.floor(num_steps * fraction)
        rising = [[rate * step / warmup for rate in RATES] for step in range(1, warmup + 1)]
        left = num_steps - warmup
        falling = rates_of_torch(lr_scheduler.CosineAnnealingLR(make_optimizer(), T_max=left), left)
        found = rates_of(CosineSchedulerPlugin(fraction), num_steps)
        np.testing.assert_allclose(found, [*rising, *falling], rtol=1e-9, atol=1e-12)

    @given(st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]))
    def test_linear_rises_then_falls(self, num_steps: int, fraction: float) -> None:
        warmup = math.floor(num_steps * fraction)
        left = num_steps - warmup
        factors = [*(step / warmup for step in range(1, warmup + 1)), *((left - step) / left for step in range(left))]
        expected = [[rate * factor for rate in RATES] for factor in factors]
        np.testing.assert_allclose(rates_of(LinearSchedulerPlugin(fraction), num_steps), expected)

    @pytest.mark.parametrize("plugin", PLUGINS)
    def test_steps_beyond_the_expected_ones_keep_the_last_rate(self, plugin: type[StepSchedule]) -> None:
        rates = rates_of(plugin(warmup_fraction=0.2), 7, more=3)
        assert rates[7:] == [rates[6]] * 3
        assert rates[6][0] > 0


class TestArguments:
    @pytest.mark.parametrize("fraction", [-0.1, 1.0, 2, math.nan, "0.1", None, True, [0.1]])
    @pytest.mark.parametrize("plugin", PLUGINS)
    def test_invalid_warmup_fraction_is_an_error(self, plugin: type[StepSchedule], fraction: Any) -> None:
        with pytest.raises(SettingError, match="warmup_fraction"):
            plugin(warmup_fraction=fraction)


def make_trainer() -> ModelTrainer:
    texts = ["the/DET dog/NOUN", "the/DET dog/NOUN sleeps/VERB", "sleeps/VERB"] * 4
    corpus = Corpus(*(list(map(tagged, texts)) for _ in range(3)))
    embeddings = WordEmbeddings(WordVectors(["the", "dog"], np.eye(2)), fine_tune=True)
    tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("pos"), "pos", hidden_size=2, seed=0)
    return ModelTrainer(tagger, corpus)


class TestRuns:
    @pytest.mark.parametrize("plugin", PLUGINS)
    def test_each_step_of_each_group_and_no_annealing(self, plugin: type[StepSchedule], tmp_path: Path) -> None:
        found: list[list[float]] = []

        class RecordRates(Callback):
            def on_batch_begin(self, state: TrainingState) -> None:
                found.append([group["lr"] for group in state.optimizer.param_groups])

        make_trainer().train(
            tmp_path,
            max_epochs=3,
            mini_batch_size=4,
            mini_batch_chunk_size=2,
            decoder_learning_rate=RATES[0],
            learning_rate=RATES[1],
            seed=0,
            plugins=[plugin(warmup_fraction=0.3), RecordRates()],
        )
        np.testing.assert_allclose(found, rates_of(plugin(warmup_fraction=0.3), 9))
        text = (tmp_path / "training.log").read_text()
        assert f" - {plugin(warmup_fraction=0.3)}" in text
        assert "AnnealOnPlateau" not in text

    def test_sentences_without_words_that_a_sampler_draws_are_no_steps(self, tmp_path: Path) -> None:
        trainer = make_trainer()
        found: list[list[float]] = []
        trainer.corpus.train = [*(trainer.corpus.train or ()), *(Sentence([]) for _ in range(12))]

        class RecordRates(Callback):
            def on_batch_begin(self, state: TrainingState) -> None:
                found.append([group["lr"] for group in state.optimizer.param_groups])

        plugins = [LinearSchedulerPlugin(), RecordRates()]
        trainer.train(tmp_path, max_epochs=3, mini_batch_size=4, sampler=MultiCorpusSampler({}), plugins=plugins)
        np.testing.assert_allclose(found, rates_of(LinearSchedulerPlugin(), 9, rates=(0.1,)))

    @pytest.mark.parametrize(
        ("plugins", "message"),
        [
            ([LinearSchedulerPlugin(), CosineSchedulerPlugin()], "has LinearSchedulerPlugin, CosineSchedulerPlugin"),
            ([AnnealingPlugin(), OneCycleSchedulerPlugin()], "has AnnealingPlugin, OneCycleSchedulerPlugin"),
            ([AnnealingPlugin(), AnnealingPlugin()], "has AnnealingPlugin, AnnealingPlugin"),
        ],
        ids=["two", "with annealing", "annealing twice"],
    )
    def test_a_run_has_one_schedule(self, plugins: list[Any], message: str, tmp_path: Path) -> None:
        for name in ("train", "fine_tune"):
            with pytest.raises(SettingError, match=f"a run has one schedule of the learning rate.* {message}: choose"):
                getattr(make_trainer(), name)(tmp_path, plugins=plugins)

    def test_the_warm_up_of_a_schedule_that_is_replaced_is_refused(self, tmp_path: Path) -> None:
        for options in ({"plugins": [CosineSchedulerPlugin()]}, {"attach_default_scheduler": False}):
            with pytest.raises(SettingError, match=r"warmup_fraction=0.5 is for the schedule of fine_tune"):
                make_trainer().fine_tune(tmp_path, warmup_fraction=0.5, **options)

    def test_settings_of_annealing_that_a_schedule_replaces_are_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        options: dict[str, Any] = {"max_epochs": 1, "patience": 5, "anneal_with_restarts": True}
        make_trainer().train(tmp_path, **options)
        make_trainer().train(tmp_path, max_epochs=1, plugins=[CosineSchedulerPlugin()])
        make_trainer().train(tmp_path, max_epochs=1, plugins=[AnnealingPlugin(patience=1)])
        assert "change nothing" not in caplog.text
        for changed in ({"plugins": [CosineSchedulerPlugin()]}, {"attach_default_scheduler": False}):
            caplog.clear()
            make_trainer().train(tmp_path, **options, **changed)
            assert "so patience and anneal_with_restarts change nothing" in caplog.text
