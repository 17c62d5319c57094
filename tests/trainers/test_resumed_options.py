"""A run with any of the options and plugins of training is the same to the last bit when it is resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parameter_ids import show
from sentences import tagged

from flairlite.data import Corpus, MultiCorpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError, TrainingError
from flairlite.models import SequenceTagger
from flairlite.samplers import (
    ChunkSampler,
    ExpandingChunkSampler,
    ImbalancedClassificationDatasetSampler,
    MultiCorpusSampler,
)
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import (
    AnnealingPlugin,
    CosineSchedulerPlugin,
    EMAPlugin,
    LinearSchedulerPlugin,
    MetricHistoryPlugin,
    OneCycleSchedulerPlugin,
    SWAPlugin,
)

TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"]

MakePlugins = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


class Killed(Exception):
    """What ends a run as if it were killed."""


class Kill(Callback):
    """Raises an error at the start of a step; each epoch has three steps.

    Args:
        step: The number of steps before, over all epochs; None never raises.
    """

    def __init__(self, step: int | None) -> None:
        self.step = step

    def on_batch_begin(self, state: TrainingState) -> None:
        if (state.epoch - 1) * 3 + state.iteration == self.step:
            raise Killed


def make_trainer() -> ModelTrainer:
    def split(count: int) -> list[Sentence]:
        return [tagged(TEXTS[number % 4]).add_label("topic", "ab"[number % 2]) for number in range(count)]

    corpus: Corpus = MultiCorpus([Corpus(split(6), split(4), split(4)), Corpus(split(6))], ["a", "b"])
    embeddings = WordEmbeddings(WordVectors(["the", "dog", "sleeps", "now"], np.eye(4)), fine_tune=True)
    tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("pos"), "pos", hidden_size=4, seed=0)
    return ModelTrainer(tagger, corpus)


@pytest.mark.parametrize(
    ("options", "make_plugins"),
    [
        ({}, lambda: [LinearSchedulerPlugin(0.3)]),
        ({"decoder_learning_rate": 0.2, "mini_batch_chunk_size": 2}, lambda: [CosineSchedulerPlugin(0.3)]),
        ({"decoder_learning_rate": 0.2, "optimizer": "AdamW"}, lambda: [OneCycleSchedulerPlugin()]),
        ({"patience": 1, "anneal_with_restarts": True, "optimizer": "AdamW"}, lambda: [EMAPlugin(0.9)]),
        ({"use_final_model_for_eval": True}, lambda: [SWAPlugin(2)]),
        ({}, lambda: [MetricHistoryPlugin({("train", "batch_loss"): "losses", ("dev", "macro avg", "recall"): "r"})]),
        ({"learning_rate": 1e-9}, lambda: [AnnealingPlugin(None, 0.0, 0.5, 1, 1, True)]),
        ({"sampler": ChunkSampler}, list),
        ({"sampler": lambda: ExpandingChunkSampler(2)}, list),
        ({"sampler": ImbalancedClassificationDatasetSampler}, list),
        ({"sampler": lambda: MultiCorpusSampler({"b": 0.5})}, list),
        ({"augment_lowercase": 0.3, "augment_uppercase": 0.3, "augment_nopunct": 0.5}, list),
        ({"augment_titlecase": 0.5, "embeddings_storage_mode": "none"}, list),
        ({"shuffle_first_epoch": False, "mini_batch_chunk_size": 2}, list),
        ({"decoder_learning_rate": 0.2, "momentum": 0.9, "write_weights": True, "monitor_train_sample": 3}, list),
        ({"write_weights": True, "checkpoint_every": None}, list),
        ({"anneal_with_restarts": True, "patience": 1, "exclude_labels": ["DET"], "max_grad_norm": None}, list),
        ({"create_file_logs": False, "create_loss_file": False, "use_final_model_for_eval": True}, list),
        ({"attach_default_scheduler": False, "save_model_each_k_epochs": 2}, list),
    ],
    ids=show,
)
def test_a_resumed_run_is_the_same(options: dict[str, Any], make_plugins: MakePlugins, tmp_path: Path) -> None:
    def prepare() -> dict[str, Any]:
        sampler = options.get("sampler")
        return {"sampler": sampler() if sampler is not None and not isinstance(sampler, type) else sampler}

    chosen: dict[str, Any] = {"max_epochs": 4, "mini_batch_size": 4, "seed": 0, "checkpoint_every": 1, **options}
    trainer = make_trainer()
    expected = trainer.train(tmp_path / "whole", **{**chosen, **prepare()}, plugins=[*make_plugins(), Kill(None)])
    with pytest.raises(Killed):  # in the second epoch
        make_trainer().train(tmp_path / "parts", **{**chosen, **prepare()}, plugins=[*make_plugins(), Kill(4)])
    with pytest.raises(Killed):  # before the fourth epoch
        make_trainer().resume(tmp_path / "parts", plugins=[*make_plugins(), Kill(9)], **prepare())
    resumed = make_trainer()
    assert resumed.resume(tmp_path / "parts", plugins=[*make_plugins(), Kill(None)], **prepare()) == expected
    weights = trainer.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in resumed.model.state_dict().items())
    if options.get("write_weights"):
        assert (tmp_path / "whole" / "weights.txt").read_text() == (tmp_path / "parts" / "weights.txt").read_text()


def test_the_sampler_must_be_given_again(tmp_path: Path) -> None:
    trainer = make_trainer()
    with pytest.raises(Killed):
        trainer.train(tmp_path, sampler=ChunkSampler, max_epochs=3, mini_batch_size=4, plugins=[Kill(4)])
    with pytest.raises(SettingError, match="sampler"):
        make_trainer().resume(tmp_path, plugins=[Kill(None)])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"plugins": EMAPlugin(0.9)}, {"plugins": EMAPlugin(0.5)}),
        ({"plugins": SWAPlugin(1)}, {"plugins": SWAPlugin(2)}),
        ({"plugins": LinearSchedulerPlugin(0.1)}, {"plugins": LinearSchedulerPlugin(0.9)}),
        ({"plugins": CosineSchedulerPlugin(0.1)}, {"plugins": CosineSchedulerPlugin(0.2)}),
        ({"plugins": OneCycleSchedulerPlugin(0.3, 25)}, {"plugins": OneCycleSchedulerPlugin(0.3, 20)}),
        ({"sampler": ChunkSampler(2, 0)}, {"sampler": ChunkSampler(7, 0)}),
        ({"sampler": ExpandingChunkSampler(1)}, {"sampler": ExpandingChunkSampler(2)}),
        (
            {"sampler": ImbalancedClassificationDatasetSampler()},
            {"sampler": ImbalancedClassificationDatasetSampler("topic")},
        ),
        ({"sampler": MultiCorpusSampler({"b": 0.5})}, {"sampler": MultiCorpusSampler({"b": 1})}),
    ],
    ids=["EMA", "SWA", "linear", "cosine", "one cycle", "chunk", "expanding", "imbalanced", "multi"],
)
def test_plugins_and_samplers_must_have_the_settings_of_the_run(
    first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    def parts(given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "plugins": [given["plugins"]] if "plugins" in given else []}

    make_trainer().train(tmp_path, **parts(first), max_epochs=2, mini_batch_size=8, seed=0)
    ((name, _),) = first.items()
    with pytest.raises(SettingError, match=f"this is not what the run was started with: {name}"):
        make_trainer().resume(tmp_path, **parts(second), max_epochs=3)


def test_a_sampler_without_state_is_reported_when_a_run_is_resumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_trainer().train(tmp_path, sampler=[0, 1], max_epochs=1, mini_batch_size=4)
    make_trainer().resume(tmp_path, sampler=[0, 1], max_epochs=2)
    assert "may draw other sentences" not in caplog.text
    draw = torch.utils.data.RandomSampler([0, 1, 2])
    make_trainer().train(tmp_path, sampler=draw, max_epochs=1, mini_batch_size=4)
    make_trainer().resume(tmp_path, sampler=draw, max_epochs=2)
    assert "RandomSampler is no FlairSampler, so checkpoints lack its state" in caplog.text


def test_without_checkpoints_training_is_the_same_and_cannot_be_resumed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_epochs": 2, "mini_batch_size": 4, "seed": 0}
    expected = make_trainer().train(tmp_path / "with", **options)
    assert make_trainer().train(tmp_path / "without", **options, checkpoint_every=0) == expected
    assert (tmp_path / "with" / "checkpoint.pt").is_file()
    assert not (tmp_path / "without" / "checkpoint.pt").exists()
    with pytest.raises(TrainingError, match="there is no run to continue"):
        make_trainer().resume(tmp_path / "without")
