"""Files that training can write beside those that it always writes, under Flair's names."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flairlite.errors import SettingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.training_log import logging_to
from flairlite.trainers.callbacks.weights_table import WeightExtractor
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class CheckpointPlugin(Callback):
    """Saves the model every few epochs, as model_epoch_5.pt.

    Args:
        save_model_each_k_epochs: Every how many.
        save_optimizer_state: Not here; training writes a checkpoint to go on from by itself.
        base_path: The folder; that of the run when None.

    Raises:
        SettingError: when it is less than one epoch, or the optimizer's state is wanted.
    """

    def __init__(
        self, save_model_each_k_epochs: int, save_optimizer_state: bool = False, base_path: str | Path | None = None
    ) -> None:
        if save_model_each_k_epochs < 1:
            raise SettingError(f"save_model_each_k_epochs must be at least 1; it is {save_model_each_k_epochs}")
        if save_optimizer_state:
            raise SettingError(
                "models are saved without the state of the optimizer: leave save_optimizer_state out, and go on with "
                "an interrupted run by trainer.resume(base_path)"
            )
        self.save_model_each_k_epochs, self.base_path = save_model_each_k_epochs, base_path

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Save the model when it is time."""
        if state.epoch % self.save_model_each_k_epochs == 0:
            path = Path(self.base_path or state.base_path) / f"model_epoch_{state.epoch}.pt"
            log.info(f"saving model of epoch {state.epoch}")
            state.model.save(path)


class WeightExtractorPlugin(Callback):
    """Writes some weights of each tensor into weights.txt, ten times an epoch; `Plotter.plot_weights` draws them.

    Args:
        base_path: The folder; that of the run when None.
    """

    def __init__(self, base_path: str | Path | None = None) -> None:
        self.base_path = base_path
        self._extractor: WeightExtractor | None = None

    def on_train_begin(self, state: TrainingState) -> None:
        """Choose the folder; the file begins anew, unless the run is resumed."""
        self._extractor = WeightExtractor(self.base_path or state.base_path)
        if not state.is_resumed:
            self._extractor.weights_file.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """Return how long the file is."""
        path = None if self._extractor is None else self._extractor.weights_file
        return {"bytes": path.stat().st_size if path is not None and path.exists() else 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut off what was written behind the checkpoint: it is written again."""
        if self._extractor is not None and self._extractor.weights_file.exists():
            path = self._extractor.weights_file
            os.truncate(path, min(state["bytes"], path.stat().st_size))

    def on_batch_end(self, state: TrainingState) -> None:
        """Write weights when a tenth of the epoch is over."""
        if self._extractor is not None and state.is_at_tenth:
            self._extractor.extract_weights(
                state.model.state_dict(), (state.epoch - 1) * state.num_batches + state.iteration
            )


class LogFilePlugin(Callback):
    """Writes what training prints into a training.log of another folder too.

    Args:
        base_path: The folder.
    """

    def __init__(self, base_path: str | Path) -> None:
        self.base_path = Path(base_path)
        self._stack = contextlib.ExitStack()

    def on_train_begin(self, state: TrainingState) -> None:
        """Open the file."""
        self._stack.enter_context(logging_to(self.base_path / "training.log"))

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Close the file."""
        self._stack.close()
