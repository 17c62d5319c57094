"""The plugins for W&B, Trackio and MLflow with the real clients, which write into local folders."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentences import tagged

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import MissingExtraError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import MlflowLogger, WandbLogger

pytestmark = pytest.mark.filterwarnings("default")  # those of the clients are not ours


def train(folder: Path, *plugins: Any, **options: Any) -> dict[str, Any]:
    sentences = [tagged("the/DET dog/NOUN", "upos") for _ in range(8)]
    vectors = WordEmbeddings(WordVectors(["the", "dog"], np.eye(2)))
    corpus = Corpus(sentences, sentences[:2], sentences[:2])
    tagger = SequenceTagger(vectors, corpus.make_label_dictionary("upos"), "upos", hidden_size=4, seed=0)
    settings = {"max_epochs": 2, "mini_batch_size": 2, **options}
    return ModelTrainer(tagger, corpus).train(folder, plugins=list(plugins), **settings)


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = wandb.Settings(console="off", x_disable_stats=True)
    run = wandb.init(project="p", mode="offline", dir=tmp_path, settings=settings)
    result = train(tmp_path / "run", WandbLogger(run))
    summary = dict(run.summary)
    run.finish()
    assert summary["dev/score"] == result["dev_score_history"][-1]
    assert summary["train/loss"] == pytest.approx(result["train_loss_history"][-1])
    assert summary["learning_rate/0"] == 0.1
    assert list(tmp_path.rglob("*.wandb"))


class LogWarning(Callback):
    """Logs a warning at the end of each epoch."""

    def on_epoch_end(self, state: TrainingState) -> None:
        logging.getLogger("flairlite").warning("epoch %d is over", state.epoch)


def test_alerts_reach_a_run_of_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = wandb.Settings(console="off", x_disable_stats=True)
    run = wandb.init(project="p", mode="offline", dir=tmp_path, settings=settings)
    sent: list[tuple[str, Any]] = []
    alert = run.alert
    monkeypatch.setattr(run, "alert", lambda title, text, level: sent.append((text[-15:], alert(title, text, level))))
    train(tmp_path / "run", WandbLogger(run), LogWarning())
    run.finish()
    assert [text for text, _ in sent] == ["epoch 1 is over", "epoch 2 is over"]
    assert "Logging error" not in capsys.readouterr().err  # of an alert that failed


def test_trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))  # read when it is imported
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    trackio.init(project="p", name="r", embed=False, auto_log_cpu=False, auto_log_gpu=False)
    result = train(tmp_path / "run", WandbLogger(trackio), LogWarning())
    trackio.finish()
    logged = trackio.SQLiteStorage.get_logs("p", "r")
    scores = [values["dev/score"] for values in logged if "dev/score" in values]
    assert scores == result["dev_score_history"]
    assert "Logging error" not in capsys.readouterr().err


class TestMlflow:
    @pytest.fixture(autouse=True)
    def client(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """A client of a store in a folder."""
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri((tmp_path / "store").as_uri())
        yield mlflow.MlflowClient()
        if mlflow.active_run() is not None:
            mlflow.end_run()
        mlflow.set_tracking_uri(before)

    def test_metrics_have_their_epochs(self, client: Any, tmp_path: Path) -> None:
        result = train(tmp_path / "run", MlflowLogger())
        (run,) = client.search_runs(["0"])
        assert run.info.status == "FINISHED"
        assert run.data.params["max_epochs"] == "2"
        assert run.data.params["learning_rate"] == "0.1"
        for name, history in (("train/loss", "train_loss_history"), ("dev/score", "dev_score_history")):
            metrics = client.get_metric_history(run.info.run_id, name)
            assert [(metric.step, metric.value) for metric in metrics] == list(enumerate(result[history], start=1))
        batches = client.get_metric_history(run.info.run_id, "train/batch_loss")
        assert [metric.step for metric in batches] == list(range(1, 9))

    def test_an_active_run_stays_open(self, client: Any, tmp_path: Path) -> None:
        import mlflow

        with mlflow.start_run() as run:
            train(tmp_path / "one", MlflowLogger())
            train(tmp_path / "two", MlflowLogger(), max_epochs=3)  # the parameters of a run cannot change
            assert mlflow.active_run() is not None
        assert client.get_run(run.info.run_id).data.params["max_epochs"] == "2"

    def test_a_run_is_found_by_its_id(self, client: Any, tmp_path: Path) -> None:
        run_id = client.create_run("0").info.run_id
        train(tmp_path / "run", MlflowLogger(run_id))
        assert "dev/score" in client.get_run(run_id).data.metrics
        assert len(client.search_runs(["0"])) == 1

    def test_a_failed_training_is_a_failed_run(self, client: Any, tmp_path: Path) -> None:
        class Fail(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                raise ZeroDivisionError

        plugin = MlflowLogger()
        with pytest.raises(ZeroDivisionError):
            train(tmp_path / "run", plugin, Fail())
        assert client.search_runs(["0"])[0].info.status == "FAILED"
        train(tmp_path / "run", plugin)  # a new run
        assert sorted(run.info.status for run in client.search_runs(["0"])) == ["FAILED", "FINISHED"]


def test_missing_mlflow_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"MlflowLogger needs mlflow: pip install 'flairlite\[mlflow\]'"):
        MlflowLogger()


@pytest.mark.parametrize("run_id", [5, ""])
def test_other_values_are_no_id(run_id: Any) -> None:
    with pytest.raises(SettingError, match="run_id must be the id of a run"):
        MlflowLogger(run_id)
