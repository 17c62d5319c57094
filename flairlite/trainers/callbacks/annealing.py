"""Lower the learning rate when the score does not improve, and stop when it has become too low."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flairlite.checks import flag, number, number_or_numbers, whole_number
from flairlite.errors import SettingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState


class Annealing(Callback):
    """Anneals the learning rate by the score of each epoch.

    After `patience` epochs in a row without a better score the learning rate is multiplied by `factor`. Training stops
    when it falls below `min_learning_rate`.

    Args:
        factor: The factor, between 0 and 1.
        patience: The number of epochs, at least 1.
        min_learning_rate: The lowest learning rate to train with, or one per parameter group of the optimizer.
        initial_extra_patience: Further epochs before the learning rate is annealed for the first time.
        restarts: Whether to continue from the best model when the learning rate was annealed.

    Raises:
        SettingError: If a value has the wrong type or makes no sense.
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
        self.factor: float = number(above=0, below=1)("anneal_factor", factor)
        self.patience: int = whole_number(least=1)("patience", patience)
        self.min_learning_rate: float | tuple[float, ...] = number_or_numbers(least=0)(
            "min_learning_rate", min_learning_rate
        )
        self.initial_extra_patience: int = whole_number(least=0)("initial_extra_patience", initial_extra_patience)
        self.restarts = flag("anneal_with_restarts", restarts)
        self._waited = 0  # epochs without a better score since the last annealing
        self._extra_patience = self.initial_extra_patience  # until the first annealing

    def __str__(self) -> str:
        return (
            f"AnnealOnPlateau | patience: '{self.patience}', anneal_factor: '{self.factor}', "
            f"min_learning_rate: '{self.min_learning_rate}'"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs waited and the extra patience that is left."""
        return {"waited": self._waited, "extra_patience": self._extra_patience}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._waited, self._extra_patience = state["waited"], state["extra_patience"]

    def on_train_begin(self, state: TrainingState) -> None:
        """Reset the patience.

        Raises:
            SettingError: If there is not one lowest learning rate per parameter group.
        """
        self._waited, self._extra_patience = 0, self.initial_extra_patience
        self._lowest_rates(state)

    def on_evaluated(self, state: TrainingState) -> None:
        """Anneal the learning rate if the patience is exhausted."""
        self._waited = 0 if state.is_best else self._waited + 1
        if self._waited < self.patience + self._extra_patience:
            return
        self._waited, self._extra_patience, state.is_annealed = 0, 0, True
        state.goes_back = self.restarts
        groups = state.optimizer.param_groups
        for group in groups:
            group["lr"] *= self.factor
        if any(group["lr"] < lowest for group, lowest in zip(groups, self._lowest_rates(state), strict=True)):
            state.stop_reason = "learning rate too small - quitting training!"

    def _lowest_rates(self, state: TrainingState) -> Sequence[float]:
        count, lowest = len(state.optimizer.param_groups), self.min_learning_rate
        if not isinstance(lowest, tuple):
            return [lowest] * count
        if len(lowest) != count:
            raise SettingError(
                f"min_learning_rate must be a number or {count} of them, one per parameter group; it is {lowest}"
            )
        return lowest
