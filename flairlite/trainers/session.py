"""One training run: built, run, finished."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from flairlite.data import Corpus
from flairlite.metrics import Result
from flairlite.models import Model
from flairlite.models.evaluation import evaluate_dataset
from flairlite.trainers.annealing import Annealing
from flairlite.trainers.best_model import BEST_MODEL, BestModel
from flairlite.trainers.callback import Callback
from flairlite.trainers.loop import check_finite, train_epoch
from flairlite.trainers.loss_table import LossTable
from flairlite.trainers.order import BatchOrder
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.run import Run
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.splits import Split, encode_split
from flairlite.trainers.training_log import LINE, TrainingLog

log = logging.getLogger("flairlite")

FINAL_MODEL = "final-model.pt"
_OUTPUTS = (BEST_MODEL, FINAL_MODEL, "dev.tsv", "test.tsv")  # training.log and loss.tsv are written anew in any case


class Session:
    """A training run with all that belongs to it.

    Args:
        model: The model, on the device where it is to be trained.
        corpus: The corpus.
        settings: How to train.
        folder: Where to write.
        plugins: Callbacks, called behind those that every run has.
    """

    def __init__(
        self, model: Model, corpus: Corpus, settings: TrainingSettings, folder: Path, plugins: Sequence[Callback]
    ) -> None:
        self.settings = settings
        if settings.compact_vectors:  # before anything is looked up: what is trained on is what the files will hold
            model.compact()
        self.train_split = _encode(model, corpus, "train", settings)
        self.dev = _encode(model, corpus, "dev", settings) if corpus.dev and not settings.train_with_dev else None
        self.test = _encode(model, corpus, "test", settings) if corpus.test else None
        watched = (self.dev, self.test if settings.monitor_test else None)
        self.monitored = [split for split in watched if split is not None]
        self.order = BatchOrder(
            self.train_split.dataset.lengths,
            settings.mini_batch_size,
            settings.seed,
            shuffle=settings.shuffle,
            bucketing=settings.bucketing,
        )
        self.dropout = torch.Generator(device=model.device).manual_seed(settings.seed)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = settings.optimizer(parameters, lr=settings.learning_rate)
        self.run = Run(
            model,
            optimizer,
            folder,
            settings.max_epochs,
            sentences=self.train_split.sentences,
            num_batches=self.order.expected_length,
        )
        self.best = BestModel() if self.dev is not None else None
        self.callbacks = [*self._own_callbacks(is_scheduled=any(plugin.schedules for plugin in plugins)), *plugins]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Let callbacks close what they opened, however the run ended."""
        for callback in self.callbacks:
            callback.on_close(self.run, error)

    def train(self) -> None:
        """Train epoch after epoch; Ctrl-C ends that early. However it ends, the best model's file is whole then."""
        try:
            for callback in self.callbacks:
                callback.on_train_begin(self.run)
            if self.dev is None:
                log.info("No dev split: annealing goes by the training loss, and there is no best model")
            while self.run.epoch < self.run.max_epochs and self.run.stop_reason is None:
                self._train_epoch()
        except KeyboardInterrupt:
            self.run.is_interrupted = True
            log.info(LINE)
            log.info("Exiting from training early.")
        except TrainingInterrupt as interrupt:
            self.run.is_interrupted, self.run.stop_reason = True, str(interrupt)
        finally:
            self.run.model.eval()
            if self.best is not None:
                self.best.complete(self.run)

    def finish(self) -> float | None:
        """Write the final model, go back to the best one, and return its score on the test split, if there is one."""
        for callback in self.callbacks:
            callback.on_train_end(self.run)
        if self.settings.save_final_model:
            self.run.model.save(self.run.base_path / FINAL_MODEL)
        is_best = self.best is not None and self.best.restore(self.run)
        log.info(LINE)
        if self.test is None:
            log.info("No test split: there is no final evaluation")
            return None
        log.info("Testing using best model ..." if is_best else "Testing using last state of model ...")
        result = self._evaluate(self.test)
        log.info(result.detailed_results)
        log.info(LINE)
        return result.main_score

    def clear_folder(self) -> None:
        """Remove what an earlier run wrote: it would be taken for this run's."""
        for name in _OUTPUTS:
            (self.run.base_path / name).unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a run needs to go on from here, as plain containers and tensors."""
        return {
            "model": dict(self.run.model.state_dict()),
            "optimizer": self.run.optimizer.state_dict(),
            "run": self.run.state_dict(),
            "order": self.order.state_dict(is_in_epoch=self.run.is_in_epoch),
            "dropout": self.dropout.get_state(),
            "callbacks": [[type(callback).__name__, callback.state_dict()] for callback in self.callbacks],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was called."""
        self.run.model.load_state_dict(state["model"])
        self.run.optimizer.load_state_dict(state["optimizer"])
        self.run.load_state_dict(state["run"])
        self.order.load_state_dict(state["order"])
        self.dropout.set_state(state["dropout"])
        for callback, (_, saved) in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)

    def _own_callbacks(self, *, is_scheduled: bool) -> list[Callback]:
        settings = self.settings
        annealing = Annealing(
            factor=settings.anneal_factor, patience=settings.patience, min_learning_rate=settings.min_learning_rate
        )
        schedule = [] if is_scheduled else [annealing]
        table = LossTable(tuple(split.name for split in self.monitored))
        best = [self.best] if self.best is not None else []
        return [*schedule, TrainingLog(settings.embeddings_storage_mode), table, *best]

    def _train_epoch(self) -> None:
        run = self.run
        batches = self.order.draw()
        train_epoch(run, self.train_split.dataset, batches, self.dropout, self.callbacks, use_amp=self.settings.use_amp)
        for callback in self.callbacks:
            callback.on_epoch_trained(run)
        for split in self.monitored:
            setattr(run, split.name, self._evaluate(split))
        if run.dev is not None:
            check_finite(run, run.dev.loss)  # the last step of an epoch shows only here
        run.judge()
        for callback in self.callbacks:
            callback.on_evaluated(run)
        run.end_epoch()
        for callback in self.callbacks:
            callback.on_epoch_end(run)

    def _evaluate(self, split: Split) -> Result:
        return evaluate_dataset(
            self.run.model,
            split.dataset,
            split.gold,
            mini_batch_size=self.settings.eval_batch_size,
            main_metric=self.settings.main_evaluation_metric,
            out_path=self.run.base_path / f"{split.name}.tsv",
        )


def _encode(model: Model, corpus: Corpus, name: str, settings: TrainingSettings) -> Split:
    with_dev = name == "train" and settings.train_with_dev
    sentences = [*(getattr(corpus, name) or ()), *((corpus.dev or ()) if with_dev else ())]
    return encode_split(model, name, sentences, settings.embeddings_storage_mode)
