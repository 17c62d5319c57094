"""Annealing: from a list of scores follow a list of learning rates and the epoch at which training stops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import Corpus, Dictionary
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.metrics import Result
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer
from flairlite.trainers import training_run as training_run_module
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.base import TrainingState


def a_result(score: float) -> Result:
    return Result(score, "", {"micro avg": dict.fromkeys(("precision", "recall", "f1-score"), score)}, 1.0,
                  "f1-score (micro avg)", (), torch.zeros(0, 0))  # fmt: skip


def a_tagger() -> SequenceTagger:
    embeddings = WordEmbeddings(WordVectors(["w1", "w2"], np.eye(2)))
    return SequenceTagger(embeddings, Dictionary.from_items(["A", "B"]), "pos", hidden_size=2, seed=0)


def anneal(
    scores: Sequence[float], *, rate: float = 0.1, has_dev: bool = True, **options: Any
) -> list[tuple[float, int, bool, bool]]:
    """Return the rate after each epoch, the bad epochs, whether it was the best, and whether to stop.

    The scores are those on dev or, without dev, training losses.
    """
    weight = torch.nn.Parameter(torch.zeros(1))
    run = TrainingState(a_tagger(), torch.optim.SGD([weight], lr=rate), Path(), max_epochs=len(scores))
    annealing = Annealing(**options)
    annealing.on_train_begin(run)
    rows = []
    for score in scores:
        run.begin_epoch()
        if has_dev:
            run.dev = a_result(score)
        run.loss_sum, run.num_labels = torch.tensor(score * 4), 4
        run.compare_with_best()
        annealing.on_evaluated(run)
        rows.append((run.learning_rate, run.bad_epochs, run.is_best, run.stop_reason is not None))
        if run.stop_reason is not None:
            break
    return rows


def anneal_plainly(
    scores: Sequence[float], *, rate: float, factor: float, patience: int, min_learning_rate: float
) -> list[tuple[float, bool, bool]]:
    """Say the tutorial's prose word for word: whole lists of scores, no counters.

    "If for 3 epochs there is no improvement on the dev split, the learning rate is halved. If this happens too often,
    the learning rate will fall below a minimal threshold and training stops early."
    """
    rows: list[tuple[float, bool, bool]] = []
    judged = 0  # epochs up to the last improvement or halving: each epoch counts for one halving at most
    for epoch in range(len(scores)):
        is_best = all(score < scores[epoch] for score in scores[:epoch])
        if is_best:
            judged = epoch + 1
        elif epoch + 1 - judged == patience:
            rate, judged = rate * factor, epoch + 1
        rows.append((rate, is_best, rate < min_learning_rate))
        if rate < min_learning_rate:
            break
    return rows


class TestLists:
    @pytest.mark.parametrize(
        ("scores", "rates"),
        [
            ([0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]),
            ([0.4, 0.3, 0.3, 0.3], [0.1, 0.1, 0.1, 0.05]),
            ([0.4, 0.4, 0.4, 0.4], [0.1, 0.1, 0.1, 0.05]),  # as good is no better
            ([0.4, 0.3, 0.3, 0.5, 0.5, 0.5], [0.1] * 6),  # two bad ones are not three
            ([0.4, 0.3, 0.3, 0.5, 0.5, 0.5, 0.5], [0.1] * 6 + [0.05]),
            ([0.4, 0.1, 0.2, 0.3, 0.35, 0.36, 0.37], [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025]),  # better than the best
            ([0.4] + [0.3] * 9, [0.1] * 3 + [0.05] * 3 + [0.025] * 3 + [0.0125]),
            ([0.4, 0.3, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3], [0.1] * 3 + [0.05] * 4 + [0.025]),
        ],
    )
    def test_three_epochs_without_a_better_score_halve_the_rate(self, scores: list[float], rates: list[float]) -> None:
        rows = anneal(scores)
        assert [rate for rate, *_ in rows] == pytest.approx(rates)
        assert not any(is_stopped for *_, is_stopped in rows)

    def test_bad_epochs_are_counted_since_the_last_better_score(self) -> None:
        rows = anneal([0.4, 0.3, 0.4, 0.2, 0.1, 0.5, 0.5])
        assert [bad for _, bad, _, _ in rows] == [0, 1, 2, 3, 4, 0, 1]
        assert [is_best for _, _, is_best, _ in rows] == [True, False, False, False, False, True, False]

    def test_training_stops_below_the_minimum_rate(self) -> None:
        rows = anneal([0.4] + [0.3] * 100)
        assert len(rows) == 31  # 0.1 / 2 ** 10 is the first rate below 0.0001
        assert [is_stopped for *_, is_stopped in rows] == [False] * 30 + [True]
        assert rows[-1][0] == pytest.approx(0.1 / 2**10)
        assert rows[-2][0] == pytest.approx(0.1 / 2**9)

    def test_epochs_are_trained_with_the_minimum_rate_itself(self) -> None:
        rows = anneal([0.4] + [0.3] * 8, rate=0.1, min_learning_rate=0.05)
        assert [rate for rate, *_ in rows] == [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025]
        assert rows[-1][-1]

    def test_a_lower_training_loss_is_an_improvement_without_dev(self) -> None:
        rows = anneal([3.0, 2.0, 2.5, 2.0, 2.5, 1.0, 1.5, 1.25, 1.125], has_dev=False)
        assert [rate for rate, *_ in rows] == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025])
        assert [is_best for _, _, is_best, _ in rows] == [place in (0, 1, 5) for place in range(9)]

    def test_the_first_epoch_is_the_best_with_any_score(self) -> None:
        for score in (0.0, -5.0, -math.inf):
            assert anneal([score])[0][1:] == (0, True, False)

    @given(
        scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(-2, 2), min_size=1, max_size=60),
        rate=st.floats(0.02, 1),
        factor=st.floats(0.05, 0.95),
        patience=st.integers(1, 6),
        min_learning_rate=st.sampled_from([1e-4, 1e-3, 0.02]),
    )
    @example(scores=[0.5] * 60, rate=0.1, factor=0.5, patience=3, min_learning_rate=1e-4)
    @settings(max_examples=150)
    def test_annealing_equals_its_description_for_any_scores(
        self, scores: list[float], rate: float, factor: float, patience: int, min_learning_rate: float
    ) -> None:
        options: dict[str, Any] = {"factor": factor, "patience": patience, "min_learning_rate": min_learning_rate}
        rows = anneal(scores, rate=rate, **options)
        assert [(rate, is_best, is_stopped) for rate, _, is_best, is_stopped in rows] == anneal_plainly(
            scores, rate=rate, **options
        )


class TestSettings:
    @pytest.mark.parametrize("factor", [0.0, 1.0, 1.5, -0.5, math.nan])
    def test_a_factor_must_lower_the_rate(self, factor: float) -> None:
        with pytest.raises(SettingError, match="anneal_factor"):
            Annealing(factor=factor)

    @pytest.mark.parametrize("patience", [0, -1])
    def test_patience_is_at_least_one_epoch(self, patience: int) -> None:
        with pytest.raises(SettingError, match="patience"):
            Annealing(patience=patience)


class Scripted(Callback):
    """Notes the learning rate of each epoch."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_batch_end(self, state: TrainingState) -> None:
        self.rates.append(state.learning_rate)


@pytest.fixture
def corpus() -> Corpus:
    sentences = [tagged("w1/A w2/B"), tagged("w2/B")]
    return Corpus(sentences, sentences)


class TestTraining:
    """The same with the trainer around it, whose evaluations find the scores of a list."""

    def train(
        self, scores: Sequence[float], corpus: Corpus, folder: Path, patch: pytest.MonkeyPatch, **options: Any
    ) -> tuple[list[float], dict[str, Any]]:
        left: Iterator[float] = chain(scores, repeat(0.0))  # dev is evaluated once more, for the report
        patch.setattr(training_run_module, "evaluate_dataset", lambda *arguments, **named: a_result(next(left)))
        noted = Scripted()
        settings = {"max_epochs": len(scores), "plugins": [noted], **options}
        result = ModelTrainer(a_tagger(), corpus).train(folder, **settings)
        return noted.rates, result

    def test_epochs_are_trained_with_the_annealed_rates(
        self, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scores = [0.4, 0.3, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3, 0.3]
        rates, result = self.train(scores, corpus, tmp_path, monkeypatch)
        # a rate that is halved after an epoch holds from the next one on
        assert rates == [0.1] * 4 + [0.05] * 4 + [0.025]
        assert result["dev_score_history"] == scores
        rows = (tmp_path / "loss.tsv").read_text().splitlines()[1:]
        assert [float(row.split("\t")[2]) for row in rows] == rates
        text = (tmp_path / "training.log").read_text()
        assert [line.split(": ")[1] for line in text.splitlines() if "BAD EPOCHS" in line] == list("012301234")
        assert text.count("saving best model") == 2

    def test_groups_of_weights_keep_their_own_rates(
        self, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[torch.optim.Optimizer] = []

        def optimizer(weights: list[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
            made.append(torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": lr / 10}], lr=lr))
            return made[0]

        self.train([0.4, 0.3, 0.3, 0.3], corpus, tmp_path, monkeypatch, optimizer=optimizer)
        assert [group["lr"] for group in made[0].param_groups] == pytest.approx([0.05, 0.005])

    def test_training_stops_early(self, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {"min_learning_rate": 0.03, "patience": 2, "anneal_factor": 0.5}
        rates, result = self.train([0.4] + [0.3] * 20, corpus, tmp_path, monkeypatch, **options)
        assert rates == [0.1] * 3 + [0.05] * 2
        assert len(result["dev_score_history"]) == 5
        text = (tmp_path / "training.log").read_text()
        assert text.count("learning rate too small - quitting training!") == 1
        assert text.index("EPOCH 5 done") < text.index("learning rate too small")
