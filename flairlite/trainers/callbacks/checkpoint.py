"""checkpoint.pt: the whole state of a run, from which it can continue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from flairlite.errors import ModelFileError
from flairlite.models import Model
from flairlite.storage.model_file import read_model_file, write_model_file
from flairlite.storage.run_files import CHECKPOINT
from flairlite.storage.to_plain import to_plain
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.state import TrainingState

_PARTS = {"settings", "inputs", "state", "record", "log_bytes"}


class Checkpoints(Callback):
    """Writes a checkpoint at the end of each epoch, after every few steps, and before a signal ends the run.

    It must be the last callback, so that all others have seen the step or the epoch.

    Args:
        save: Writes a checkpoint.
        every: Steps between checkpoints; None for the ends of epochs only.
        signals: The signals received.
    """

    def __init__(self, save: Callable[[], None], every: int | None, signals: Signals) -> None:
        self._save, self._every, self._signals = save, every, signals
        self._steps = 0

    def on_batch_end(self, state: TrainingState) -> None:
        """Write a checkpoint if it is due, or a signal was received."""
        self._steps += 1
        if self._steps == self._every or self._signals.received is not None:
            self._save_and_handle_signals()

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write a checkpoint."""
        self._save_and_handle_signals()

    def _save_and_handle_signals(self) -> None:
        self._save()
        self._steps = 0
        self._signals.handle()


def write_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write checkpoint.pt atomically.

    Raises:
        ModelFileError: If the state of a plugin holds anything but plain containers and tensors.
        FileWriteError: If the file cannot be written; the previous checkpoint is kept.
    """
    for name, state in content["state"]["callbacks"]:
        to_plain(state, location=f".{name}")  # so that an error names the plugin
    write_model_file(folder / CHECKPOINT, content, kind="checkpoint")


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return what `write_checkpoint` wrote, or None if there is no such file.

    Raises:
        ModelFileError: If the file is damaged or of another version.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    content = read_model_file(path, kind="checkpoint")
    if missing := _PARTS - set(content):
        raise ModelFileError(
            f"{path} lacks {', '.join(sorted(missing))}: it is of another version of flairlite. Continue with that "
            "version, or start a new run"
        )
    return content


def is_finite(model: Model) -> bool:
    """Return whether all weights are finite; the model of a failed run must not replace a good one."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
