"""loss.tsv: a row of figures per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flairlite.metrics import Result
from flairlite.storage.atomic import atomic_write
from flairlite.storage.run_files import LOSS_TABLE
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

_FIGURES = ("LOSS", "PRECISION", "RECALL", "F1", "ACCURACY")


class LossTable(Callback):
    """Writes loss.tsv.

    Args:
        splits: Names of the splits evaluated after each epoch: `dev`, `test`, `train_sample`.
    """

    only_in_main_process = True

    def __init__(self, splits: tuple[str, ...]) -> None:
        self.splits = splits
        self._rows: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._rows = list(state["rows"])

    def on_train_begin(self, state: TrainingState) -> None:
        """Write the header of the table."""
        if not state.is_resumed:
            self._write(state)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write a row."""
        row = [
            str(state.epoch),
            f"{datetime.now():%H:%M:%S}",
            f"{state.epoch_learning_rate:.6f}",
            f"{state.train_loss:.8f}",
        ]
        for split in self.splits:
            row += _figures(getattr(state, split))
        self._rows.append("\t".join(row))
        self._write(state)

    def _write(self, state: TrainingState) -> None:
        columns = [f"{split.upper()}_{figure}" for split in self.splits for figure in _FIGURES]
        header = ["EPOCH", "TIMESTAMP", "LEARNING_RATE", "TRAIN_LOSS", *columns]
        with atomic_write(state.base_path / LOSS_TABLE) as file:
            file.writelines(f"{row}\n".encode() for row in ("\t".join(header), *self._rows))


def _figures(result: Result | None) -> list[str]:
    if result is None:
        return ["_"] * len(_FIGURES)
    micro = result.classification_report["micro avg"]
    values = (result.loss, micro["precision"], micro["recall"], micro["f1-score"], result.accuracy)
    return [f"{value:.8f}" if index == 0 else f"{value:.4f}" for index, value in enumerate(values)]
