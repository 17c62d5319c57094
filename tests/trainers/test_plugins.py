"""Plugins of training in Flair's way: which events come when, with what, and what the plugins that come along do."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tagged
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import MissingExtraError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers import training_run as training_run_module
from flairlite.trainers.callbacks.weights_table import read_weights_table
from flairlite.trainers.plugins import (
    AnnealingPlugin,
    BasePlugin,
    CheckpointPlugin,
    ClearmlLoggerPlugin,
    LinearSchedulerPlugin,
    LogFilePlugin,
    MetricHistoryPlugin,
    MetricName,
    MetricRecord,
    Pluggable,
    TensorboardLogger,
    TrainerPlugin,
    TrainingInterrupt,
    WandbLogger,
    WeightExtractorPlugin,
)

WORDS = ["the", "dog", "sleeps"]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def sentences(count: int) -> list[Sentence]:
    return [tagged("the/DET dog/NOUN sleeps/VERB"[: 17 if number % 2 else None]) for number in range(count)]


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(sentences(8), sentences(4), sentences(4))


@pytest.fixture
def make_trainer(corpus: Corpus) -> Callable[..., ModelTrainer]:
    def make(chosen: Corpus = corpus) -> ModelTrainer:
        vectors = WordEmbeddings(WordVectors(WORDS, np.eye(3)))
        tagger = SequenceTagger(vectors, corpus.make_label_dictionary("pos"), "pos", hidden_size=4, seed=0)
        return ModelTrainer(tagger, chosen)

    return make


@pytest.fixture
def trainer(make_trainer: Callable[..., ModelTrainer]) -> ModelTrainer:
    return make_trainer()


def train(trainer: ModelTrainer, folder: Path, *plugins: Any, **options: Any) -> dict[str, Any]:
    return trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 4, "seed": 0, **options}, plugins=plugins)


class Witness(TrainerPlugin):
    """Notes each event with what it brings."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.records: list[MetricRecord] = []

    def attach_to(self, pluggable: Pluggable) -> None:
        super().attach_to(pluggable)
        events = ModelTrainer.valid_events - {"metric_recorded"}
        more = [pluggable.register_hook(functools.partial(self._note, event), event) for event in sorted(events)]
        self._hook_handles = (*self._hook_handles, *more)

    def _note(self, event: str, **parameters: Any) -> None:
        self.events.append((event, parameters))

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        self.records.append(record)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]


EPOCH = [
    "before_training_epoch",
    *["before_training_batch", "before_training_optimizer_step", "after_training_batch"] * 2,
    "after_training_epoch",
    "after_evaluation",
]
END = ["_training_finally", "after_training"]


class TestEvents:
    def test_they_come_in_their_order(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        train(trainer, tmp_path, witness)
        assert witness.names == ["after_setup", *EPOCH, *EPOCH, "after_training_loop", *END]

    def test_they_bring_what_flair_s_bring(self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path) -> None:
        witness = Witness()
        result = train(trainer, tmp_path, witness)
        setup = witness.events[0][1]
        assert setup["dataset_size"] == 8
        assert setup["mini_batch_size"] == 4
        assert setup["max_epochs"] == 2
        assert setup["optimizer"] is torch.optim.SGD
        assert setup["train_with_dev"] is False
        assert setup["base_path"] == tmp_path

        batches = [brought for name, brought in witness.events if name == "after_training_batch"]
        assert [brought["batch_no"] for brought in batches] == [0, 1, 0, 1]
        assert [brought["batch_count"] for brought in batches] == [1, 2, 3, 4]
        assert [brought["epoch"] for brought in batches] == [1, 1, 2, 2]
        assert all(brought["total_number_of_batches"] == 2 for brought in batches)
        assert all(brought["optimizer_was_run"] for brought in batches)
        for start in (0, 2):
            seen = [*batches[start]["batch"], *batches[start + 1]["batch"]]
            assert sorted(map(id, seen)) == sorted(map(id, corpus.train or ()))

        evaluations = [brought for name, brought in witness.events if name == "after_evaluation"]
        for epoch, brought in enumerate(evaluations):
            expected = (result["dev_score_history"][epoch], result["dev_loss_history"][epoch])
            assert brought["epoch"] == epoch + 1
            assert brought["validation_scores"] == expected
        assert evaluations[0]["current_model_is_best"] is True

    def test_without_dev_the_training_loss_is_the_score(
        self, make_trainer: Callable[..., ModelTrainer], corpus: Corpus, tmp_path: Path
    ) -> None:
        witness = Witness()
        result = train(make_trainer(Corpus(corpus.train)), tmp_path, witness)
        scores = [brought["validation_scores"] for name, brought in witness.events if name == "after_evaluation"]
        assert scores == [(loss,) for loss in result["train_loss_history"]]

    def test_a_plugin_sees_the_trainer_with_all_it_has(
        self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path
    ) -> None:
        seen: list[Any] = []

        class See(TrainerPlugin):
            @TrainerPlugin.hook
            def before_training_epoch(self, epoch: int, **parameters: Any) -> None:
                assert self.trainer.optimizer is not None
                seen.append((self.trainer, self.model, self.corpus, self.trainer.optimizer.param_groups[0]["lr"]))

            @TrainerPlugin.hook("after_training")
            def add(self) -> None:
                self.trainer.return_values["mine"] = 7

        plugin = See()
        result = train(trainer, tmp_path, plugin, max_epochs=1)
        assert seen == [(trainer, trainer.model, corpus, 0.1)]
        assert result["mine"] == 7
        assert trainer.optimizer is None

    def test_gradients_can_be_changed_before_the_step(
        self, make_trainer: Callable[..., ModelTrainer], tmp_path: Path
    ) -> None:
        class Halt(TrainerPlugin):
            @TrainerPlugin.hook("before_training_optimizer_step")
            def drop(self, **parameters: Any) -> None:
                for weight in self.model.parameters():
                    weight.grad = None if weight.grad is None else torch.zeros_like(weight.grad)

        trainer = make_trainer()
        before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        train(trainer, tmp_path, Halt())
        assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())

    def test_hooks_change_nothing_else(self, make_trainer: Callable[..., ModelTrainer], tmp_path: Path) -> None:
        one, other = make_trainer(), make_trainer()
        assert train(one, tmp_path, Witness()) == train(other, tmp_path)
        states = one.model.state_dict(), other.model.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_they_are_off_the_trainer_afterwards(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        train(trainer, tmp_path, witness)
        first = len(witness.events)
        train(trainer, tmp_path)  # in Flair, the plugins of the first run go on
        assert len(witness.events) == first
        assert trainer.plugins == []
        train(trainer, tmp_path, witness)
        assert len(witness.events) == 2 * first

    def test_a_function_can_be_hooked_to_the_trainer(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        epochs: list[int] = []
        handle = trainer.register_hook(lambda epoch, **rest: epochs.append(epoch), "after_training_epoch")
        train(trainer, tmp_path)
        assert epochs == [1, 2]
        handle.remove()
        train(trainer, tmp_path)
        assert epochs == [1, 2]

    def test_what_is_no_plugin_is_refused(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        with pytest.raises(SettingError, match="one is 'annealing'"):
            train(trainer, tmp_path, witness, "annealing")
        assert witness.pluggable is None


class TestRecords:
    def test_the_figures_of_a_run_are_recorded(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        result = train(trainer, tmp_path, witness, monitor_test=True)

        def recorded(*name: str) -> list[tuple[int, Any]]:
            return [(record.global_step, record.value) for record in witness.records if record.name == name]

        assert recorded("train", "loss") == list(enumerate(result["train_loss_history"], 1))
        assert recorded("dev", "loss") == list(enumerate(result["dev_loss_history"], 1))
        assert recorded("dev", "score") == recorded("dev", "micro avg", "f1-score")
        assert recorded("dev", "score") == list(enumerate(result["dev_score_history"], 1))
        assert [step for step, _ in recorded("test", "macro avg", "recall")] == [1, 2]
        assert [step for step, _ in recorded("bad_epochs")] == [1, 2]
        assert {value[0] for _, value in recorded("learning_rate")} == {0.1}
        assert recorded("optimizer", "momentum")[0][1] == [0]
        assert "Results:" in recorded("dev", "detailed_result")[0][1]

    def test_those_of_batches_make_up_those_of_the_epoch(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        labels: list[int] = []

        class Count(Callback):
            def on_batch_end(self, run: TrainingState) -> None:
                labels.append(run.num_labels - sum(labels))

        result = train(trainer, tmp_path, witness, Count(), max_epochs=1)
        losses = [record.value for record in witness.records if record.name == "train/batch_loss"]
        total = sum(loss * count for loss, count in zip(losses, labels, strict=True))
        assert total / sum(labels) == pytest.approx(result["train_loss_history"][0], rel=1e-5)
        norms = [record for record in witness.records if record.name == "train/gradient_norm"]
        assert [record.global_step for record in norms] == [1, 2]
        assert all(record.value > 0 for record in norms)

    def test_a_name_equals_its_parts_and_its_text(self) -> None:
        name = MetricName("dev") + "micro avg" + ("f1-score",)
        assert name == ("dev", "micro avg", "f1-score")
        assert name == "dev/micro avg/f1-score" == str(name)
        assert name == MetricName("dev/micro avg/f1-score")
        assert hash(name) == hash(MetricName(["dev", "micro avg", "f1-score"]))
        assert name != ("dev",)
        assert name != 3
        assert "all" + MetricName("dev") == ["all", "dev"]
        assert (name[0], name[1:], list(name), len(name)) == (
            "dev",
            MetricName("micro avg/f1-score"),
            ["dev", "micro avg", "f1-score"],
            3,
        )

    def test_a_record_knows_its_kind(self) -> None:
        record = MetricRecord.scalar(("dev", "loss"), 0.5, 3, walltime=7.0)
        assert (record.joined_name, record.value, record.global_step, record.walltime) == ("dev/loss", 0.5, 3, 7.0)
        assert record.is_scalar
        assert not record.is_scalar_list
        assert MetricRecord.scalar_list("a", [1], 0).is_scalar_list
        assert MetricRecord.string("a", "b", 0).is_string
        assert MetricRecord.histogram("a", [1], 0).is_histogram
        assert record.is_type(record.typ)


class Once(TrainerPlugin):
    """Raises at one event of an epoch."""

    def __init__(self, event: str, epoch: int, error: BaseException) -> None:
        super().__init__()
        self.event, self.epoch, self.error = event, epoch, error

    def attach_to(self, pluggable: Pluggable) -> None:
        super().attach_to(pluggable)
        self._hook_handles = (pluggable.register_hook(self._raise, self.event),)

    def _raise(self, epoch: int, **parameters: Any) -> None:
        if epoch == self.epoch:
            raise self.error


class TestInterrupt:
    @pytest.mark.parametrize(
        ("event", "epochs"),
        [
            ("before_training_epoch", 1),
            ("before_training_batch", 1),
            ("after_training_batch", 1),
            ("after_training_epoch", 1),
            ("after_evaluation", 2),
        ],
    )
    def test_a_plugin_ends_training(self, event: str, epochs: int, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        interrupt = Once(event, 2, TrainingInterrupt("that will do"))
        result = train(trainer, tmp_path, witness, interrupt, max_epochs=5)
        assert len(result["train_loss_history"]) == epochs
        assert result["test_score"] is not None
        assert (tmp_path / "final-model.pt").is_file()
        assert (tmp_path / "training.log").read_text().count("that will do") == 1
        ending = "training_interrupt" if epochs == 1 else "after_training_loop"
        assert witness.names[-3:] == [ending, *END]

    def test_ctrl_c_is_told(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        train(trainer, tmp_path, witness, Once("before_training_batch", 2, KeyboardInterrupt()))
        assert witness.names[-3:] == ["training_interrupt", *END]

    def test_an_error_is_told_and_comes_through(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        witness = Witness()
        with pytest.raises(ZeroDivisionError):
            train(trainer, tmp_path, witness, Once("after_evaluation", 1, ZeroDivisionError()))
        assert witness.names[-2:] == ["_training_exception", "_training_finally"]
        assert trainer.plugins == []


class TestPluggable:
    def test_a_hook_is_marked_in_each_of_flair_s_ways(self) -> None:
        calls: list[str] = []

        class Plugin(BasePlugin):
            @BasePlugin.hook
            def one(self) -> None:
                calls.append("one")

            @BasePlugin.hook()
            def two(self) -> None:
                calls.append("two")

            @BasePlugin.hook("three", "four")
            def more(self) -> None:
                calls.append("more")

            def not_one(self) -> None:
                calls.append("never")

        pluggable = Pluggable(plugins=[Plugin])
        for event in ("one", "two", "three", "four", "not_one", "more"):
            pluggable.dispatch(event)
        assert calls == ["one", "two", "more", "more"]
        pluggable.plugins[0].detach()
        pluggable.dispatch("one")
        assert len(calls) == 4
        assert pluggable.plugins == []

    def test_an_inherited_hook_is_one_and_an_overridden_one_too(self) -> None:
        calls: list[str] = []

        class Parent(BasePlugin):
            @BasePlugin.hook
            def one(self) -> None:
                calls.append("parent")

        class Child(Parent):
            @BasePlugin.hook
            def one(self) -> None:
                calls.append("child")

        Pluggable(plugins=[Parent(), Child()]).dispatch("one")
        assert calls == ["parent", "child"]

    def test_an_event_within_an_event_comes_after_it(self) -> None:
        calls: list[str] = []
        pluggable = Pluggable()

        def outer() -> None:
            pluggable.dispatch("inner")
            calls.append("outer")

        pluggable.register_hook(outer, "outer")
        pluggable.register_hook(lambda: calls.append("outer too"), "outer")
        pluggable.register_hook(lambda: calls.append("inner"), "inner")
        pluggable.dispatch("outer")
        assert calls == ["outer", "outer too", "inner"]

    def test_an_event_that_there_is_not_is_refused(self, trainer: ModelTrainer) -> None:
        class Wrong(TrainerPlugin):
            @TrainerPlugin.hook
            def after_teatime(self) -> None: ...

        with pytest.raises(SettingError, match=r"no event 'after_teatime'; there are .*after_training_epoch"):
            Wrong().attach_to(trainer)
        assert trainer.plugins == []
        with pytest.raises(SettingError, match="no event 'tea'"):
            trainer.dispatch("tea")

    def test_a_plugin_is_attached_once_at_a_time(self, trainer: ModelTrainer) -> None:
        plugin = Witness()
        with pytest.raises(SettingError, match="Witness is not attached to a trainer: give it to train"):
            _ = plugin.model
        plugin.attach_to(trainer)
        with pytest.raises(SettingError, match="Witness is attached already: detach it first"):
            plugin.attach_to(trainer)
        plugin.detach()
        plugin.attach_to(trainer)
        assert plugin.get_state() == {"__cls__": f"{__name__}.Witness"}

    def test_a_handle_says_what_it_is(self) -> None:
        pluggable = Pluggable()
        handle = pluggable.register_hook(sentences, "a", "b")
        assert (handle.events, handle.func_name) == (("a", "b"), "sentences")
        assert pluggable.has_hook("a")
        pluggable.remove_hook(handle)
        assert not pluggable.has_hook("a")


def rates_of(trainer: ModelTrainer, folder: Path, *plugins: Any, **options: Any) -> list[float]:
    rates: list[float] = []

    class Note(Callback):
        def on_batch_begin(self, run: TrainingState) -> None:
            rates.append(run.learning_rate)

    train(trainer, folder, *plugins, Note(), **options)
    return rates


class TestSchedules:
    @given(st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]))
    def test_the_rate_rises_and_falls_on_two_lines(self, epochs: int, fraction: float) -> None:
        weight = torch.nn.Parameter(torch.zeros(1))
        tagger: Any = None
        run = TrainingState(tagger, torch.optim.SGD([weight], lr=2.0), Path(), epochs, num_batches=10)
        schedule = LinearSchedulerPlugin(fraction)
        schedule.on_train_begin(run)
        rates = []
        for _ in range(10 * epochs):
            rates.append(run.learning_rate)
            schedule.on_batch_end(run)
        warmup = math.floor(10 * epochs * fraction)
        rising = [2.0 * step / warmup for step in range(1, warmup + 1)]
        left = 10 * epochs - warmup
        assert rates == pytest.approx([*rising, *(2.0 * (left - step) / left for step in range(left))])

    def test_training_goes_by_it_instead_of_annealing(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        rates = rates_of(trainer, tmp_path, LinearSchedulerPlugin(warmup_fraction=0.5), learning_rate=0.4)
        assert rates == pytest.approx([0.2, 0.4, 0.4, 0.2])
        assert "annealed" not in (tmp_path / "training.log").read_text()

    def test_annealing_has_flair_s_arguments(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluate = training_run_module.evaluate_dataset
        scores = iter([0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])

        def scripted(*arguments: Any, **options: Any) -> Any:
            result = evaluate(*arguments, **options)
            object.__setattr__(result, "main_score", next(scores, 0.4))
            return result

        monkeypatch.setattr(training_run_module, "evaluate_dataset", scripted)
        plugin = AnnealingPlugin(tmp_path, 0.01, 0.1, 1, 2, False)
        rates = rates_of(trainer, tmp_path, plugin, max_epochs=7, mini_batch_size=8)
        # two more epochs of patience before the first time, then one
        assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01])
        assert "learning rate too small" in (tmp_path / "training.log").read_text()

    def test_annealing_can_go_back_to_the_best_model(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluate = training_run_module.evaluate_dataset
        scores = iter([0.5, 0.4, 0.4])

        def scripted(*arguments: Any, **options: Any) -> Any:
            result = evaluate(*arguments, **options)
            object.__setattr__(result, "main_score", next(scores, 0.0))
            return result

        monkeypatch.setattr(training_run_module, "evaluate_dataset", scripted)
        weights: list[torch.Tensor] = []

        class Keep(Callback):
            def on_epoch_end(self, run: TrainingState) -> None:
                weights.append(torch.cat([weight.detach().flatten() for weight in run.model.parameters()]))

        plugin = AnnealingPlugin(patience=2, anneal_with_restarts=True)
        train(trainer, tmp_path, plugin, Keep(), max_epochs=3)
        assert torch.equal(weights[2], weights[0])
        assert not torch.equal(weights[1], weights[0])
        assert "resetting to best model" in (tmp_path / "training.log").read_text()

    @pytest.mark.parametrize("limits", [[0.09, 0.0], [0.0, 0.0]])
    def test_each_group_of_weights_may_have_its_own_least_rate(
        self, limits: list[float], trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def optimizer(weights: list[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
            return torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": lr / 10}], lr=lr)

        plugin = AnnealingPlugin(min_learning_rate=limits, patience=1)
        result = train(
            trainer, tmp_path, plugin, Freeze(), optimizer=optimizer, max_epochs=3, main_evaluation_metric=METRIC
        )
        assert len(result["train_loss_history"]) == (2 if limits[0] else 3)
        with pytest.raises(SettingError, match="must be a number or 1 of them"):
            train(trainer, tmp_path, plugin)

    @pytest.mark.parametrize("fraction", [-0.1, 1.0, math.nan])
    def test_a_fraction_is_a_fraction(self, fraction: float) -> None:
        with pytest.raises(SettingError, match="warmup_fraction"):
            LinearSchedulerPlugin(fraction)


METRIC = ("micro avg", "f1-score")


class Freeze(Callback):
    """Makes no epoch better than the first."""

    def on_backward_end(self, run: TrainingState) -> None:
        for weight in run.model.parameters():
            weight.grad = None


class TestOutputs:
    def test_a_model_is_saved_every_few_epochs(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path / "run", CheckpointPlugin(2, False, tmp_path), CheckpointPlugin(3), max_epochs=4)
        assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["model_epoch_2.pt", "model_epoch_4.pt"]
        assert (tmp_path / "run" / "model_epoch_3.pt").is_file()
        last = SequenceTagger.load(tmp_path / "model_epoch_4.pt").state_dict()
        final = SequenceTagger.load(tmp_path / "run" / "final-model.pt").state_dict()
        assert all(torch.equal(last[name], final[name]) for name in final)

    def test_saving_asks_for_what_there_is(self) -> None:
        with pytest.raises(SettingError, match=r"trainer\.resume"):
            CheckpointPlugin(2, True)
        with pytest.raises(SettingError, match="at least 1"):
            CheckpointPlugin(0)

    def test_weights_are_written_ten_times_an_epoch(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        for _ in range(2):  # the second time anew
            train(trainer, tmp_path, WeightExtractorPlugin(tmp_path))
            table = read_weights_table(tmp_path / "weights.txt")
            assert set(table) == set(trainer.model.state_dict())
            assert [step for step, _ in next(iter(table.values()))[0]] == [1, 2, 3, 4]

    def test_another_folder_gets_the_log_too(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        (tmp_path / "log").mkdir()
        train(trainer, tmp_path / "run", LogFilePlugin(tmp_path / "log"))
        assert (tmp_path / "log" / "training.log").read_text().count("EPOCH 2 done") == 1
        assert (tmp_path / "run" / "training.log").read_text().count("EPOCH 2 done") == 1
        assert not any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger("flairlite").handlers)

    def test_a_history_of_any_figure_is_returned(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        plugin = MetricHistoryPlugin({("dev", "macro avg", "f1-score"): "macro", ("train", "loss"): "losses"})
        for _ in range(2):
            result = train(trainer, tmp_path, plugin)
            assert len(result["macro"]) == 2
            assert result["losses"] == result["train_loss_history"]
        assert plugin.get_state()["metrics_to_collect"] == plugin.metrics_to_collect

    def test_a_history_goes_on_where_it_was(self) -> None:
        one, other = MetricHistoryPlugin(), MetricHistoryPlugin()
        one.metric_recorded(MetricRecord.scalar(("train", "loss"), 0.5, 1))
        other.load_state_dict(one.state_dict())
        assert other.metric_history["train_loss_history"] == [0.5]


class Service:
    """Stands for the module wandb, a task of ClearML and its logger, and notes what it is told."""

    class AlertLevel:
        ERROR, WARN = "error", "warn"

    def __init__(self) -> None:
        self.logged: list[Mapping[str, Any]] = []
        self.alerts: list[tuple[str, str]] = []
        self.reports: list[tuple[str, int]] = []
        self.texts: list[str] = []

    def log(self, figures: Mapping[str, Any]) -> None:
        self.logged.append(figures)

    def alert(self, title: str, text: str, level: str) -> None:
        self.alerts.append((level, text))

    def get_logger(self) -> Service:
        return self

    def report_scalar(self, title: str, series: str, value: float, iteration: int) -> None:
        self.reports.append((series, iteration))

    def report_text(self, text: str, print_console: bool) -> None:
        self.texts.append(text)


class TestServices:
    def test_wandb_is_told_figures_and_warnings(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        class Warn(Callback):
            def on_epoch_end(self, run: TrainingState) -> None:
                logging.getLogger("flairlite").warning("it rains")

        service = Service()
        handlers = logging.getLogger("flairlite").handlers[:]
        result = train(trainer, tmp_path, WandbLogger(service), Warn(), max_epochs=1)
        assert {"dev/loss": result["dev_loss_history"][0]} in service.logged
        assert {"learning_rate/0": 0.1} in service.logged
        assert [level for level, text in service.alerts if "it rains" in text] == ["warn"]
        assert logging.getLogger("flairlite").handlers == handlers
        silent = Service()
        train(trainer, tmp_path, WandbLogger(silent, emit_alerts=False), Warn(), max_epochs=1)
        assert silent.alerts == []

    def test_clearml_is_told_figures(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        service = Service()
        train(trainer, tmp_path, ClearmlLoggerPlugin(service))
        assert ("train.loss", 2) in service.reports
        assert ("learning_rate_0", 0) in service.reports
        assert len(service.texts) == 2

    def test_tensorboard_is_told_figures(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        board = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")
        written: list[tuple[str, int]] = []
        monkeypatch.setattr(
            board.SummaryWriter, "add_scalar", lambda self, tag, _, step, **rest: written.append((tag, step))
        )
        plugin = TensorboardLogger(tmp_path / "board", tracked_metrics=[("macro avg", "f1-score")])
        train(trainer, tmp_path / "run", plugin)
        assert {("train/loss", 2), ("dev/score", 1), ("dev/macro avg/f1-score", 2), ("learning_rate/0", 0)} <= set(
            written
        )
        assert not any("recall" in tag for tag, _ in written)

    def test_tensorboard_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'flairlite\[tensorboard\]'"):
            TensorboardLogger()
