"""Runs beside other code of the program: other runs, a changed working folder, logging, interrupts, bad arguments."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import logging.config
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parameter_ids import show
from sentences import tagged

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataFormatError, FlairliteError, SettingError, TrainingError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState, compare_runs, read_run_record
from flairlite.trainers.plugins import (
    AnnealingPlugin,
    MetricHistoryPlugin,
    TensorboardLogger,
    TrainerPlugin,
    TrainingInterrupt,
    WandbLogger,
)

TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"]


def make_trainer() -> ModelTrainer:
    sentences = [tagged(text) for text in TEXTS]
    corpus = Corpus(sentences * 2, sentences, sentences)
    vectors = WordEmbeddings(WordVectors(["the", "dog", "sleeps", "now"], np.eye(4)))
    return ModelTrainer(
        SequenceTagger(vectors, corpus.make_label_dictionary("pos"), "pos", hidden_size=2, seed=0), corpus
    )


def train(folder: Path | str, **options: Any) -> dict[str, Any]:
    return make_trainer().train(folder, **{"max_epochs": 2, "mini_batch_size": 4, "seed": 0, **options})


@contextlib.contextmanager
def without_configuration() -> Iterator[logging.Logger]:
    """Let the program have no configuration of logging, and return the library's logger."""
    root, logger = logging.getLogger(), logging.getLogger("flairlite")
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    try:
        yield logger
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logger.disabled = False


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"learning_rate": 10**400}, "learning_rate must be above 0 and below"),
            ({"learning_rate": 1e300, "max_grad_norm": None}, "learning_rate must be above 0 and below"),
            ({"mini_batch_size": 2**70}, "mini_batch_size must be below"),
            ({"weight_decay": "0.1"}, "weight_decay must be a number; it is '0.1'"),
            ({"momentum": float("nan")}, "momentum must be at least 0"),
            ({"momentum": 0.9, "nesterov": "yes"}, "nesterov must be True or False"),
            ({"optimizer": "adam", "betas": (0.9, 0.9, 0.9)}, "betas must be two numbers"),
            ({"optimizer": "adam", "betas": [0.9]}, "betas must be two numbers"),
            ({"optimizer": functools.partial(torch.optim.Adam, betas=[0.9])}, "cannot be made of the weights"),
            ({"differentiable": True}, "train has no differentiable"),
            ({"optimizer": "adam", "capturable": True}, "train has no capturable"),
            ({"exclude_labels": b"DET"}, "exclude_labels must be a list of strings"),
            ({"sampler": [True, False, True]}, "whole numbers; it yields bools"),
            ({"sampler": np.array([True, False])}, "whole numbers; it yields bools"),
            ({"sampler": torch.tensor([True, False])}, "whole numbers; it yields bools"),
            ({"plugins": [AnnealingPlugin()] * 2}, "one of them is in the list twice"),
        ],
        ids=show,
    )
    def test_wrong_values_are_refused(self, options: dict[str, Any], message: str, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match=message):
            train(tmp_path, **options)

    @pytest.mark.parametrize(
        "options",
        [
            {"momentum": np.float32(0.5)},
            {"optimizer": functools.partial(torch.optim.SGD, momentum=np.float32(0.5))},
            {"optimizer": "adam", "betas": (0, np.float32(0.5))},
        ],
        ids=show,
    )
    def test_numbers_of_numpy_are_options_of_resumed_runs_too(self, options: dict[str, Any], tmp_path: Path) -> None:
        expected = train(tmp_path / "whole", **options)
        train(tmp_path / "parts", **{**options, "max_epochs": 1})
        assert make_trainer().resume(tmp_path / "parts", max_epochs=2) == expected

    def test_an_excluded_label_may_be_a_string(self, tmp_path: Path) -> None:
        assert train(tmp_path, exclude_labels="DET") == train(tmp_path, exclude_labels=["DET"])

    @pytest.mark.parametrize(
        "make",
        [
            lambda: MetricHistoryPlugin({("train", "loss"): "test_score"}),
            lambda: TensorboardLogger(tracked_metrics=5),  # type: ignore[arg-type]
            lambda: WandbLogger(type("Run", (), {"log": print}), alert_level="NONE"),
            lambda: WandbLogger(type("Run", (), {"log": print}), emit_alerts="no"),  # type: ignore[arg-type]
            lambda: read_run_record(5),  # type: ignore[arg-type]
        ],
    )
    def test_wrong_arguments_of_plugins_and_readers_are_refused(self, make: Any) -> None:
        with pytest.raises(SettingError):
            make()

    def test_a_damaged_run_record_is_refused(self, tmp_path: Path) -> None:
        content = {"format": "flairlite run", "format_version": 1, "parts": 5, "result": 3}
        (tmp_path / "run.json").write_text(json.dumps(content))
        with pytest.raises(DataFormatError, match="damaged"):
            compare_runs(tmp_path, tmp_path)

    def test_a_callback_method_that_is_almost_a_hook_is_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Own(Callback):
            def on_epoch_ended(self, state: TrainingState) -> None:
                raise AssertionError

            def on_something_else(self) -> None:
                raise AssertionError

        train(tmp_path, max_epochs=0, plugins=[Own()])
        warnings = [record.message for record in caplog.records if "never called" in record.message]
        assert warnings == ["Own.on_epoch_ended is never called: did you mean on_epoch_end?"]


class TestEarlierRun:
    """A run that cannot start leaves the files of an earlier run in its folder alone."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        train(tmp_path)
        return tmp_path

    @staticmethod
    def read(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    @pytest.mark.parametrize("sampler", [[0, 99], [-1], [0.5], []])
    def test_bad_positions_of_a_sampler_are_seen_before(self, sampler: list[Any], folder: Path) -> None:
        before = self.read(folder)
        with pytest.raises(SettingError, match="sampler must yield"):
            train(folder, sampler=sampler)
        assert self.read(folder) == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingInterrupt, ZeroDivisionError])
    @pytest.mark.parametrize("resume", [False, True])
    def test_an_interrupt_before_the_start_ends_the_run(
        self, error: type[BaseException], resume: bool, folder: Path
    ) -> None:
        class Interrupt(TrainerPlugin):
            @TrainerPlugin.hook
            def after_setup(self, **parameters: Any) -> None:
                raise error

        class Start(Callback):
            def on_train_begin(self, state: TrainingState) -> None:
                raise error

        before = self.read(folder)
        for plugin in (Interrupt(), Start()):
            with pytest.raises((error, SettingError)):  # a resumed run lacks the plugin
                train(folder, resume=resume, plugins=[plugin])
        assert self.read(folder) == before

    @pytest.mark.parametrize("name", ["checkpoint.pt", "best-model.pt", "run.json"])
    def test_a_folder_in_place_of_a_file_is_named(self, name: str, folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(TrainingError, match=rf"{name}, of an earlier run, cannot be removed"):
            train(folder)


def test_working_folder_may_change_while_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Move(Callback):
        def on_epoch_begin(self, state: TrainingState) -> None:
            os.chdir("/")

    monkeypatch.chdir(tmp_path)
    train("a folder/ü", plugins=[Move()])
    folder = tmp_path / "a folder" / "ü"
    assert {"best-model.pt", "checkpoint.pt", "loss.tsv"} <= {path.name for path in folder.iterdir()}
    assert 'Model training base path: "a folder/ü"' in (folder / "training.log").read_text(encoding="utf-8")


class TestOtherRuns:
    def test_a_model_is_trained_by_one_run_at_a_time(self, tmp_path: Path) -> None:
        errors: list[str] = []
        trainer = make_trainer()

        class Nested(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                try:
                    ModelTrainer(trainer.model, trainer.corpus).train(tmp_path / "nested", max_epochs=1)
                except TrainingError as error:
                    errors.append(str(error))

        options: dict[str, Any] = {"max_epochs": 2, "mini_batch_size": 4, "seed": 0}
        assert trainer.train(tmp_path / "outer", plugins=[Nested()], **options) == train(tmp_path / "alone")
        assert len(errors) == 2
        assert "another run trains this model" in errors[0]
        trainer.train(tmp_path / "outer", max_epochs=1)  # the model is free again

    def test_runs_in_threads_have_logs_of_their_own(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The second run begins while the first one trains, and ends after it."""
        first_has_begun, second_has_begun, first_has_ended = (threading.Event() for _ in range(3))

        class Signal(Callback):
            def __init__(self, event: threading.Event, awaited: threading.Event) -> None:
                self.event, self.awaited = event, awaited

            def on_epoch_begin(self, state: TrainingState) -> None:
                self.event.set()
                assert self.awaited.wait(60)

        def run(name: str, epochs: int, plugin: Signal) -> None:
            train(tmp_path / name, max_epochs=epochs, plugins=[plugin])

        with without_configuration() as logger:
            before = logger.level, logger.handlers[:]
            first = threading.Thread(target=run, args=("first", 2, Signal(first_has_begun, second_has_begun)))
            first.start()
            assert first_has_begun.wait(60)
            second = threading.Thread(target=run, args=("second", 3, Signal(second_has_begun, first_has_ended)))
            second.start()
            first.join()
            first_has_ended.set()
            second.join()
            assert (logger.level, logger.handlers) == before
        for name, epochs in (("first", 2), ("second", 3)):
            lines = (tmp_path / name / "training.log").read_text(encoding="utf-8").splitlines()
            assert [line.split()[3] for line in lines if " done: loss" in line] == [str(n + 1) for n in range(epochs)]
            assert sum("Model training base path" in line for line in lines) == 1
        assert capsys.readouterr().out.count(" done: loss") == 5


class TestLogging:
    def test_disabled_logger_writes_the_file_only(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with without_configuration() as logger:
            logging.config.dictConfig({"version": 1})  # disables the loggers that exist
            assert logger.disabled
            train(tmp_path)
            assert logger.disabled
            assert logger.propagate
        assert (tmp_path / "training.log").read_text().count(" done: loss") == 2
        assert capsys.readouterr().out == ""

    def test_characters_that_cannot_be_written_are_escaped(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "lone \udc80"
        with without_configuration():
            try:
                train(folder)
            except FlairliteError:
                pytest.skip("this file system has no such names")
        assert "lone \\udc80" in (folder / "training.log").read_text(encoding="utf-8")
        output = capsys.readouterr()
        assert "lone \\udc80" in output.out
        assert "Logging error" not in output.err
