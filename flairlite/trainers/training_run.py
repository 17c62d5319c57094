"""One training run: build it, train, finish."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from flairlite.batching import MAX_TOKENS
from flairlite.data import Corpus
from flairlite.errors import FlairliteError, SettingError
from flairlite.metrics import Result
from flairlite.models import Model
from flairlite.models.inference import evaluate_dataset
from flairlite.runtime import get_seed
from flairlite.samplers import FlairSampler
from flairlite.storage.run_files import FINAL_MODEL, predictions_name, scores_name
from flairlite.tasks import Decoded
from flairlite.tokenization import Tokenizer
from flairlite.trainers.augmentation import Augmentation
from flairlite.trainers.batch_order import BatchOrder, describe_sampler
from flairlite.trainers.callbacks.base import Absent, Callback
from flairlite.trainers.callbacks.best_model import BestModel
from flairlite.trainers.callbacks.checkpoint import Checkpoints, is_finite, write_checkpoint
from flairlite.trainers.callbacks.history_file import HistoryFile
from flairlite.trainers.callbacks.live_display import LiveDisplay
from flairlite.trainers.callbacks.loss_table import LossTable
from flairlite.trainers.callbacks.report import Report
from flairlite.trainers.callbacks.scores_table import write_scores
from flairlite.trainers.callbacks.training_log import LINE, LogFile, TrainingLog, make_header
from flairlite.trainers.data_parallel import SingleProcess
from flairlite.trainers.loop import make_not_finite_error, train_epoch
from flairlite.trainers.optimizers import make_optimizer
from flairlite.trainers.plugins.averages import WeightAveragePlugin
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.plugins.outputs import CheckpointPlugin, WeightExtractorPlugin
from flairlite.trainers.process.memory import peak_memory
from flairlite.trainers.process.run_folder import clear_folder
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.reproduce.hashes import describe_model, find_differences, hash_weights
from flairlite.trainers.reproduce.run_record import (
    describe_evaluation,
    describe_process,
    describe_result,
    describe_training,
    start_run_record,
    write_run_record,
)
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.splits import Split, encode_splits
from flairlite.trainers.state import TrainingState
from flairlite.trainers.step_graph import StepGraphs, make_step_graphs

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
        processes: The processes that train the model together, or the only one.
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
        processes: SingleProcess,
    ) -> None:
        self._started = time.monotonic()
        self.settings, self.sampler, self.processes = settings, sampler, processes
        self.plugins = list(map(self._for_process, plugins))
        self._log_file = log_file
        prepare_model(model, corpus, compact=settings.compact_vectors)
        processes.copy_weights(model)
        splits = encode_splits(model, corpus, settings)
        self.train_split, self.dev, self.test = splits["train"], splits.get("dev"), splits.get("test")
        watched = {"dev", "train_sample", *(["test"] if settings.monitor_test else [])}
        self.monitored = [split for name, split in splits.items() if name in watched]
        self.augmentation = Augmentation(settings, model.tasks, self.train_split) if settings.augments else None
        self.order = self._make_order()
        seed = processes.seed_for(get_seed(settings.seed))
        self.dropout = torch.Generator(device=model.device).manual_seed(seed)
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
        has_best = self.dev is not None and not settings.use_final_model_for_eval
        self.best = BestModel(writes_file=processes.is_main) if has_best else None
        self.signals = Signals(is_shared=processes.size > 1)
        processes.watch(self.signals)
        self._first_batches: list[Tensor] | None = None  # drawn before an earlier run's files are removed
        self.own_callbacks = list(map(self._for_process, self._make_callbacks(corpus)))
        checkpoints = Checkpoints(self.save, settings.checkpoint_every, self.signals)
        callbacks = [*self.own_callbacks, *self.plugins, checkpoints]
        # averages first, so that all others find the average in the model when an epoch ends
        self.callbacks = sorted(callbacks, key=lambda callback: not isinstance(callback, WeightAveragePlugin))
        self.inputs = self._describe_inputs()
        processes.check_same({"settings": settings.to_plain(), **self.inputs})
        counts = {name: split.count() for name, split in splits.items()}
        self.record = start_run_record(model, corpus, settings.to_plain(), self.inputs, counts)

    def _for_process(self, callback: Callback) -> Callback:
        return callback if self.processes.is_main or not callback.only_in_main_process else Absent(callback)

    def _make_order(self) -> BatchOrder:
        settings, size = self.settings, self.processes.size
        if isinstance(self.sampler, FlairSampler):
            self.sampler.set_dataset(self.train_split.sentences)
        return BatchOrder(
            self.train_split.dataset.sizes,
            settings.mini_batch_size * size,  # the settings are those of each process, as in Flair
            get_seed(settings.seed),
            shuffle=settings.shuffle,
            shuffle_first=settings.shuffle_first_epoch,
            bucketing=settings.bucketing,
            by_word=self.train_split.gold.targets.by_word,
            max_tokens=MAX_TOKENS * size,
            sampler=self.sampler,
        )

    def _make_callbacks(self, corpus: Corpus) -> list[Callback]:
        """Return the callbacks that the settings ask for."""
        settings = self.settings
        is_annealed = settings.attach_default_scheduler and not any(plugin.schedules for plugin in self.plugins)
        annealing = [settings.make_annealing()] if is_annealed else []
        if not is_annealed and (unused := settings.changed_annealing()):
            log.warning("The default annealing is off or replaced, so %s change nothing", " and ".join(unused))
        header = make_header(self.state, corpus, settings, [*annealing, *self.plugins], self.processes.devices)
        callbacks = [*annealing, LiveDisplay(), TrainingLog(header), HistoryFile()]
        if settings.create_loss_file:
            callbacks.append(LossTable(tuple(split.name for split in self.monitored)))
        if self.best is not None:
            callbacks.append(self.best)
        if settings.write_weights:
            callbacks.append(WeightExtractorPlugin())
        if settings.save_model_each_k_epochs:
            callbacks.append(CheckpointPlugin(settings.save_model_each_k_epochs))
        return [*callbacks, Report()]

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
                    self.processes.meet()
                    self.signals.handle()
                except KeyboardInterrupt:
                    if self.processes.size > 1 and self.signals.received is None:
                        raise  # a second Ctrl-C: the other processes are at another step
                    self.state.is_interrupted = True
                    log.info(LINE)
                    log.info("Exiting from training early.")
                except TrainingInterrupt as interrupt:
                    self.state.is_interrupted, self.state.stop_reason = True, self.processes.interrupt(interrupt)
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
        if self.settings.save_final_model and self.processes.is_main:
            self.state.model.save(self.state.base_path / FINAL_MODEL)
        score = self._evaluate_finally()
        self.record["result"] = describe_result(self.state, final_weights, score)
        self._write_record()
        return score

    def _write_record(self) -> None:
        if self.processes.is_main:
            write_run_record(self.state.base_path, self.record)

    def _evaluate_finally(self) -> float | None:
        """Return the main score on the test split, if there is one; without it, the report has the scores on dev."""
        is_best = self.best is not None and self.best.restore(self.state)
        log.info(LINE)
        started = time.monotonic()
        if self.test is not None:
            log.info("Testing using best model ..." if is_best else "Testing using last state of model ...")
        else:
            log.info("No test split: there is no final evaluation")
        result, split = None, self.test or self.dev
        if split is not None:
            result = self._evaluate(split, with_scores=True)
            task = self.state.model.task
            self.record["evaluation"] = describe_evaluation(result, split.name, task, is_best=is_best)
            self._end_phase("final evaluation", started)
        if self.test is None or result is None:
            return None
        log.info("%s", result.detailed_results)
        log.info(LINE)
        return result.main_score

    def _end_phase(self, name: str, started: float) -> None:
        """Record the duration of a phase, which is added if a resumed run repeats it, and the memory used so far."""
        phases = self.record.setdefault("phases", {})
        seconds = phases.get(name, {}).get("seconds", 0.0) + time.monotonic() - started
        phases[name] = {"seconds": seconds, "peak_memory": peak_memory(self.state.model.device)}

    def save(self) -> None:
        """Write a checkpoint, unless the settings ask for none.

        Raises:
            TrainingError: If it cannot be written, or a weight is not finite; the previous checkpoint is kept.
        """
        if not is_finite(self.state.model):
            raise make_not_finite_error(self.state, "a weight became infinite or not a number")
        if self.settings.checkpoint_every == 0:
            return
        dropouts = self.processes.gather(self.dropout.get_state())
        if self.processes.is_main:
            state = self.state_dict()
            content = {
                "settings": self.settings.to_plain(),
                "inputs": self.inputs,
                "state": state if len(dropouts) == 1 else {**state, "dropouts": dropouts},
                "record": self.record,
                "log_bytes": self._log_file.size(),
            }
            write_checkpoint(self.state.base_path, content)
        if self.signals.received is not None:
            self.processes.meet()  # no process ends, so that all are ended, before the file is complete

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
        if state["run"]["is_in_epoch"]:
            self.state.model.train()  # first, because it empties the memory of embeddings
        self.state.model.load_state_dict(state["model"])
        self.state.optimizer.load_state_dict(state["optimizer"])
        self.state.load_state_dict(state["run"])
        self.order.load_state_dict(state["order"])
        try:
            self.dropout.set_state(state.get("dropouts", [state["dropout"]])[self.processes.rank])
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
            self.record = {
                **checkpoint["record"],
                "settings": self.settings.to_plain(),
                "result": None,
                "evaluation": None,
            }
        careful = [*(callback for callback in self.own_callbacks if callback.schedules), *self.plugins]
        for callback in careful:  # those that may refuse to start
            callback.on_train_begin(self.state)
        if checkpoint is None and self._has_next_epoch():
            self._first_batches = self._draw(1)  # a sampler may yield what makes no sense
        self._log_file.open(keep=None if checkpoint is None else checkpoint["log_bytes"])
        if checkpoint is None and self.processes.is_main:
            clear_folder(self.state.base_path)
        self.record["parts"].append(describe_process(self.state.model.device))
        self._end_phase("preparation", self._started)
        self._write_record()
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

    def _draw(self, epoch: int, *, again: bool = False) -> list[Tensor]:
        """Draw the batches of an epoch; the main process for all, because a sampler may differ in each of them."""
        if self.processes.size == 1:
            return self.order.draw(epoch, again=again)

        def draw() -> tuple[Tensor, list[int]]:
            batches = self.order.draw(epoch, again=again)
            return torch.cat(batches), list(map(len, batches))

        return list(torch.split(*self.processes.on_main(draw)))

    def _has_next_epoch(self) -> bool:
        state = self.state
        return state.is_in_epoch or (state.epoch < state.max_epochs and state.stop_reason is None)

    def _leave(self) -> None:
        self.state.model.eval()
        if self.best is not None:
            self.state.model.training_record = describe_training(self.record, self.state, best=True)
            self.best.complete(self.state)
        self.state.model.training_record = describe_training(self.record, self.state)

    def _describe_inputs(self) -> dict[str, Any]:
        """Return a description of what must be the same in a resumed run."""
        splits = {"train": self.train_split, "dev": self.dev, "test": self.test}
        described = {
            "model": describe_model(self.state.model),
            "data": {name: split and split.describe() for name, split in splits.items()},
            "plugins": [callback.name_in_checkpoint() for callback in self.callbacks],
            "sampler": None if self.sampler is None else describe_sampler(self.sampler),
        }
        size = self.processes.size
        return described if size == 1 else {**described, "processes": size}

    def _check_inputs(self, previous: Mapping[str, Any]) -> None:
        size, previous_size = self.processes.size, previous.get("processes", 1)
        if size != previous_size:
            raise SettingError(
                f"the run was started with {previous_size} processes, and there are {size} now, which would draw "
                f"other batches: start {previous_size}, or start a new run"
            )
        if found := find_differences(self.inputs, previous):
            raise SettingError(
                f"this is not what the run was started with: {'; '.join(found)}. Give the same model, corpus and "
                "plugins, or start a new run"
            )

    def _train_epoch(self) -> None:
        state = self.state
        epoch = state.epoch + (not state.is_in_epoch)
        batches = self._first_batches or self._draw(epoch, again=state.is_in_epoch)
        self._first_batches = None
        train_epoch(
            state,
            self.train_split if self.augmentation is None else self.augmentation.draw(epoch),
            batches,
            self.dropout,
            self.callbacks,
            self.processes,
            max_grad_norm=self.settings.max_grad_norm,
            chunk_size=self.settings.mini_batch_chunk_size,
            use_amp=self.settings.use_amp is True,
            graphs=self._graphs,
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
        state.stop_reason = self.processes.agree(state.stop_reason)
        state.goes_back = state.goes_back and self.best is not None  # otherwise there is no model to go back to
        state.end_epoch()
        for callback in self.callbacks:
            callback.on_epoch_end(state)

    @functools.cached_property
    def _graphs(self) -> StepGraphs | None:
        """What takes the steps on a GPU, if they can be captured; made after a checkpoint is loaded."""
        return make_step_graphs(self.state, self.dropout, self.callbacks, self.settings, self.processes.size)

    def _evaluate(self, split: Split, *, with_scores: bool = False) -> Result:
        folder, is_main = self.state.base_path, self.processes.is_main
        take_decoded: Callable[[Decoded], None] | None = None
        if with_scores:

            def take_decoded(decoded: Decoded) -> None:
                if is_main:
                    vocabulary = frozenset(chain.from_iterable(sentence.words for sentence in self.state.sentences))
                    write_scores(folder / scores_name(split.name), split.gold, decoded, vocabulary)

        return evaluate_dataset(
            self.state.model,
            split.dataset,
            split.gold,
            mini_batch_size=self.settings.eval_batch_size,
            main_metric=self.settings.main_evaluation_metric,
            out_path=folder / predictions_name(split.name) if is_main else None,
            exclude=self.settings.exclude_labels or (),
            take_decoded=take_decoded,
            decode=self.processes.decode,
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
