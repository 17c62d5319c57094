"""loss.tsv: a row of figures an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from flairlite.errors import DataFormatError
from flairlite.metrics import Result
from flairlite.storage.atomic import atomic_write
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.process.run_folder import LOSS_TABLE
from flairlite.trainers.state import TrainingState

_FIGURES = ("LOSS", "PRECISION", "RECALL", "F1", "ACCURACY")


class LossTable(Callback):
    """Writes loss.tsv.

    Args:
        splits: The splits that are evaluated after each epoch: `dev`, `test`, `train_sample`.
    """

    def __init__(self, splits: tuple[str, ...]) -> None:
        self.splits = splits
        self._rows: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the rows of before, and no later ones."""
        self._rows = list(state["rows"])

    def on_train_begin(self, state: TrainingState) -> None:
        """Write the head of the table."""
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
        head = ["EPOCH", "TIMESTAMP", "LEARNING_RATE", "TRAIN_LOSS", *columns]
        with atomic_write(state.base_path / LOSS_TABLE) as file:
            file.writelines(f"{row}\n".encode() for row in ("\t".join(head), *self._rows))


def _figures(result: Result | None) -> list[str]:
    if result is None:
        return ["_"] * len(_FIGURES)
    micro = result.classification_report["micro avg"]
    values = (result.loss, micro["precision"], micro["recall"], micro["f1-score"], result.accuracy)
    return [f"{value:.8f}" if place == 0 else f"{value:.4f}" for place, value in enumerate(values)]


def read_loss_table(path: str | Path) -> dict[str, list[float]]:
    """Read the columns of figures of a loss.tsv, this library's or Flair's; where there is no figure, NaN.

    Where a cell has several learning rates, the first is taken. The column of times is left out.

    Raises:
        DataFormatError: when the file is no such table.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    head = lines[0].split("\t") if lines else []
    if "EPOCH" not in head or len(set(head)) < len(head):
        raise DataFormatError("a head with a column EPOCH was expected", path=path, line=1, remedy="Give a loss.tsv")
    columns: dict[str, list[float]] = {name: [] for name in head if name != "TIMESTAMP"}
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(head):
            raise DataFormatError(f"{len(head)} columns were expected, {len(cells)} came", path=path, line=number)
        for name, cell in zip(head, cells, strict=True):
            if name in columns:
                columns[name].append(_figure(name, cell, path, number))
    return columns


def _figure(name: str, cell: str, path: str | Path, line: int) -> float:
    try:
        return float("nan") if cell == "_" else float(cell.partition(",")[0])
    except ValueError:
        raise DataFormatError(f"a number was expected for {name}, {cell!r} came", path=path, line=line) from None
