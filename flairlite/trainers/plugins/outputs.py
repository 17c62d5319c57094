"""Additional output files of a training run, under Flair's names."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flairlite.checks import folder_path, whole_number
from flairlite.errors import SettingError
from flairlite.storage.atomic import make_folder
from flairlite.storage.run_files import TRAINING_LOG
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.training_log import LogFile
from flairlite.trainers.callbacks.weights_table import WeightExtractor
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class CheckpointPlugin(Callback):
    """Saves the model every k epochs, as model_epoch_5.pt.

    Args:
        save_model_each_k_epochs: The number k of epochs.
        save_optimizer_state: Not supported; use `trainer.resume(base_path)` to continue a run.
        base_path: The folder; None for that of the run.

    Raises:
        SettingError: If k is not an integer of at least 1, `save_optimizer_state` is set, or `base_path` is not a path.
    """

    only_in_main_process = True

    def __init__(
        self, save_model_each_k_epochs: int, save_optimizer_state: bool = False, base_path: str | Path | None = None
    ) -> None:
        self.save_model_each_k_epochs: int = whole_number(least=1)("save_model_each_k_epochs", save_model_each_k_epochs)
        self.base_path = None if base_path is None else folder_path("base_path", base_path)
        if save_optimizer_state:
            raise SettingError(
                "models are saved without the state of the optimizer: omit save_optimizer_state, and continue an "
                "interrupted run with trainer.resume(base_path)"
            )

    def on_train_begin(self, state: TrainingState) -> None:
        """Create the folder."""
        make_folder(self.base_path or state.base_path)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Save the model after every k-th epoch."""
        if state.epoch % self.save_model_each_k_epochs == 0:
            log.info("saving model of epoch %s", state.epoch)
            state.model.save((self.base_path or state.base_path) / f"model_epoch_{state.epoch}.pt")


class WeightExtractorPlugin(Callback):
    """Writes some weights of each tensor to weights.txt ten times per epoch; `Plotter.plot_weights` plots them.

    Args:
        base_path: The folder; None for that of the run.

    Raises:
        SettingError: If `base_path` is not a path.
    """

    only_in_main_process = True

    def __init__(self, base_path: str | Path | None = None) -> None:
        self.base_path = None if base_path is None else folder_path("base_path", base_path)
        self._extractor: WeightExtractor | None = None

    def on_train_begin(self, state: TrainingState) -> None:
        """Create the folder, and delete an older file unless the run is resumed."""
        self._extractor = WeightExtractor(make_folder(self.base_path or state.base_path))
        if not state.is_resumed:
            self._extractor.weights_file.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the length of the file."""
        path = None if self._extractor is None else self._extractor.weights_file
        return {"bytes": path.stat().st_size if path is not None and path.exists() else 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Truncate the file to its length at the checkpoint."""
        if self._extractor is not None and self._extractor.weights_file.exists():
            path = self._extractor.weights_file
            os.truncate(path, min(state["bytes"], path.stat().st_size))

    def on_batch_end(self, state: TrainingState) -> None:
        """Write weights after each tenth of the epoch."""
        if self._extractor is not None and state.is_at_tenth:
            iteration = (state.epoch - 1) * state.num_batches + state.iteration
            self._extractor.extract_weights(state.model.state_dict(), iteration)


class LogFilePlugin(Callback):
    """Writes the training log, from the first epoch on, to training.log in another folder too.

    Args:
        base_path: The folder.

    Raises:
        SettingError: If `base_path` is not a path.
    """

    only_in_main_process = True

    def __init__(self, base_path: str | Path) -> None:
        self.base_path = folder_path("base_path", base_path)
        self._file: LogFile | None = None

    def on_train_begin(self, state: TrainingState) -> None:
        """Start logging, unless this is the log file of the run itself."""
        path = make_folder(self.base_path) / TRAINING_LOG
        if _is_log_file(path):
            return
        self._file = LogFile(path)
        log.addHandler(self._file)
        if not state.is_resumed:
            self._file.open()

    def state_dict(self) -> dict[str, Any]:
        """Return the length of the file."""
        return {} if self._file is None else {"bytes": self._file.size()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Truncate the file to its length at the checkpoint, and append to it."""
        if self._file is not None:
            self._file.open(keep=state.get("bytes", self._file.size()))

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Close the file."""
        if self._file is not None:
            log.removeHandler(self._file)
            self._file.close()
            self._file = None


def _is_log_file(path: Path) -> bool:
    """Tell whether a handler of the library's logger writes to a file."""
    names = [getattr(handler, "baseFilename", getattr(handler, "_path", None)) for handler in log.handlers]
    return path.resolve() in [Path(name).resolve() for name in names if name is not None]
