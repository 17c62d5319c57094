"""A callback that measures the epochs of a training run."""

from __future__ import annotations

import time

from flairlite.trainers import Callback, TrainingState


class EpochClock(Callback):
    """Notes how long each epoch took; everything since the end of the epoch before counts.

    Attributes:
        train_s: Seconds up to the last batch, an entry an epoch.
        epoch_s: Seconds with evaluation and writing too.
        was_best: Whether the epoch's model was the best yet, and written.
    """

    def __init__(self) -> None:
        self.train_s: list[float] = []
        self.epoch_s: list[float] = []
        self.was_best: list[bool] = []
        self._begin = 0.0

    def on_train_begin(self, run: TrainingState) -> None:
        """Start the clock."""
        self._begin = time.perf_counter()

    def on_batch_end(self, run: TrainingState) -> None:
        """Note the time when it was the last batch."""
        if run.iteration == run.num_batches:
            float(run.loss_sum)  # waits for the device
            self.train_s.append(time.perf_counter() - self._begin)

    def on_epoch_end(self, run: TrainingState) -> None:
        """Note the whole epoch; callbacks of the user come last, so the model is written."""
        now = time.perf_counter()
        self.epoch_s.append(now - self._begin)
        self.was_best.append(run.is_best)
        self._begin = now
