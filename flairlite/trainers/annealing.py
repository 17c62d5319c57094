"""Lower the learning rate when the score stays where it is, and stop when it has become too low."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.errors import SettingError
from flairlite.trainers.callback import Callback
from flairlite.trainers.run import Run


class Annealing(Callback):
    """Anneal against the score of each epoch, and say which epoch is the best.

    After `patience` epochs in a row without a better score the learning rate is multiplied by `factor`; below
    `min_learning_rate`, training stops early.

    Args:
        factor: What to multiply with, below 1.
        patience: Epochs in a row, at least 1.
        min_learning_rate: The lowest learning rate to train with.
    """

    def __init__(self, *, factor: float = 0.5, patience: int = 3, min_learning_rate: float = 0.0001) -> None:
        if not 0 < factor < 1:
            raise SettingError(f"anneal_factor must be between 0 and 1, as 0.5 to halve; it is {factor}")
        if patience < 1:
            raise SettingError(f"patience must be at least 1 epoch; it is {patience}")
        self.factor, self.patience, self.min_learning_rate = factor, patience, min_learning_rate
        self.best_score: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the best score; the epochs without a better one are counted by the run."""
        return {"best_score": self.best_score}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on against the best score of before."""
        self.best_score = state["best_score"]

    def on_evaluated(self, run: Run) -> None:
        """Judge the epoch, and anneal when it is time."""
        score = run.score
        run.is_best = self.best_score is None or score > self.best_score
        run.bad_epochs = 0 if run.is_best else run.bad_epochs + 1
        if run.is_best:
            self.best_score = score
        elif run.bad_epochs % self.patience == 0:
            for group in run.optimizer.param_groups:  # each keeps its own rate
                group["lr"] *= self.factor
            if run.learning_rate < self.min_learning_rate:
                run.stop_reason = "learning rate too small - quitting training!"
