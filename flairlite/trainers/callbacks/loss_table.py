"""loss.tsv: a row of figures per epoch."""

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
        splits: Names of the splits evaluated after each epoch: `dev`, `test`, `train_sample`.
    """

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


def read_table_lines(path: str | Path) -> list[str]:
    """Return the lines of a table that training wrote.

    Raises:
        DataFormatError: If the file cannot be read or is not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(f"the table cannot be read: {error}", path=path) from error


def read_loss_table(path: str | Path) -> dict[str, list[float]]:
    """Read the columns of numbers of a loss.tsv, written by this library or by Flair; a missing number is NaN.

    Of several learning rates in a cell the first is taken. The column of times is left out.

    Raises:
        DataFormatError: If the file cannot be read or is not such a table.
    """
    lines = read_table_lines(path)
    header = lines[0].split("\t") if lines else []
    if "EPOCH" not in header or len(set(header)) < len(header):
        raise DataFormatError("expected a header with a column EPOCH", path=path, line=1, remedy="Give a loss.tsv")
    columns: dict[str, list[float]] = {name: [] for name in header if name != "TIMESTAMP"}
    for line_number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataFormatError(f"expected {len(header)} columns, found {len(cells)}", path=path, line=line_number)
        for name, cell in zip(header, cells, strict=True):
            if name in columns:
                columns[name].append(_parse(name, cell, path, line_number))
    return columns


def _parse(name: str, cell: str, path: str | Path, line: int) -> float:
    try:
        return float("nan") if cell == "_" else float(cell.partition(",")[0])
    except ValueError:
        raise DataFormatError(f"expected a number for {name}, found {cell!r}", path=path, line=line) from None
