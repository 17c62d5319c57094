"""Dispatches the events of a training run to the plugins of its trainer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flairlite.metrics import Result
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.plugins.metric_records import MetricName, MetricRecord
from flairlite.trainers.state import TrainingState

if TYPE_CHECKING:
    from flairlite.trainers.trainer import ModelTrainer

log = logging.getLogger("flairlite")


class Events(Callback):
    """Dispatches the events of a run.

    The metrics of batches are on the device. They are recorded together at the end of an epoch, with the batch counts
    as steps, so that training does not wait for the device.

    Args:
        trainer: The trainer whose plugins receive the events.
        parameters: The keyword arguments of `after_setup`.
    """

    def __init__(self, trainer: ModelTrainer, parameters: Mapping[str, Any]) -> None:
        self.trainer, self.parameters = trainer, parameters
        self._batch_count = 0  # over all epochs
        self._previous_num_labels = 0
        self._batches: list[tuple[int, int, Tensor, Tensor | None]] = []  # count, num_labels, loss, gradient norm

    def name_in_checkpoint(self) -> str:
        """Return the names of the plugins."""
        return ", ".join(type(plugin).__name__ for plugin in self.trainer.plugins)

    def state_dict(self) -> dict[str, Any]:
        """Return the batch count and the state of each plugin."""
        self._record_batches()
        plugins = [[type(plugin).__name__, plugin.state_dict()] for plugin in self.trainer.plugins]
        return {"batch_count": self._batch_count, "labels_before": self._previous_num_labels, "plugins": plugins}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the batch count and the state of each plugin."""
        self._batch_count, self._previous_num_labels = state["batch_count"], state["labels_before"]
        for plugin, (_, saved) in zip(self.trainer.plugins, state["plugins"], strict=True):
            plugin.load_state_dict(saved)

    def on_train_begin(self, state: TrainingState) -> None:
        """Dispatch `after_setup`."""
        self._batch_count, self._batches = 0, []
        self.trainer.optimizer = state.optimizer
        self.trainer.dispatch("after_setup", dataset_size=len(state.sentences), **self.parameters)

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Dispatch `before_training_epoch`, and record the learning rates."""
        self._previous_num_labels = 0
        self.trainer.dispatch("before_training_epoch", epoch=state.epoch)
        self._record_rates(state)

    def on_batch_begin(self, state: TrainingState) -> None:
        """Dispatch `before_training_batch`."""
        self._batch_count += 1
        self._dispatch_batch("before_training_batch", state, state.iteration)

    def on_backward_end(self, state: TrainingState) -> None:
        """Dispatch `before_training_optimizer_step`."""
        self._dispatch_batch("before_training_optimizer_step", state, state.iteration)

    def on_batch_end(self, state: TrainingState) -> None:
        """Dispatch `after_training_batch`, and keep the metrics of the batch."""
        if self.trainer.has_hook("metric_recorded"):
            num_labels = state.num_labels - self._previous_num_labels
            self._batches.append((self._batch_count, num_labels, state.batch_loss, state.gradient_norm))
            self._previous_num_labels = state.num_labels
            if state.is_at_tenth:
                self._record_rates(state)
        self._dispatch_batch("after_training_batch", state, state.iteration - 1, optimizer_was_run=True)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Record the losses, and dispatch `after_training_epoch`."""
        self._record_batches()
        self._record(MetricRecord.scalar(("train", "loss"), state.train_loss, state.epoch))
        self.trainer.dispatch("after_training_epoch", epoch=state.epoch)

    def on_evaluated(self, state: TrainingState) -> None:
        """Record the results of the evaluations, and dispatch `after_evaluation`.

        A `TrainingInterrupt` ends training after this epoch, which is complete.
        """
        scores = (state.train_loss,) if state.dev is None else (state.dev.main_score, state.dev.loss)
        try:
            for split, result in (("dev", state.dev), ("test", state.test), ("train_sample", state.train_sample)):
                for record in _make_records(split, result, state.epoch):
                    self._record(record)
            self._record(MetricRecord.scalar("bad_epochs", state.bad_epochs, state.epoch))
            self.trainer.dispatch(
                "after_evaluation", epoch=state.epoch, current_model_is_best=state.is_best, validation_scores=scores
            )
        except TrainingInterrupt as interrupt:
            state.stop_reason = str(interrupt)

    def on_train_end(self, state: TrainingState) -> None:
        """Dispatch `after_training_loop`, or `training_interrupt` if training was interrupted."""
        self._record_batches()  # of an interrupted epoch
        self.trainer.dispatch("training_interrupt" if state.is_interrupted else "after_training_loop")

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Dispatch `_training_exception` if there was an error, `_training_finally`, and `after_training` if not.

        All hooks are called, even if some raise, so that each plugin can release its resources. The first error is
        raised unless training has failed before; the others are logged.
        """
        events = ("_training_finally", "after_training")
        if error is not None:
            events = ("_training_exception", "_training_finally")
        errors = [failure for event in events for failure in self.trainer.dispatch_to_all(event)]
        self.trainer.optimizer = None
        for failure in errors if error is not None else errors[1:]:
            log.error("a plugin failed at the end of training", exc_info=failure)
        if errors and error is None:
            raise errors[0]

    def _dispatch_batch(self, event: str, state: TrainingState, batch_index: int, **more: Any) -> None:
        if self.trainer.has_hook(event):
            self.trainer.dispatch(
                event,
                batch_no=batch_index,
                batch=[state.sentences[index] for index in state.indices.tolist()],
                total_number_of_batches=state.num_batches,
                epoch=state.epoch,
                batch_count=self._batch_count,
                **more,
            )

    def _record(self, record: MetricRecord) -> None:
        self.trainer.dispatch("metric_recorded", record)

    def _record_rates(self, state: TrainingState) -> None:
        groups = state.optimizer.param_groups
        momenta = [group["betas"][0] if "betas" in group else group.get("momentum", 0) for group in groups]
        self._record(MetricRecord.scalar_list("learning_rate", [group["lr"] for group in groups], self._batch_count))
        self._record(MetricRecord.scalar_list(("optimizer", "momentum"), momenta, self._batch_count))

    def _record_batches(self) -> None:
        batches, self._batches = self._batches, []
        if not batches:
            return
        losses = torch.stack([loss for *_, loss, _ in batches]).tolist()  # waits for the device, once per epoch
        norms = [norm for *_, norm in batches if norm is not None]  # all of them, or none without clipping
        norms_by_count: dict[int, float] = {}
        if norms:
            norms_by_count = dict(zip((count for count, *_ in batches), torch.stack(norms).tolist(), strict=True))
        for (count, num_labels, *_), loss in zip(batches, losses, strict=True):
            self._record(MetricRecord.scalar(("train", "batch_loss"), loss / max(1, num_labels), count))
            if count in norms_by_count:
                self._record(MetricRecord.scalar(("train", "gradient_norm"), norms_by_count[count], count))


def _make_records(split: str, result: Result | None, epoch: int) -> Iterator[MetricRecord]:
    if result is None:
        return
    for name, value in result.scores.items():
        yield MetricRecord.scalar(MetricName([split]) + name, float(value), epoch)
    yield MetricRecord.scalar((split, "score"), result.main_score, epoch)
    yield MetricRecord.string((split, "detailed_result"), result.detailed_results, epoch)
