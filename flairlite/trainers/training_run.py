"""One training run: build it, train, finish."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from flairlite.data import Corpus
from flairlite.errors import FlairliteError, SettingError
from flairlite.metrics import Result
from flairlite.models import Model
from flairlite.models.inference import evaluate_dataset
from flairlite.runtime import get_seed
from flairlite.samplers import FlairSampler
from flairlite.tokenization import Tokenizer
from flairlite.trainers.batch_order import BatchOrder
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.best_model import BestModel
from flairlite.trainers.callbacks.checkpoint import Checkpoints, is_finite, write_checkpoint
from flairlite.trainers.callbacks.loss_table import LossTable
from flairlite.trainers.callbacks.training_log import LINE, LogFile, TrainingLog, make_header
from flairlite.trainers.loop import make_not_finite_error, train_epoch
from flairlite.trainers.optimizers import make_optimizer
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.plugins.outputs import CheckpointPlugin, WeightExtractorPlugin
from flairlite.trainers.process.run_folder import FINAL_MODEL, clear_folder
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.reproduce.hashes import describe_model, find_differences, hash_weights
from flairlite.trainers.reproduce.run_record import (
    describe_process,
    describe_result,
    start_run_record,
    write_run_record,
)
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.splits import Split, encode_splits
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class TrainingRun:
    """A training run with all its parts. It writes nothing into its folder before `train`.

    Args:
        model: The model, on the device where it is trained.
        corpus: The corpus.
        settings: The settings.
        folder: The folder to write into.
        plugins: Callbacks, called after those of every run.
        sampler: Yields the positions of the sentences of each epoch, or None.
        log_file: The file of the log.
    """

    def __init__(
        self,
        model: Model,
        corpus: Corpus,
        settings: TrainingSettings,
        folder: Path,
        plugins: Sequence[Callback],
        sampler: Sampler[int] | None,
        log_file: LogFile,
    ) -> None:
        self.settings, self.sampler, self.plugins = settings, sampler, plugins
        self._log_file = log_file
        prepare_model(model, corpus, compact=settings.compact_vectors)
        splits = encode_splits(model, corpus, settings)
        self.train_split, self.dev, self.test = splits["train"], splits.get("dev"), splits.get("test")
        watched = {"dev", "train_sample", *(["test"] if settings.monitor_test else [])}
        self.monitored = [split for name, split in splits.items() if name in watched]
        self.order = self._make_order()
        self.dropout = torch.Generator(device=model.device).manual_seed(get_seed(settings.seed))
        self.state = TrainingState(
            model,
            make_optimizer(
                settings.optimizer,
                model,
                settings.learning_rate,
                settings.decoder_learning_rate,
                embedding_rates=settings.embedding_learning_rates,
                layer_decay=settings.layer_decay,
                without_compiler=settings.tune_process,
            ),
            folder,
            settings.max_epochs,
            sentences=self.train_split.sentences,
            num_batches=self.order.expected_length,
        )
        self.best = BestModel() if self.dev is not None and not settings.use_final_model_for_eval else None
        self.signals = Signals()
        self._first_batches: list[Tensor] | None = None  # drawn before an earlier run's files are removed
        self.own_callbacks = self._make_callbacks(corpus)
        checkpoints = Checkpoints(self.save, settings.checkpoint_every, self.signals)
        self.callbacks = [*self.own_callbacks, *plugins, checkpoints]
        self.inputs = self._describe_inputs()
        self.record = start_run_record(model, corpus, settings.to_plain(), self.inputs)

    def _make_order(self) -> BatchOrder:
        settings = self.settings
        if isinstance(self.sampler, FlairSampler):
            self.sampler.set_dataset(self.train_split.sentences)
        return BatchOrder(
            self.train_split.dataset.sizes,
            settings.mini_batch_size,
            get_seed(settings.seed),
            shuffle=settings.shuffle,
            shuffle_first=settings.shuffle_first_epoch,
            bucketing=settings.bucketing,
            by_word=self.train_split.gold.targets.by_word,
            sampler=self.sampler,
        )

    def _make_callbacks(self, corpus: Corpus) -> list[Callback]:
        """Return the callbacks that the settings ask for."""
        settings = self.settings
        is_annealed = settings.attach_default_scheduler and not any(plugin.schedules for plugin in self.plugins)
        annealing = [settings.make_annealing()] if is_annealed else []
        header = make_header(self.state, corpus, settings, [*annealing, *self.plugins])
        callbacks = [*annealing, TrainingLog(header)]
        if settings.create_loss_file:
            callbacks.append(LossTable(tuple(split.name for split in self.monitored)))
        if self.best is not None:
            callbacks.append(self.best)
        if settings.write_weights:
            callbacks.append(WeightExtractorPlugin())
        if settings.save_model_each_k_epochs:
            callbacks.append(CheckpointPlugin(settings.save_model_each_k_epochs))
        return callbacks

    def __enter__(self) -> TrainingRun:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Call `on_close` of all callbacks, also if that of another one fails; its error is raised afterwards."""
        failures: list[BaseException] = []
        for callback in self.callbacks:
            try:
                callback.on_close(self.state, error)
            except BaseException as failure:  # the other callbacks must release their resources too
                log.error("%s could not be closed: %r", callback, failure)
                failures.append(failure)
        if failures and error is None:
            raise failures[0]

    def train(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """Train epoch after epoch, until Ctrl-C at the latest. The file of the best model is complete afterwards.

        Args:
            checkpoint: The checkpoint to continue from; None for a new run.

        Raises:
            SettingError: If the checkpoint is of another model, other data or other settings.
            SystemExit: After SIGTERM, when a checkpoint is written.
        """
        try:
            with self.signals:
                self._begin(checkpoint)
                try:
                    while self._has_next_epoch():
                        self._train_epoch()
                    self.signals.handle()
                except KeyboardInterrupt:
                    self.state.is_interrupted = True
                    log.info(LINE)
                    log.info("Exiting from training early.")
                except TrainingInterrupt as interrupt:
                    self.state.is_interrupted, self.state.stop_reason = True, str(interrupt)
        except BaseException:
            with contextlib.suppress(FlairliteError):  # the first error is the one to report
                self._leave()
            raise
        self._leave()

    def finish(self) -> float | None:
        """Write the final model, restore the best one, and return its score on the test split, if there is one."""
        for callback in self.callbacks:
            callback.on_train_end(self.state)
        final_weights = hash_weights(self.state.model.state_dict())
        if self.settings.save_final_model:
            self.state.model.save(self.state.base_path / FINAL_MODEL)
        score = self._evaluate_finally()
        self.record["result"] = describe_result(self.state, final_weights, score)
        write_run_record(self.state.base_path, self.record)
        return score

    def _evaluate_finally(self) -> float | None:
        is_best = self.best is not None and self.best.restore(self.state)
        log.info(LINE)
        if self.test is None:
            log.info("No test split: there is no final evaluation")
            return None
        log.info("Testing using best model ..." if is_best else "Testing using last state of model ...")
        result = self._evaluate(self.test)
        log.info("%s", result.detailed_results)
        log.info(LINE)
        return result.main_score

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: If it cannot be written, or a weight is not finite; the previous checkpoint is kept.
        """
        if not is_finite(self.state.model):
            raise make_not_finite_error(self.state, "a weight became infinite or not a number")
        content = {
            "settings": self.settings.to_plain(),
            "inputs": self.inputs,
            "state": self.state_dict(),
            "record": self.record,
            "log_bytes": self._log_file.size(),
        }
        write_checkpoint(self.state.base_path, content)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a run needs to continue, as plain containers and tensors."""
        return {
            "model": dict(self.state.model.state_dict()),
            "optimizer": self.state.optimizer.state_dict(),
            "run": self.state.state_dict(),
            "order": self.order.state_dict(is_in_epoch=self.state.is_in_epoch),
            "dropout": self.dropout.get_state(),
            "callbacks": [[callback.name_in_checkpoint(), callback.state_dict()] for callback in self.callbacks],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.state.model.load_state_dict(state["model"])
        self.state.optimizer.load_state_dict(state["optimizer"])
        self.state.load_state_dict(state["run"])
        self.order.load_state_dict(state["order"])
        try:
            self.dropout.set_state(state["dropout"])
        except (RuntimeError, TypeError):  # generators of another kind of device have another kind of state
            log.warning("The run was started on another kind of device: from here on, other values are dropped out")
        for callback, (_, saved) in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)

    def _begin(self, checkpoint: Mapping[str, Any] | None) -> None:
        """Begin or resume the run; files of an earlier run are left alone until all checks have passed."""
        if checkpoint is not None:
            self.settings.check_resumable(checkpoint["settings"])
            self._check_inputs(checkpoint["inputs"])
            self.state.is_resumed = True
            self.record = {**checkpoint["record"], "settings": self.settings.to_plain(), "result": None}
        careful = [*(callback for callback in self.own_callbacks if callback.schedules), *self.plugins]
        for callback in careful:  # those that may refuse to start
            callback.on_train_begin(self.state)
        if checkpoint is None and self._has_next_epoch():
            self._first_batches = self.order.draw(1)  # a sampler may yield what makes no sense
        self._log_file.open(keep=None if checkpoint is None else checkpoint["log_bytes"])
        if checkpoint is None:
            clear_folder(self.state.base_path)
        self.record["parts"].append(describe_process(self.state.model.device))
        write_run_record(self.state.base_path, self.record)
        for callback in self.own_callbacks:
            if callback not in careful:
                callback.on_train_begin(self.state)
        if checkpoint is not None:
            self.load_state_dict(checkpoint["state"])
            if checkpoint["settings"]["min_learning_rate"] != self.settings.to_plain()["min_learning_rate"]:
                self.state.stop_reason = None  # a stop caused by the old minimum rate no longer applies
            log.info("Resumed at epoch %d - iter %d/%d", self.state.epoch, self.state.iteration, self.state.num_batches)
        elif self.dev is None:
            log.warning(
                "No dev split: the training loss decides about annealing, no best model is kept, and the model of the "
                "last epoch is the result"
            )

    def _has_next_epoch(self) -> bool:
        state = self.state
        return state.is_in_epoch or (state.epoch < state.max_epochs and state.stop_reason is None)

    def _leave(self) -> None:
        self.state.model.eval()
        if self.best is not None:
            self.best.complete(self.state)

    def _describe_inputs(self) -> dict[str, Any]:
        """Return a description of what must be the same in a resumed run."""
        splits = {"train": self.train_split, "dev": self.dev, "test": self.test}
        return {
            "model": describe_model(self.state.model),
            "data": {name: split and split.describe() for name, split in splits.items()},
            "plugins": [callback.name_in_checkpoint() for callback in self.callbacks],
            "sampler": None if self.sampler is None else type(self.sampler).__name__,
        }

    def _check_inputs(self, previous: Mapping[str, Any]) -> None:
        if found := find_differences(self.inputs, previous):
            raise SettingError(
                f"this is not what the run was started with: {'; '.join(found)}. Give the same model, corpus and "
                "plugins, or start a new run"
            )

    def _train_epoch(self) -> None:
        state = self.state
        batches = self._first_batches or self.order.draw(state.epoch + (not state.is_in_epoch), again=state.is_in_epoch)
        self._first_batches = None
        train_epoch(
            state,
            self.train_split,
            batches,
            self.dropout,
            self.callbacks,
            max_grad_norm=self.settings.max_grad_norm,
            chunk_size=self.settings.mini_batch_chunk_size,
            use_amp=self.settings.use_amp,
        )
        for callback in self.callbacks:
            callback.on_epoch_trained(state)
        for split in self.monitored:
            setattr(state, split.name, self._evaluate(split))
        if state.dev is not None and not math.isfinite(state.dev.loss):  # the last step of an epoch shows only here
            raise make_not_finite_error(state, f"the loss on dev became {state.dev.loss}")
        state.compare_with_best()
        for callback in self.callbacks:
            callback.on_evaluated(state)
        state.end_epoch()
        for callback in self.callbacks:
            callback.on_epoch_end(state)

    def _evaluate(self, split: Split) -> Result:
        return evaluate_dataset(
            self.state.model,
            split.dataset,
            split.gold,
            mini_batch_size=self.settings.eval_batch_size,
            main_metric=self.settings.main_evaluation_metric,
            out_path=self.state.base_path / f"{split.name}.tsv",
            exclude=self.settings.exclude_labels or (),
        )


def prepare_model(model: Model, corpus: Corpus, *, compact: bool) -> None:
    """Change a model as training requires, before anything is looked up in it.

    Args:
        model: The model. It gets the tokenizer that the corpus was read with, so that it splits texts likewise.
        corpus: The corpus.
        compact: Whether to round fixed word vectors as the model's files hold them.
    """
    if isinstance(tokenizer := getattr(corpus, "tokenizer", None), Tokenizer):
        model.tokenizer = tokenizer
    if compact:
        model.compact()
