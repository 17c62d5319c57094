"""A callback that measures the duration of training epochs."""

from __future__ import annotations

import time

from flairlite.trainers import Callback, TrainingState


class EpochClock(Callback):
    """Record the duration of each epoch, counted from the end of the previous epoch.

    Attributes:
        train_s: Seconds until the last batch, one entry per epoch.
        epoch_s: Seconds including evaluation and file output, one entry per epoch.
        was_best: Whether the epoch gave a new best model, which is then written.
    """

    def __init__(self) -> None:
        self.train_s: list[float] = []
        self.epoch_s: list[float] = []
        self.was_best: list[bool] = []
        self._start = 0.0

    def on_train_begin(self, state: TrainingState) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_batch_end(self, state: TrainingState) -> None:
        """Record the training time after the last batch."""
        if state.iteration == state.num_batches:
            float(state.loss_sum)  # waits for the device
            self.train_s.append(time.perf_counter() - self._start)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Record the whole epoch. User callbacks run last, so the best model is already written."""
        now = time.perf_counter()
        self.epoch_s.append(now - self._start)
        self.was_best.append(state.is_best)
        self._start = now
