"""Lower the learning rate when the score stays where it is, and stop when it has become too low."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flairlite.errors import SettingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState


class Annealing(Callback):
    """Anneal against the score of each epoch.

    After `patience` epochs in a row without a better score the learning rate is multiplied by `factor`; below
    `min_learning_rate`, training stops early.

    Args:
        factor: What to multiply with, below 1.
        patience: Epochs in a row, at least 1.
        min_learning_rate: The lowest learning rate to train with; or one for each group of weights that the optimizer
            has.
        initial_extra_patience: So many more epochs before the learning rate is annealed for the first time.
        restarts: Go on from the best model when the learning rate was annealed.
    """

    schedules = True

    def __init__(
        self,
        *,
        factor: float = 0.5,
        patience: int = 3,
        min_learning_rate: float | Sequence[float] = 0.0001,
        initial_extra_patience: int = 0,
        restarts: bool = False,
    ) -> None:
        if not 0 < factor < 1:
            raise SettingError(f"anneal_factor must be between 0 and 1, as 0.5 to halve; it is {factor}")
        if patience < 1:
            raise SettingError(f"patience must be at least 1 epoch; it is {patience}")
        if initial_extra_patience < 0:
            raise SettingError(f"initial_extra_patience must be at least 0 epochs; it is {initial_extra_patience}")
        self.factor, self.patience, self.min_learning_rate = factor, patience, min_learning_rate
        self.initial_extra_patience, self.restarts = initial_extra_patience, restarts
        self._waited = 0  # epochs without a better score since the last annealing
        self._extra_patience = initial_extra_patience  # until the first one

    def __str__(self) -> str:
        return (
            f"AnnealOnPlateau | patience: '{self.patience}', anneal_factor: '{self.factor}', "
            f"min_learning_rate: '{self.min_learning_rate}'"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return how long it has waited."""
        return {"waited": self._waited, "extra_patience": self._extra_patience}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self._waited, self._extra_patience = state["waited"], state["extra_patience"]

    def on_train_begin(self, state: TrainingState) -> None:
        """Begin to wait; check that there is one lowest learning rate for each group of weights."""
        self._waited, self._extra_patience = 0, self.initial_extra_patience
        groups, lowest = len(state.optimizer.param_groups), self.min_learning_rate
        if isinstance(lowest, Sequence) and len(lowest) != groups:
            raise SettingError(f"min_learning_rate must be a number or {groups} of them, one a group; it is {lowest}")

    def on_evaluated(self, state: TrainingState) -> None:
        """Anneal when it is time."""
        self._waited = 0 if state.is_best else self._waited + 1
        if self._waited < self.patience + self._extra_patience:
            return
        self._waited, self._extra_patience, state.is_annealed = 0, 0, True
        state.goes_back = self.restarts
        groups, lowest = state.optimizer.param_groups, self.min_learning_rate
        for group in groups:  # each keeps its own rate
            group["lr"] *= self.factor
        limits = lowest if isinstance(lowest, Sequence) else [lowest] * len(groups)
        if any(group["lr"] < limit for group, limit in zip(groups, limits, strict=True)):
            state.stop_reason = "learning rate too small - quitting training!"
