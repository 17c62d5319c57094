"""Plugins in Flair's style: order and arguments of the events, and the built-in plugins."""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged

import flairlite
from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import MissingExtraError, SettingError
from flairlite.models import SequenceTagger
from flairlite.storage.run_files import read_weights_table
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers import training_run as training_run_module
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
    return [tagged("the/DET dog/NOUN sleeps/VERB"[: 17 if index % 2 else None]) for index in range(count)]


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(sentences(8), sentences(4), sentences(4))


@pytest.fixture
def make_trainer(corpus: Corpus) -> Callable[..., ModelTrainer]:
    def make(train_corpus: Corpus = corpus) -> ModelTrainer:
        vectors = WordEmbeddings(WordVectors(WORDS, np.eye(3)))
        tagger = SequenceTagger(vectors, corpus.make_label_dictionary("pos"), "pos", hidden_size=4, seed=0)
        return ModelTrainer(tagger, train_corpus)

    return make


@pytest.fixture
def trainer(make_trainer: Callable[..., ModelTrainer]) -> ModelTrainer:
    return make_trainer()


def train(trainer: ModelTrainer, folder: Path, *plugins: Any, **options: Any) -> dict[str, Any]:
    return trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 4, "seed": 0, **options}, plugins=plugins)


class Recorder(TrainerPlugin):
    """Records every event with its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.records: list[MetricRecord] = []

    def attach_to(self, pluggable: Pluggable) -> None:
        super().attach_to(pluggable)
        events = ModelTrainer.valid_events - {"metric_recorded"}
        handles = [pluggable.register_hook(partial(self._record_event, event), event) for event in sorted(events)]
        self._hook_handles = (*self._hook_handles, *handles)

    def _record_event(self, event: str, **parameters: Any) -> None:
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
    def test_events_are_dispatched_in_order(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        train(trainer, tmp_path, recorder)
        assert recorder.names == ["after_setup", *EPOCH, *EPOCH, "after_training_loop", *END]

    def test_events_have_the_arguments_of_flair(self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path) -> None:
        recorder = Recorder()
        result = train(trainer, tmp_path, recorder)
        setup = recorder.events[0][1]
        assert setup["dataset_size"] == 8
        assert setup["mini_batch_size"] == 4
        assert setup["max_epochs"] == 2
        assert setup["optimizer"] is torch.optim.SGD
        assert setup["train_with_dev"] is False
        assert setup["base_path"] == tmp_path

        batches = [arguments for name, arguments in recorder.events if name == "after_training_batch"]
        assert [arguments["batch_no"] for arguments in batches] == [0, 1, 0, 1]
        assert [arguments["batch_count"] for arguments in batches] == [1, 2, 3, 4]
        assert [arguments["epoch"] for arguments in batches] == [1, 1, 2, 2]
        assert all(arguments["total_number_of_batches"] == 2 for arguments in batches)
        assert all(arguments["optimizer_was_run"] for arguments in batches)
        for start in (0, 2):
            seen = [*batches[start]["batch"], *batches[start + 1]["batch"]]
            assert sorted(map(id, seen)) == sorted(map(id, corpus.train or ()))

        evaluations = [arguments for name, arguments in recorder.events if name == "after_evaluation"]
        for epoch, arguments in enumerate(evaluations):
            expected = (result["dev_score_history"][epoch], result["dev_loss_history"][epoch])
            assert arguments["epoch"] == epoch + 1
            assert arguments["validation_scores"] == expected
        assert evaluations[0]["current_model_is_best"] is True

    def test_training_loss_is_the_score_without_a_dev_split(
        self, make_trainer: Callable[..., ModelTrainer], corpus: Corpus, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        result = train(make_trainer(Corpus(corpus.train)), tmp_path, recorder)
        scores = [arguments["validation_scores"] for name, arguments in recorder.events if name == "after_evaluation"]
        assert scores == [(loss,) for loss in result["train_loss_history"]]

    def test_plugin_can_access_trainer_model_corpus_and_optimizer(
        self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path
    ) -> None:
        seen: list[Any] = []

        class Inspect(TrainerPlugin):
            @TrainerPlugin.hook
            def before_training_epoch(self, epoch: int, **parameters: Any) -> None:
                assert self.trainer.optimizer is not None
                seen.append((self.trainer, self.model, self.corpus, self.trainer.optimizer.param_groups[0]["lr"]))

            @TrainerPlugin.hook("after_training")
            def add(self) -> None:
                self.trainer.return_values["added"] = 7

        plugin = Inspect()
        result = train(trainer, tmp_path, plugin, max_epochs=1)
        assert seen == [(trainer, trainer.model, corpus, 0.1)]
        assert result["added"] == 7
        assert trainer.optimizer is None

    def test_gradients_can_be_changed_before_the_optimizer_step(
        self, make_trainer: Callable[..., ModelTrainer], tmp_path: Path
    ) -> None:
        class ZeroGradients(TrainerPlugin):
            @TrainerPlugin.hook("before_training_optimizer_step")
            def zero_gradients(self, **parameters: Any) -> None:
                for weight in self.model.parameters():
                    weight.grad = None if weight.grad is None else torch.zeros_like(weight.grad)

        trainer = make_trainer()
        before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        train(trainer, tmp_path, ZeroGradients())
        assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())

    def test_hooks_do_not_change_the_trained_weights(
        self, make_trainer: Callable[..., ModelTrainer], tmp_path: Path
    ) -> None:
        first, second = make_trainer(), make_trainer()
        assert train(first, tmp_path, Recorder()) == train(second, tmp_path)
        states = first.model.state_dict(), second.model.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_plugins_are_detached_after_training(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        train(trainer, tmp_path, recorder)
        num_events = len(recorder.events)
        train(trainer, tmp_path)  # in Flair, the plugins of the first run remain attached
        assert len(recorder.events) == num_events
        assert trainer.plugins == []
        train(trainer, tmp_path, recorder)
        assert len(recorder.events) == 2 * num_events

    def test_function_can_be_registered_with_the_trainer(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        epochs: list[int] = []
        handle = trainer.register_hook(lambda epoch, **others: epochs.append(epoch), "after_training_epoch")
        train(trainer, tmp_path)
        assert epochs == [1, 2]
        handle.remove()
        train(trainer, tmp_path)
        assert epochs == [1, 2]

    def test_other_objects_are_not_plugins(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        with pytest.raises(SettingError, match="one is 'annealing'"):
            train(trainer, tmp_path, recorder, "annealing")
        assert recorder.pluggable is None


class TestRecords:
    def test_metrics_of_a_run_are_recorded(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        result = train(trainer, tmp_path, recorder, monitor_test=True)

        def recorded(*name: str) -> list[tuple[int, Any]]:
            return [(record.global_step, record.value) for record in recorder.records if record.name == name]

        assert recorded("train", "loss") == list(enumerate(result["train_loss_history"], 1))
        assert recorded("dev", "loss") == list(enumerate(result["dev_loss_history"], 1))
        assert recorded("dev", "score") == recorded("dev", "micro avg", "f1-score")
        assert recorded("dev", "score") == list(enumerate(result["dev_score_history"], 1))
        assert [step for step, _ in recorded("test", "macro avg", "recall")] == [1, 2]
        assert [step for step, _ in recorded("bad_epochs")] == [1, 2]
        assert {value[0] for _, value in recorded("learning_rate")} == {0.1}
        assert recorded("optimizer", "momentum")[0][1] == [0]
        assert "Results:" in recorded("dev", "detailed_result")[0][1]

    def test_batch_losses_average_to_the_epoch_loss(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        labels: list[int] = []

        class Count(Callback):
            def on_batch_end(self, state: TrainingState) -> None:
                labels.append(state.num_labels - sum(labels))

        result = train(trainer, tmp_path, recorder, Count(), max_epochs=1)
        losses = [record.value for record in recorder.records if record.name == "train/batch_loss"]
        total = sum(loss * count for loss, count in zip(losses, labels, strict=True))
        assert total / sum(labels) == pytest.approx(result["train_loss_history"][0], rel=1e-5)
        norms = [record for record in recorder.records if record.name == "train/gradient_norm"]
        assert [record.global_step for record in norms] == [1, 2]
        assert all(record.value > 0 for record in norms)

    def test_metric_name_equals_its_parts_and_its_string(self) -> None:
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

    def test_record_has_a_type(self) -> None:
        record = MetricRecord.scalar(("dev", "loss"), 0.5, 3, walltime=7.0)
        assert (record.joined_name, record.value, record.global_step, record.walltime) == ("dev/loss", 0.5, 3, 7.0)
        assert record.is_scalar
        assert not record.is_scalar_list
        assert MetricRecord.scalar_list("a", [1], 0).is_scalar_list
        assert MetricRecord.string("a", "b", 0).is_string
        assert MetricRecord.histogram("a", [1], 0).is_histogram
        assert record.is_type(record.typ)


class RaiseOnce(TrainerPlugin):
    """Raises an error at one event of an epoch."""

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
    def test_plugin_can_end_training(self, event: str, epochs: int, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        interrupt = RaiseOnce(event, 2, TrainingInterrupt("score is good enough"))
        result = train(trainer, tmp_path, recorder, interrupt, max_epochs=5)
        assert len(result["train_loss_history"]) == epochs
        assert result["test_score"] is not None
        assert (tmp_path / "final-model.pt").is_file()
        assert (tmp_path / "training.log").read_text().count("score is good enough") == 1
        ending = "training_interrupt" if epochs == 1 else "after_training_loop"
        assert recorder.names[-3:] == [ending, *END]

    @pytest.mark.parametrize("error", [TrainingInterrupt("enough"), KeyboardInterrupt()])
    def test_batches_of_an_interrupted_epoch_are_recorded(
        self, error: BaseException, trainer: ModelTrainer, tmp_path: Path
    ) -> None:
        recorder = Recorder()

        class InterruptThirdBatch(TrainerPlugin):
            @TrainerPlugin.hook
            def before_training_batch(self, batch_no: int, **parameters: Any) -> None:
                if batch_no == 2:
                    raise error

        train(trainer, tmp_path, recorder, InterruptThirdBatch(), mini_batch_size=2)
        steps = [record.global_step for record in recorder.records if record.name == "train/batch_loss"]
        assert steps == [1, 2]

    def test_ctrl_c_dispatches_training_interrupt(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        train(trainer, tmp_path, recorder, RaiseOnce("before_training_batch", 2, KeyboardInterrupt()))
        assert recorder.names[-3:] == ["training_interrupt", *END]

    def test_error_is_dispatched_and_raised(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        with pytest.raises(ZeroDivisionError):
            train(trainer, tmp_path, recorder, RaiseOnce("after_evaluation", 1, ZeroDivisionError()))
        assert recorder.names[-2:] == ["_training_exception", "_training_finally"]
        assert trainer.plugins == []


class RaiseAt(TrainerPlugin):
    """Raises an error whenever an event is dispatched."""

    def __init__(self, event: str, error: BaseException) -> None:
        super().__init__()
        self.event, self.error = event, error

    def attach_to(self, pluggable: Pluggable) -> None:
        super().attach_to(pluggable)
        self._hook_handles = (pluggable.register_hook(self._raise, self.event),)

    def _raise(self, *arguments: Any, **parameters: Any) -> None:
        raise self.error


class TestErrorsInHooks:
    @pytest.mark.parametrize("event", sorted(ModelTrainer.valid_events))
    def test_loggers_are_closed_whichever_hook_raises(
        self, event: str, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writers = fake_tensorboard(monkeypatch)
        expected: BaseException = ZeroDivisionError("in the hook")
        others: list[TrainerPlugin] = []
        if event == "_training_exception":  # dispatched after another error, which must be the one that is raised
            expected = OverflowError("before the hook")
            others = [RaiseOnce("after_evaluation", 1, expected)]
        elif event == "training_interrupt":
            others = [RaiseOnce("before_training_batch", 1, KeyboardInterrupt())]
        handlers = logging.getLogger("flairlite").handlers[:]
        plugins = [
            RaiseAt(event, ZeroDivisionError("in the hook")),
            *others,
            TensorboardLogger(),
            WandbLogger(Service()),
        ]
        with pytest.raises(type(expected)) as caught:
            train(trainer, tmp_path, *plugins)
        assert str(caught.value) == str(expected)
        assert [writer.is_closed for writer in writers] == [True]
        assert logging.getLogger("flairlite").handlers == handlers
        assert trainer.plugins == []
        assert trainer.optimizer is None

    @pytest.mark.parametrize("event", ["_training_finally", "after_training"])
    def test_closing_hooks_are_all_called(self, event: str, trainer: ModelTrainer, tmp_path: Path) -> None:
        recorder = Recorder()
        with pytest.raises(ZeroDivisionError):
            train(trainer, tmp_path, RaiseAt(event, ZeroDivisionError()), recorder)
        assert recorder.names[-2:] == END
        assert (tmp_path / "final-model.pt").is_file()

    def test_first_error_is_raised_and_later_ones_are_logged(
        self, trainer: ModelTrainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        plugins = [
            RaiseAt("after_training", OverflowError("second")),
            RaiseAt("_training_finally", ValueError("first")),
        ]
        with pytest.raises(ValueError, match="first"):
            train(trainer, tmp_path, *plugins)
        errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
        assert [str(error) for error in errors] == ["second"]

    def test_dispatch_to_all_returns_the_errors(self) -> None:
        calls: list[str] = []
        pluggable = Pluggable(plugins=[RaiseAt("end", ZeroDivisionError()), RaiseAt("end", OverflowError())])
        pluggable.register_hook(calls.append, "end")
        errors = pluggable.dispatch_to_all("end", "called")
        assert [type(error) for error in errors] == [ZeroDivisionError, OverflowError]
        assert calls == ["called"]
        with pytest.raises(ZeroDivisionError):
            pluggable.dispatch("end", "not called")
        assert calls == ["called"]


class TestPluggable:
    def test_hook_decorator_has_the_forms_of_flair(self) -> None:
        calls: list[str] = []

        class Plugin(BasePlugin):
            @BasePlugin.hook
            def one(self) -> None:
                calls.append("one")

            @BasePlugin.hook()
            def two(self) -> None:
                calls.append("two")

            @BasePlugin.hook("three", "four")
            def both(self) -> None:
                calls.append("both")

            def not_a_hook(self) -> None:
                calls.append("never")

        pluggable = Pluggable(plugins=[Plugin])
        for event in ("one", "two", "three", "four", "not_a_hook", "both"):
            pluggable.dispatch(event)
        assert calls == ["one", "two", "both", "both"]
        pluggable.plugins[0].detach()
        pluggable.dispatch("one")
        assert len(calls) == 4
        assert pluggable.plugins == []

    def test_inherited_and_overridden_hooks_are_registered(self) -> None:
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

    def test_nested_event_is_dispatched_after_the_current_one(self) -> None:
        calls: list[str] = []
        pluggable = Pluggable()

        def outer() -> None:
            pluggable.dispatch("inner")
            calls.append("outer")

        pluggable.register_hook(outer, "outer")
        pluggable.register_hook(lambda: calls.append("second outer"), "outer")
        pluggable.register_hook(lambda: calls.append("inner"), "inner")
        pluggable.dispatch("outer")
        assert calls == ["outer", "second outer", "inner"]

    def test_unknown_event_is_an_error(self, trainer: ModelTrainer) -> None:
        class Unknown(TrainerPlugin):
            @TrainerPlugin.hook
            def after_teatime(self) -> None: ...

        with pytest.raises(SettingError, match=r"no event 'after_teatime'; the events are .*after_training_epoch"):
            Unknown().attach_to(trainer)
        assert trainer.plugins == []
        with pytest.raises(SettingError, match="no event 'tea'"):
            trainer.dispatch("tea")

    def test_plugin_can_be_attached_once_at_a_time(self, trainer: ModelTrainer) -> None:
        plugin = Recorder()
        with pytest.raises(SettingError, match="Recorder is not attached to a trainer: pass it to train"):
            _ = plugin.model
        plugin.attach_to(trainer)
        with pytest.raises(SettingError, match="Recorder is attached already: detach it first"):
            plugin.attach_to(trainer)
        plugin.detach()
        plugin.attach_to(trainer)
        assert plugin.get_state() == {"__cls__": f"{__name__}.Recorder"}

    def test_handle_has_events_and_function_name(self) -> None:
        pluggable = Pluggable()
        handle = pluggable.register_hook(sentences, "a", "b")
        assert (handle.events, handle.func_name) == (("a", "b"), "sentences")
        assert pluggable.has_hook("a")
        pluggable.remove_hook(handle)
        assert not pluggable.has_hook("a")

    def test_handle_can_be_removed_twice(self) -> None:
        pluggable = Pluggable()
        handle = pluggable.register_hook(sentences, "a")
        handle.remove()
        handle.remove()
        assert not pluggable.has_hook("a")

    @pytest.mark.parametrize(("function", "events"), [("text", ["a"]), (None, ["a"]), (sentences, [])])
    def test_hook_needs_a_function_and_an_event(self, function: Any, events: list[str]) -> None:
        with pytest.raises(SettingError, match="a function and at least one event"):
            Pluggable().register_hook(function, *events)

    @pytest.mark.parametrize("plugin", ["annealing", dict, None, LinearSchedulerPlugin()])
    def test_only_plugins_can_be_attached(self, plugin: Any) -> None:
        with pytest.raises(SettingError, match="plugins must be instances or classes of BasePlugin"):
            Pluggable(plugins=[plugin])


def rates_of(trainer: ModelTrainer, folder: Path, *plugins: Any, **options: Any) -> list[float]:
    rates: list[float] = []

    class RecordRates(Callback):
        def on_batch_begin(self, state: TrainingState) -> None:
            rates.append(state.learning_rate)

    train(trainer, folder, *plugins, RecordRates(), **options)
    return rates


class TestSchedules:
    def test_linear_schedule_replaces_annealing(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        rates = rates_of(trainer, tmp_path, LinearSchedulerPlugin(warmup_fraction=0.5), learning_rate=0.4)
        assert rates == pytest.approx([0.2, 0.4, 0.4, 0.2])
        assert "annealed" not in (tmp_path / "training.log").read_text()

    def test_annealing_plugin_has_the_arguments_of_flair(
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
        # two additional epochs of patience before the first reduction, then one
        assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01])
        assert "learning rate too small" in (tmp_path / "training.log").read_text()

    def test_annealing_can_restart_from_the_best_model(
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

        class KeepWeights(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                weights.append(torch.cat([weight.detach().flatten() for weight in state.model.parameters()]))

        plugin = AnnealingPlugin(patience=2, anneal_with_restarts=True)
        train(trainer, tmp_path, plugin, KeepWeights(), max_epochs=3)
        assert torch.equal(weights[2], weights[0])
        assert not torch.equal(weights[1], weights[0])
        assert "resetting to best model" in (tmp_path / "training.log").read_text()

    @pytest.mark.parametrize("limits", [[0.09, 0.0], [0.0, 0.0]])
    def test_each_parameter_group_may_have_its_own_minimum_rate(
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

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("min_learning_rate", "0.1"),
            ("min_learning_rate", ["0.1"]),
            ("min_learning_rate", None),
            ("anneal_factor", 2),
            ("anneal_factor", "0.5"),
            ("patience", 2.5),
            ("patience", "3"),
            ("initial_extra_patience", -1),
            ("anneal_with_restarts", "no"),
        ],
    )
    def test_invalid_arguments_of_annealing_are_an_error(self, name: str, value: Any) -> None:
        with pytest.raises(SettingError, match=name):
            AnnealingPlugin(**{name: value})


METRIC = ("micro avg", "f1-score")


class Freeze(Callback):
    """Keeps the weights fixed, so that no epoch is better than the first."""

    def on_backward_end(self, state: TrainingState) -> None:
        for weight in state.model.parameters():
            weight.grad = None


class TestOutputs:
    def test_model_is_saved_every_k_epochs(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path / "run", CheckpointPlugin(2, False, tmp_path), CheckpointPlugin(3), max_epochs=4)
        assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["model_epoch_2.pt", "model_epoch_4.pt"]
        assert (tmp_path / "run" / "model_epoch_3.pt").is_file()
        last = SequenceTagger.load(tmp_path / "model_epoch_4.pt").state_dict()
        final = SequenceTagger.load(tmp_path / "run" / "final-model.pt").state_dict()
        assert all(torch.equal(last[name], final[name]) for name in final)

    @pytest.mark.parametrize("count", [0, -1, 1.5, "5", True, None, math.nan, [2]])
    def test_number_of_epochs_must_be_a_positive_integer(self, count: Any) -> None:
        with pytest.raises(SettingError, match="save_model_each_k_epochs must be "):
            CheckpointPlugin(count)

    def test_number_of_epochs_may_be_a_numpy_integer(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path / "run", CheckpointPlugin(np.int64(2), base_path=tmp_path / "new" / "folder"))
        assert [path.name for path in tmp_path.glob("new/folder/*")] == ["model_epoch_2.pt"]

    def test_saving_the_optimizer_names_the_alternative(self) -> None:
        with pytest.raises(SettingError, match=r"trainer\.resume"):
            CheckpointPlugin(2, True)

    @pytest.mark.parametrize("path", [5, 0.5, ["folder"]])
    def test_base_path_must_be_a_path(self, path: Any) -> None:
        for make in (partial(CheckpointPlugin, 1, False), WeightExtractorPlugin, LogFilePlugin):
            with pytest.raises(SettingError, match="base_path must be the path of a folder"):
                make(path)
        with pytest.raises(SettingError, match="base_path must be the path of a folder"):
            LogFilePlugin(None)  # type: ignore[arg-type]

    def test_weights_are_written_at_each_tenth_of_an_epoch(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        for _ in range(2):  # the second run overwrites the file
            train(trainer, tmp_path, WeightExtractorPlugin(tmp_path))
            table = read_weights_table(tmp_path / "weights.txt")
            assert set(table) == set(trainer.model.state_dict())
            assert [step for step, _ in next(iter(table.values()))[0]] == [1, 2, 3, 4]

    def test_log_is_also_written_to_another_folder(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path / "run", LogFilePlugin(tmp_path / "log"))
        assert (tmp_path / "log" / "training.log").read_text().count("EPOCH 2 done") == 1
        assert (tmp_path / "run" / "training.log").read_text().count("EPOCH 2 done") == 1
        assert not any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger("flairlite").handlers)

    def test_log_in_the_folder_of_the_run_is_written_once(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path / "run", LogFilePlugin(str(tmp_path / "run")))
        text = (tmp_path / "run" / "training.log").read_text()
        assert [text.count(f"EPOCH {epoch} done") for epoch in (1, 2)] == [1, 1]
        assert "Training Params:" in text
        train(trainer, tmp_path / "other", LogFilePlugin(tmp_path / "other"), create_file_logs=False)
        assert (tmp_path / "other" / "training.log").read_text().count("EPOCH 2 done") == 1

    def test_resumed_run_continues_the_other_log(
        self, make_trainer: Callable[..., ModelTrainer], tmp_path: Path
    ) -> None:
        train(make_trainer(), tmp_path / "run", LogFilePlugin(tmp_path / "log"), max_epochs=1)
        train(make_trainer(), tmp_path / "run", LogFilePlugin(tmp_path / "log"), max_epochs=2, resume=True)
        text = (tmp_path / "log" / "training.log").read_text()
        assert [text.count(f"EPOCH {epoch} done") for epoch in (1, 2, 3)] == [1, 1, 0]

    def test_history_of_any_metric_is_returned(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        plugin = MetricHistoryPlugin({("dev", "macro avg", "f1-score"): "macro", ("train", "loss"): "losses"})
        for _ in range(2):
            result = train(trainer, tmp_path, plugin)
            assert len(result["macro"]) == 2
            assert result["losses"] == result["train_loss_history"]
        assert plugin.get_state()["metrics_to_collect"] == plugin.metrics_to_collect

    def test_history_is_restored(self) -> None:
        first, second = MetricHistoryPlugin(), MetricHistoryPlugin()
        first.metric_recorded(MetricRecord.scalar(("train", "loss"), 0.5, 1))
        second.load_state_dict(first.state_dict())
        assert second.metric_history["train_loss_history"] == [0.5]

    def test_metrics_may_be_named_by_strings(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        metrics: Any = {"dev/macro avg/f1-score": "macro", MetricName("train/loss"): "losses"}
        result = train(trainer, tmp_path, MetricHistoryPlugin(metrics))
        assert len(result["macro"]) == 2
        assert result["losses"] == result["train_loss_history"]

    @pytest.mark.parametrize(
        ("name", "nearest"),
        [
            (("dev", "micro avg", "f1"), "dev/micro avg/f1-score"),
            (("dev", "scroe"), "dev/score"),
            (("dve", "loss"), "dev/loss"),
            (("train", "accuracy"), "dev/accuracy"),
            (("dev", "NOUN", "f1-score"), "f1-score"),  # only averages are recorded
        ],
    )
    def test_unknown_metric_is_an_error_with_the_nearest_names(
        self, name: tuple[str, ...], nearest: str, trainer: ModelTrainer, tmp_path: Path
    ) -> None:
        with pytest.raises(SettingError, match=f"no metric {'/'.join(name)} is recorded; similar names: .*{nearest}"):
            train(trainer, tmp_path, MetricHistoryPlugin({name: "history"}))

    def test_metric_of_a_split_that_is_not_evaluated_is_a_warning(
        self,
        make_trainer: Callable[..., ModelTrainer],
        corpus: Corpus,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        trainer = make_trainer(Corpus(corpus.train))
        result = train(trainer, tmp_path, MetricHistoryPlugin({("dev", "score"): "mine"}), MetricHistoryPlugin())
        assert (result["mine"], result["dev_score_history"]) == ([], [])
        warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        message = "metric dev/score is not recorded, because training does not evaluate dev"
        assert [warning for warning in warnings if warning.startswith("metric")] == [message]

    @pytest.mark.parametrize(
        "metrics",
        [
            ["dev/loss"],
            "dev/loss",
            None,
            {("dev", "loss"): 3},
            {("dev", 3): "loss"},
            {3: "loss"},
            {(): "loss"},
            {("dev", "loss"): "same", ("train", "loss"): "same"},
        ],
    )
    def test_invalid_mapping_of_metrics_is_an_error(self, metrics: Any) -> None:
        with pytest.raises(SettingError, match="metrics_to_collect must map"):
            MetricHistoryPlugin(metrics)


class Service:
    """Fake of the module wandb, of a ClearML task and of its logger; records the calls."""

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


class FakeWriter:
    """Fake of TensorBoard's SummaryWriter; records the calls."""

    def __init__(self, log_dir: str | None, comment: str) -> None:
        self.log_dir, self.comment = log_dir, comment
        self.scalars: list[tuple[str, int]] = []
        self.is_closed = False

    def add_scalar(self, tag: str, value: float, step: int, walltime: float) -> None:
        self.scalars.append((tag, step))

    def close(self) -> None:
        self.is_closed = True


def fake_tensorboard(monkeypatch: pytest.MonkeyPatch) -> list[FakeWriter]:
    """Replace TensorBoard, and return a list that receives the writers."""
    writers: list[FakeWriter] = []

    def make(log_dir: str | None, comment: str) -> FakeWriter:
        writers.append(FakeWriter(log_dir, comment))
        return writers[-1]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=make))
    return writers


class TestServices:
    def test_wandb_receives_metrics_and_warnings(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        class LogWarning(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                logging.getLogger("flairlite").warning("a warning")

        service = Service()
        handlers = logging.getLogger("flairlite").handlers[:]
        result = train(trainer, tmp_path, WandbLogger(service), LogWarning(), max_epochs=1)
        assert {"dev/loss": result["dev_loss_history"][0]} in service.logged
        assert {"learning_rate/0": 0.1} in service.logged
        assert [level for level, text in service.alerts if "a warning" in text] == ["warn"]
        assert logging.getLogger("flairlite").handlers == handlers
        silent = Service()
        train(trainer, tmp_path, WandbLogger(silent, emit_alerts=False), LogWarning(), max_epochs=1)
        assert silent.alerts == []

    def test_clearml_receives_metrics(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        service = Service()
        train(trainer, tmp_path, ClearmlLoggerPlugin(service))
        assert ("train.loss", 2) in service.reports
        assert ("learning_rate_0", 0) in service.reports
        assert len(service.texts) == 2

    def test_tensorboard_receives_metrics(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        board = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")
        written: list[tuple[str, int]] = []
        monkeypatch.setattr(
            board.SummaryWriter, "add_scalar", lambda self, tag, value, step, **others: written.append((tag, step))
        )
        plugin = TensorboardLogger(tmp_path / "board", tracked_metrics=[("macro avg", "f1-score")])
        train(trainer, tmp_path / "run", plugin)
        assert {("train/loss", 2), ("dev/score", 1), ("dev/macro avg/f1-score", 2), ("learning_rate/0", 0)} <= set(
            written
        )
        assert not any("recall" in tag for tag, _ in written)

    def test_tensorboard_writes_tracked_metrics(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writers = fake_tensorboard(monkeypatch)
        plugin = TensorboardLogger(tmp_path, tracked_metrics=[("macro avg", "f1-score")])
        train(trainer, tmp_path, plugin)
        (writer,) = writers
        tags = {tag for tag, _ in writer.scalars}
        assert {"train/loss", "dev/score", "dev/macro avg/f1-score", "learning_rate/0"} <= tags
        assert not any("recall" in tag for tag in tags)
        assert (writer.log_dir, writer.is_closed) == (str(tmp_path), True)

    @pytest.mark.parametrize("options", [{"log_dir": 5}, {"tracked_metrics": "f1-score"}, {"tracked_metrics": ["f1"]}])
    def test_invalid_arguments_of_tensorboard_are_an_error(self, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_tensorboard(monkeypatch)
        with pytest.raises(SettingError, match=next(iter(options))):
            TensorboardLogger(**options)

    def test_missing_tensorboard_is_an_error_that_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'flairlite\[tensorboard\]'"):
            TensorboardLogger()

    def test_missing_clearml_is_an_error_that_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "clearml", None)
        with pytest.raises(MissingExtraError, match=r"clearml.*pip install 'flairlite\[clearml\]'"):
            ClearmlLoggerPlugin("task id")

    def test_clearml_task_is_found_by_its_id(
        self, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tasks = {"task id": Service()}
        fake = SimpleNamespace(Task=SimpleNamespace(get_task=lambda task_id: tasks[task_id]))
        monkeypatch.setitem(sys.modules, "clearml", fake)
        train(trainer, tmp_path, ClearmlLoggerPlugin("task id"), max_epochs=1)
        assert ("train.loss", 1) in tasks["task id"].reports

    @pytest.mark.parametrize("service", [None, 5, {"log": print}])
    def test_other_objects_are_not_services(self, service: Any) -> None:
        with pytest.raises(SettingError, match="wandb must be the module wandb"):
            WandbLogger(service)
        with pytest.raises(SettingError, match="a task of ClearML or its id"):
            ClearmlLoggerPlugin(service)

    def test_extras_in_messages_exist(self) -> None:
        package = Path(flairlite.__file__).parent
        project = package.parent / "pyproject.toml"
        if not project.is_file():
            pytest.skip("pyproject.toml is not next to the package")
        extras = re.findall(r"^(\w+) = \[", project.read_text(encoding="utf-8"), re.MULTILINE)
        named = {
            name
            for path in package.rglob("*.py")
            for name in re.findall(r'MissingExtraError\([^)]*extra="(\w+)"', path.read_text("utf-8"))
        }
        assert {"clearml", "plot", "tensorboard"} <= named <= set(extras)
