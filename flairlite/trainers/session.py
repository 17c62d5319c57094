"""One training run: built, run, finished."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler

from flairlite.data import Corpus
from flairlite.errors import FlairliteError, SettingError
from flairlite.metrics import Result
from flairlite.models import Model
from flairlite.models.inference import evaluate_dataset
from flairlite.samplers import FlairSampler
from flairlite.tokenization import Tokenizer
from flairlite.trainers.batch_order import BatchOrder
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.best_model import BestModel
from flairlite.trainers.callbacks.checkpoint import Checkpoints, is_finite, name_of, write_checkpoint
from flairlite.trainers.callbacks.log_header import header
from flairlite.trainers.callbacks.loss_table import LossTable
from flairlite.trainers.callbacks.training_log import LINE, TrainingLog
from flairlite.trainers.loop import train_epoch
from flairlite.trainers.loss_check import check_finite
from flairlite.trainers.optimizers import make_optimizer
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.plugins.outputs import CheckpointPlugin, WeightExtractorPlugin
from flairlite.trainers.process.run_folder import FINAL_MODEL, TRAINING_LOG, clear_folder
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.reproduce.hashes import describe_model, describe_split, differences, hash_weights
from flairlite.trainers.reproduce.record import begin_record, describe_process, describe_result, write_record
from flairlite.trainers.run import Run
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.splits import Split, encode_splits

log = logging.getLogger("flairlite")


class Session:
    """A training run with all that belongs to it.

    Args:
        model: The model, on the device where it is to be trained.
        corpus: The corpus.
        settings: How to train.
        folder: Where to write.
        plugins: Callbacks, called behind those that every run has.
        sampler: Yields the positions of the sentences of each epoch, where it is not to be a random order.
    """

    def __init__(
        self,
        model: Model,
        corpus: Corpus,
        settings: TrainingSettings,
        folder: Path,
        plugins: Sequence[Callback],
        sampler: Sampler[int] | None = None,
    ) -> None:
        self.settings = settings
        if isinstance(tokenizer := getattr(corpus, "tokenizer", None), Tokenizer):
            model.tokenizer = tokenizer  # what is predicted later is to be split as this was
        if settings.compact_vectors:  # before anything is looked up: what is trained on is what the files will hold
            model.compact()
        splits = encode_splits(model, corpus, settings)
        self.train_split, self.dev, self.test = splits["train"], splits.get("dev"), splits.get("test")
        watched = {"dev", "train_sample", *(["test"] if settings.monitor_test else [])}
        self.monitored = [split for name, split in splits.items() if name in watched]
        self.sampler = sampler
        if isinstance(sampler, FlairSampler):
            sampler.set_dataset(self.train_split.sentences)
        self.order = BatchOrder(
            self.train_split.dataset.lengths,
            settings.mini_batch_size,
            settings.seed,
            shuffle=settings.shuffle,
            shuffle_first=settings.shuffle_first_epoch,
            bucketing=settings.bucketing,
            by_word=model.task.by_word,
            sampler=sampler,
        )
        self.dropout = torch.Generator(device=model.device).manual_seed(settings.seed)
        rates = settings.learning_rate, settings.decoder_learning_rate
        optimizer = make_optimizer(settings.optimizer, model, *rates)
        self.run = Run(
            model,
            optimizer,
            folder,
            settings.max_epochs,
            sentences=self.train_split.sentences,
            num_batches=self.order.expected_length,
        )
        self.best = BestModel() if self.dev is not None and not settings.use_final_model_for_eval else None
        self.signals = Signals()
        checkpoints = Checkpoints(self.save, settings.checkpoint_every, self.signals)
        self.callbacks = [*self._own_callbacks(corpus, plugins), *plugins, checkpoints]
        self.inputs = self._describe_inputs()
        self.record = begin_record(model, corpus, settings.to_plain(), self.inputs)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Let callbacks close what they opened, however the run ended."""
        for callback in self.callbacks:
            callback.on_close(self.run, error)

    def train(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """Train epoch after epoch; Ctrl-C ends that early. However it ends, the best model's file is whole then.

        Args:
            checkpoint: Where to go on, as `save` wrote it; None to begin.

        Raises:
            SettingError: when the checkpoint is of another model, other data or other settings.
            SystemExit: after SIGTERM, when a checkpoint was written.
        """
        try:
            with self.signals:
                self._begin(checkpoint)
                while self._goes_on():
                    self._train_epoch()
                self.signals.answer()
        except KeyboardInterrupt:
            self.run.is_interrupted = True
            log.info(LINE)
            log.info("Exiting from training early.")
        except TrainingInterrupt as interrupt:
            self.run.is_interrupted, self.run.stop_reason = True, str(interrupt)
        except BaseException:
            with contextlib.suppress(FlairliteError):  # the first error is the one to be told
                self._leave()
            raise
        self._leave()

    def finish(self) -> float | None:
        """Write the final model, go back to the best one, and return its score on the test split, if there is one."""
        for callback in self.callbacks:
            callback.on_train_end(self.run)
        final_weights = hash_weights(self.run.model.state_dict())
        score = self._finish()
        self.record["result"] = describe_result(self.run, final_weights, score)
        write_record(self.run.base_path, self.record)
        return score

    def _finish(self) -> float | None:
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

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            FileWriteError: If the file cannot be written. The last checkpoint is kept.
            TrainingError: If the model has weights that are not finite.
        """
        if not is_finite(self.run.model):
            check_finite(self.run, math.nan)
        content = {"settings": self.settings.to_plain(), "inputs": self.inputs, "session": self.state_dict()}
        content["record"] = self.record
        write_checkpoint(self.run.base_path, {**content, "log_bytes": self._log_size()})

    def state_dict(self) -> dict[str, Any]:
        """Return all that a run needs to go on from here, as plain containers and tensors."""
        return {
            "model": dict(self.run.model.state_dict()),
            "optimizer": self.run.optimizer.state_dict(),
            "run": self.run.state_dict(),
            "order": self.order.state_dict(is_in_epoch=self.run.is_in_epoch),
            "dropout": self.dropout.get_state(),
            "callbacks": [[name_of(callback), callback.state_dict()] for callback in self.callbacks],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was called."""
        self.run.model.load_state_dict(state["model"])
        self.run.optimizer.load_state_dict(state["optimizer"])
        self.run.load_state_dict(state["run"])
        self.order.load_state_dict(state["order"])
        try:
            self.dropout.set_state(state["dropout"])
        except (RuntimeError, TypeError):  # the states of different kinds of devices are different things
            log.warning("The run was begun on another kind of device: from here on, dropout drops something else")
        for callback, (_, saved) in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)

    def _begin(self, checkpoint: Mapping[str, Any] | None) -> None:
        if checkpoint is None:
            clear_folder(self.run.base_path)
        else:
            self._check(checkpoint)
            self.run.is_resumed = True
            self.record = {**checkpoint["record"], "settings": self.settings.to_plain(), "result": None}
        self.record["parts"].append(describe_process(self.run.model.device))
        write_record(self.run.base_path, self.record)
        for callback in self.callbacks:
            callback.on_train_begin(self.run)
        if checkpoint is not None:
            self.load_state_dict(checkpoint["session"])
            if checkpoint["settings"]["min_learning_rate"] != self.settings.min_learning_rate:
                self.run.stop_reason = None  # if it was that the rate had become too low, that holds no more
            if self.settings.create_file_logs:
                os.truncate(self._log_path, min(checkpoint["log_bytes"], self._log_size()))
            log.info(f"Resumed at epoch {self.run.epoch} - iter {self.run.iteration}/{self.run.num_batches}")
        elif self.dev is None:
            log.info("No dev split: annealing goes by the training loss, and there is no best model")

    def _goes_on(self) -> bool:
        run = self.run
        return run.is_in_epoch or (run.epoch < run.max_epochs and run.stop_reason is None)  # a begun epoch is ended

    def _leave(self) -> None:
        self.run.model.eval()
        if self.best is not None:
            self.best.complete(self.run)

    def _check(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse to go on with something else."""
        self.settings.check_resumable(checkpoint["settings"])
        self.check_inputs(checkpoint["inputs"])

    def check_inputs(self, before: Mapping[str, Any]) -> None:
        """Refuse another model, other data or other plugins than a run had.

        Raises:
            SettingError: naming what differs.
        """
        if found := differences(self.inputs, before):
            raise SettingError(
                f"this is not what the run was begun with: {'; '.join(found)}. Give the same model, corpus and "
                "plugins, or train anew"
            )

    def _describe_inputs(self) -> dict[str, Any]:
        """Return what a resumed run must have again."""
        model = self.run.model
        splits = {"train": self.train_split, "dev": self.dev, "test": self.test}
        data = {name: split and describe_split(split, model.embeddings.fields) for name, split in splits.items()}
        return {
            "model": describe_model(model),
            "data": data,
            "plugins": list(map(name_of, self.callbacks)),
            "sampler": None if self.sampler is None else type(self.sampler).__name__,
        }

    @property
    def _log_path(self) -> Path:
        return self.run.base_path / TRAINING_LOG

    def _log_size(self) -> int:
        return self._log_path.stat().st_size if self.settings.create_file_logs else 0

    def _own_callbacks(self, corpus: Corpus, plugins: Sequence[Callback]) -> list[Callback]:
        settings = self.settings
        is_annealed = settings.attach_default_scheduler and not any(plugin.schedules for plugin in plugins)
        annealing = [settings.annealing()] if is_annealed else []
        callbacks = [*annealing, TrainingLog(header(self.run, corpus, settings, [*annealing, *plugins]))]
        if settings.create_loss_file:
            callbacks.append(LossTable(tuple(split.name for split in self.monitored)))
        if self.best is not None:
            callbacks.append(self.best)
        if settings.write_weights:
            callbacks.append(WeightExtractorPlugin())
        if settings.save_model_each_k_epochs:
            callbacks.append(CheckpointPlugin(settings.save_model_each_k_epochs))
        return callbacks

    def _train_epoch(self) -> None:
        run = self.run
        batches = self.order.draw(run.epoch + (not run.is_in_epoch), again=run.is_in_epoch)
        train_epoch(
            run,
            self.train_split,
            batches,
            self.dropout,
            self.callbacks,
            max_grad_norm=self.settings.max_grad_norm,
            chunk_size=self.settings.mini_batch_chunk_size,
            use_amp=self.settings.use_amp,
        )
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
            exclude=self.settings.exclude_labels,
        )
