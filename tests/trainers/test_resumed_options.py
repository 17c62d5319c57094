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

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import SequenceTagger
from flairlite.samplers import ChunkSampler, ExpandingChunkSampler, ImbalancedClassificationDatasetSampler
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import AnnealingPlugin, LinearSchedulerPlugin, MetricHistoryPlugin

TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"]

MakePlugins = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


class Killed(Exception):
    """What ends a run as if it were killed."""


class Kill(Callback):
    """Ends a run at a step of all steps, once."""

    def __init__(self, step: int | None) -> None:
        self.left = step

    def on_batch_begin(self, run: TrainingState) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


def make_trainer() -> ModelTrainer:
    def split(count: int) -> list[Sentence]:
        return [tagged(TEXTS[number % 4]).add_label("topic", "ab"[number % 2]) for number in range(count)]

    corpus = Corpus(split(12), split(4), split(4))
    embeddings = WordEmbeddings(WordVectors(["the", "dog", "sleeps", "now"], np.eye(4)), fine_tune=True)
    tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("pos"), "pos", hidden_size=4, seed=0)
    return ModelTrainer(tagger, corpus)


@pytest.mark.parametrize(
    ("options", "make_plugins"),
    [
        ({}, lambda: [LinearSchedulerPlugin(0.3)]),
        ({}, lambda: [MetricHistoryPlugin({("train", "batch_loss"): "losses", ("dev", "macro avg", "recall"): "r"})]),
        ({"learning_rate": 1e-9}, lambda: [AnnealingPlugin(None, 0.0, 0.5, 1, 1, True)]),
        ({"sampler": ChunkSampler}, list),
        ({"sampler": lambda: ExpandingChunkSampler(2)}, list),
        ({"sampler": ImbalancedClassificationDatasetSampler}, list),
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
    results, states = [], []
    for step in (None, 4, 9):  # in the second and in the fourth epoch
        trainer, folder = make_trainer(), tmp_path / str(step)
        more = dict(options)
        if "sampler" in more and not isinstance(more["sampler"], type):
            more["sampler"] = more["sampler"]()
        chosen: dict[str, Any] = {"max_epochs": 5, "mini_batch_size": 4, "seed": 0, "checkpoint_every": 1, **more}
        try:
            results.append(trainer.train(folder, **chosen, plugins=[*make_plugins(), Kill(step)]))
        except Killed:
            trainer = make_trainer()
            again = {"sampler": options["sampler"]} if "sampler" in options else {}
            if again and not isinstance(again["sampler"], type):
                again["sampler"] = again["sampler"]()
            results.append(trainer.resume(folder, plugins=[*make_plugins(), Kill(None)], **again))
        states.append(trainer.model.state_dict())
    assert results[1] == results[2] == results[0]
    for state in states[1:]:
        assert all(torch.equal(weight, states[0][name]) for name, weight in state.items())
    if options.get("write_weights"):
        tables = [(tmp_path / str(step) / "weights.txt").read_text() for step in (None, 4, 9)]
        assert tables[0] == tables[1] == tables[2]


def test_the_sampler_must_be_given_again(tmp_path: Path) -> None:
    trainer = make_trainer()
    with pytest.raises(Killed):
        trainer.train(tmp_path, sampler=ChunkSampler, max_epochs=3, mini_batch_size=4, plugins=[Kill(4)])
    with pytest.raises(SettingError, match="sampler"):
        make_trainer().resume(tmp_path, plugins=[Kill(None)])
