"""loss.tsv: a row of figures an epoch."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from flairlite.metrics import Result
from flairlite.trainers.callback import Callback
from flairlite.trainers.run import Run

_FIGURES = ("LOSS", "PRECISION", "RECALL", "F1", "ACCURACY")


class LossTable(Callback):
    """Writes loss.tsv.

    Args:
        splits: The splits that are evaluated after each epoch, `dev` or `test`.
    """

    def __init__(self, splits: tuple[str, ...]) -> None:
        self.splits = splits

    def on_train_begin(self, run: Run) -> None:
        """Write the head of the table."""
        columns = [f"{split.upper()}_{figure}" for split in self.splits for figure in _FIGURES]
        head = ["EPOCH", "TIMESTAMP", "LEARNING_RATE", "TRAIN_LOSS", *columns]
        self._path(run).write_text("\t".join(head) + "\n", encoding="utf-8")

    def on_epoch_end(self, run: Run) -> None:
        """Write a row."""
        row = [str(run.epoch), f"{datetime.now():%H:%M:%S}", f"{run.epoch_learning_rate:.6f}", f"{run.train_loss:.8f}"]
        for split in self.splits:
            row += _figures(run.dev if split == "dev" else run.test)
        with self._path(run).open("a", encoding="utf-8") as file:
            file.write("\t".join(row) + "\n")

    def _path(self, run: Run) -> Path:
        return run.base_path / "loss.tsv"


def _figures(result: Result | None) -> list[str]:
    if result is None:
        return ["_"] * len(_FIGURES)
    micro = result.classification_report["micro avg"]
    values = (result.loss, micro["precision"], micro["recall"], micro["f1-score"], result.accuracy)
    return [f"{value:.8f}" if place == 0 else f"{value:.4f}" for place, value in enumerate(values)]
