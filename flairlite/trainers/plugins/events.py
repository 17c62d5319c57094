"""Tell the plugins of a trainer, in Flair's way, what happens in a run."""

from __future__ import annotations

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


class Events(Callback):
    """Dispatches the events of a run.

    Figures of batches are on the device: they are recorded all together at the end of an epoch, with the numbers of
    their batches, so that training does not wait.

    Args:
        trainer: What has the events.
        parameters: What `after_setup` gives to its hooks, by name.
    """

    def __init__(self, trainer: ModelTrainer, parameters: Mapping[str, Any]) -> None:
        self.trainer, self.parameters = trainer, parameters
        self._batch_count = 0  # of all epochs
        self._labels_before = 0
        self._figures: list[tuple[int, int, Tensor, Tensor | None]] = []  # count, labels, loss, norm of the gradients

    def state_dict(self) -> dict[str, Any]:
        """Return the batches counted, and what plugins want to keep."""
        self._record_batches()
        plugins = [[type(plugin).__name__, plugin.state_dict()] for plugin in self.trainer.plugins]
        return {"batch_count": self._batch_count, "labels_before": self._labels_before, "plugins": plugins}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting, and give plugins what they kept."""
        self._batch_count, self._labels_before = state["batch_count"], state["labels_before"]
        for plugin, (_, saved) in zip(self.trainer.plugins, state["plugins"], strict=True):
            plugin.load_state_dict(saved)

    def on_train_begin(self, state: TrainingState) -> None:
        """Dispatch `after_setup`."""
        self._batch_count, self._figures = 0, []
        self.trainer.optimizer = state.optimizer
        self.trainer.dispatch("after_setup", dataset_size=len(state.sentences), **self.parameters)

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Dispatch `before_training_epoch`, and record the learning rates."""
        self._labels_before = 0
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
        """Dispatch `after_training_batch`, and note the figures of the batch."""
        if self.trainer.has_hook("metric_recorded"):
            labels = state.num_labels - self._labels_before
            self._figures.append((self._batch_count, labels, state.batch_loss, state.gradient_norm))
            self._labels_before = state.num_labels
            if state.is_at_tenth:
                self._record_rates(state)
        self._dispatch_batch("after_training_batch", state, state.iteration - 1, optimizer_was_run=True)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Record the losses, and dispatch `after_training_epoch`."""
        self._record_batches()
        self._record(MetricRecord.scalar(("train", "loss"), state.train_loss, state.epoch))
        self.trainer.dispatch("after_training_epoch", epoch=state.epoch)

    def on_evaluated(self, state: TrainingState) -> None:
        """Record what the evaluations found, and dispatch `after_evaluation`; the epoch is whole in any case."""
        scores = (state.train_loss,) if state.dev is None else (state.dev.main_score, state.dev.loss)
        try:
            for split, result in (("dev", state.dev), ("test", state.test), ("train_sample", state.train_sample)):
                for record in _records(split, result, state.epoch):
                    self._record(record)
            self._record(MetricRecord.scalar("bad_epochs", state.bad_epochs, state.epoch))
            self.trainer.dispatch(
                "after_evaluation", epoch=state.epoch, current_model_is_best=state.is_best, validation_scores=scores
            )
        except TrainingInterrupt as interrupt:
            state.stop_reason = str(interrupt)

    def on_train_end(self, state: TrainingState) -> None:
        """Dispatch `after_training_loop` or, where training was interrupted, `training_interrupt`."""
        self.trainer.dispatch("training_interrupt" if state.is_interrupted else "after_training_loop")

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Dispatch `_training_exception` if there was one, `_training_finally`, and `after_training` if not."""
        if error is not None:
            self.trainer.dispatch("_training_exception")
        self.trainer.dispatch("_training_finally")
        if error is None:
            self.trainer.dispatch("after_training")
        self.trainer.optimizer = None

    def _dispatch_batch(self, event: str, state: TrainingState, number: int, **more: Any) -> None:
        if self.trainer.has_hook(event):
            self.trainer.dispatch(
                event,
                batch_no=number,
                batch=[state.sentences[place] for place in state.indices.tolist()],
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
        figures, self._figures = self._figures, []
        if not figures:
            return
        losses = torch.stack([loss for *_, loss, _ in figures]).tolist()  # waits for the device, once an epoch
        norms = [norm for *_, norm in figures if norm is not None]  # all, or none without clipping
        norms_of = (
            dict(zip((count for count, *_ in figures), torch.stack(norms).tolist(), strict=True)) if norms else {}
        )
        for (count, labels, *_), loss in zip(figures, losses, strict=True):
            self._record(MetricRecord.scalar(("train", "batch_loss"), loss / max(1, labels), count))
            if count in norms_of:
                self._record(MetricRecord.scalar(("train", "gradient_norm"), norms_of[count], count))


def _records(split: str, result: Result | None, epoch: int) -> Iterator[MetricRecord]:
    if result is None:
        return
    for name, value in result.scores.items():
        yield MetricRecord.scalar(MetricName([split]) + name, float(value), epoch)
    yield MetricRecord.scalar((split, "score"), result.main_score, epoch)
    yield MetricRecord.string((split, "detailed_result"), result.detailed_results, epoch)
