"""The lines that training prints, to the console and to training.log."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")

LINE = "-" * 100
FORMAT = "%(asctime)-15s %(message)s"


class TrainingLog(Callback):
    """Prints the run: a header, ten lines an epoch, and a summary of each epoch.

    Args:
        header: Blocks of lines to begin with.
    """

    def __init__(self, header: Sequence[Sequence[str]]) -> None:
        self.header = header

    def on_train_begin(self, state: TrainingState) -> None:
        """Print where and how, unless the log has it already."""
        if state.is_resumed:
            return
        log.info(LINE)
        for block in self.header:
            for line in block:
                log.info(line)
            log.info(LINE)

    def on_batch_end(self, state: TrainingState) -> None:
        """Print a line every tenth of an epoch."""
        if not state.is_at_tenth:
            return
        loss = state.train_loss  # waits for the device, ten times an epoch
        seconds = state.epoch_seconds
        speed = state.num_words / max(seconds, 1e-9)
        log.info(
            f"epoch {state.epoch} - iter {state.iteration}/{state.num_batches} - loss {loss:.8f} - "
            f"time (sec): {seconds:.2f} - samples/sec: {speed:.2f} - lr: {_rates(state)}"
        )

    def on_epoch_end(self, state: TrainingState) -> None:
        """Print what the epoch gave."""
        log.info(LINE)
        log.info(f"EPOCH {state.epoch} done: loss {state.train_loss:.4f} - lr {state.epoch_learning_rate:.6f}")
        for name, result in (("DEV", state.dev), ("TEST", state.test), ("TRAIN_SAMPLE", state.train_sample)):
            if result is not None:
                log.info(f"{name} : loss {result.loss} - {result.metric_name}  {round(result.main_score, 4)}")
        log.info(f"BAD EPOCHS (no improvement): {state.bad_epochs}")
        if state.is_annealed:
            log.info(f"learning rate annealed to {_rates(state)}")
        log.info(LINE)

    def on_train_end(self, state: TrainingState) -> None:
        """Print why training stopped early, if it did."""
        if state.stop_reason is not None:
            log.info(state.stop_reason)


def _rates(state: TrainingState) -> str:
    """Return the learning rates, one for each group of weights."""
    return ",".join(f"{group['lr']:.6f}" for group in state.optimizer.param_groups)


@contextlib.contextmanager
def logging_to(path: Path | None, *, goes_on: bool = False) -> Iterator[None]:
    """Send the library's messages to a file, and to the console unless the program has set logging up itself.

    Afterwards logging is as it was.

    Args:
        path: The file, or None.
        goes_on: Write behind what is in the file, not in its place.
    """
    handlers: list[logging.Handler] = []
    if path is not None:
        handlers.append(logging.FileHandler(path, mode="a" if goes_on else "w", encoding="utf-8"))
    if not logging.getLogger().handlers and not _has_own_handler():
        handlers.append(logging.StreamHandler(sys.stdout))
    level = log.level
    if not log.isEnabledFor(logging.INFO):
        log.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
        log.addHandler(handler)
    try:
        yield
    finally:
        log.setLevel(level)
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def _has_own_handler() -> bool:
    return any(not isinstance(handler, logging.NullHandler) for handler in log.handlers)
