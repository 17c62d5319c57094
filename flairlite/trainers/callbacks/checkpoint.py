"""checkpoint.pt: all that a run needs to go on as if it had never ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from flairlite.models import Model
from flairlite.storage.model_file import read_model_file, write_model_file
from flairlite.storage.to_plain import to_plain
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.plugins.events import Events
from flairlite.trainers.process.run_folder import CHECKPOINT
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.run import Run


class Checkpoints(Callback):
    """Writes a checkpoint at the end of each epoch, after some steps, and before a signal ends the run.

    It is the last callback, so that all others have seen the step or the epoch.

    Args:
        save: Writes it.
        every: Steps behind a checkpoint after which the next one is due; None for the ends of epochs alone.
        signals: Signals that came.
    """

    def __init__(self, save: Callable[[], None], every: int | None, signals: Signals) -> None:
        self._save, self._every, self._signals = save, every, signals
        self._steps = 0

    def on_batch_end(self, run: Run) -> None:
        """Save when it is due, or when a signal has come."""
        self._steps += 1
        if self._steps == self._every or self._signals.received is not None:
            self._save_and_answer()

    def on_epoch_end(self, run: Run) -> None:
        """Save."""
        self._save_and_answer()

    def _save_and_answer(self) -> None:
        self._save()
        self._steps = 0
        self._signals.answer()


def write_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write checkpoint.pt, whole or not at all.

    Raises:
        ModelFileError: when the state of a plugin is not made of plain containers and tensors.
        FileWriteError: If the file cannot be written; the last checkpoint is kept.
    """
    for name, state in content["session"]["callbacks"]:
        to_plain(state, location=f".{name}")  # an error names the plugin
    write_model_file(folder / CHECKPOINT, content, kind="checkpoint")


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return what `write_checkpoint` wrote, or None where there is no such file.

    Raises:
        ModelFileError: when the file is damaged.
    """
    path = folder / CHECKPOINT
    return read_model_file(path, kind="checkpoint") if path.exists() else None


def is_finite(model: Model) -> bool:
    """Tell whether all weights are numbers: a model that is broken does not replace one that is not."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


def name_of(callback: Callback) -> str:
    """Return the name of a callback's class, or those of Flair's plugins that it stands for."""
    plugins = callback.trainer.plugins if isinstance(callback, Events) else [callback]
    return ", ".join(type(plugin).__name__ for plugin in plugins)
