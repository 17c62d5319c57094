"""One line on a terminal, or a bar in a notebook, that shows where training is."""

from __future__ import annotations

import logging
from typing import Any

from flairlite.runtime import is_interactive
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class LiveDisplay(Callback):
    """Shows loss, words per second, time left, best dev score and learning rate on standard error.

    It does so on a terminal and in notebooks only. Where the lines of the log appear on the same terminal, each of them
    replaces the display, which is drawn again below.
    """

    only_in_main_process = True

    def __init__(self) -> None:
        self._bar: Any = None
        self._filter: _BarFilter | None = None
        self._loss = float("nan")

    def on_train_begin(self, state: TrainingState) -> None:
        """Show the display."""
        if not is_interactive():
            return
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=state.num_batches * state.max_epochs,
            unit="batch",
            dynamic_ncols=True,
            leave=False,
            smoothing=0.05,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}",
        )
        self._filter = _BarFilter(self._bar)
        log.addFilter(self._filter)

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Show the number of the epoch, and estimate the remaining batches."""
        if self._bar is not None:
            self._bar.total = self._bar.n + state.num_batches * (state.max_epochs - state.epoch + 1)
            self._show(state, "training")

    def on_batch_end(self, state: TrainingState) -> None:
        """Advance the display; the loss, which is on the device, is read with that of the log."""
        if self._bar is None:
            return
        if self._bar.n == 0:  # the first batch, which in a resumed run is not that of the first epoch
            self._bar.n = self._bar.initial = (state.epoch - 1) * state.num_batches + state.iteration - 1
            self._bar.total = state.num_batches * state.max_epochs
        if state.is_at_tenth:
            self._loss = state.train_loss
            self._show(state, "training")
        self._bar.update(1)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Show that the epoch is evaluated."""
        self._show(state, "evaluation")

    def on_epoch_end(self, state: TrainingState) -> None:
        """Show the best score."""
        self._show(state, "saving")

    def on_train_end(self, state: TrainingState) -> None:
        """Show that the test split is evaluated."""
        self._show(state, "final evaluation")

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Remove the display."""
        if self._filter is not None:
            log.removeFilter(self._filter)
            self._filter = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, state: TrainingState, phase: str) -> None:
        if self._bar is None:
            return
        seconds = state.epoch_seconds
        parts = [f"loss {self._loss:.4f}"] if self._loss == self._loss else []
        if phase == "training" and state.num_words:
            parts.append(f"{state.num_words / max(seconds, 1e-9):,.0f} words/s")
        if state.best_score is not None and state.history.dev_scores:
            parts.append(f"best dev {max(state.history.dev_scores):.4f}")
        parts.append(f"lr {state.learning_rate:g}")
        self._bar.set_description_str(f"epoch {state.epoch}/{state.max_epochs} {phase}", refresh=False)
        self._bar.set_postfix_str(" - ".join(parts), refresh=True)


class _BarFilter(logging.Filter):
    """Clears a bar before a message is written, and passes the message."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar

    def filter(self, record: logging.LogRecord) -> bool:
        self._bar.clear()
        return True
