"""A learning rate that rises, and then falls to nothing with the last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.checks import number
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState


class LinearSchedule(Callback):
    """Changes the learning rate of each step along two straight lines.

    Of N steps, W warm up: the rate is 1/W, 2/W ... of the first learning rate, and then falls, to 1/(N - W) of it in
    the last step. (In Flair the first step has a rate of 0, and changes nothing.)

    Args:
        warmup_fraction: W/N, from 0 to below 1.

    Raises:
        SettingError: If the fraction is not such a number.
    """

    schedules = True

    def __init__(self, *, warmup_fraction: float = 0.1) -> None:
        self.warmup_fraction: float = number(least=0, below=1)("warmup_fraction", warmup_fraction)
        self._step = self._num_steps = 0
        self._rates: list[float] = []

    def __str__(self) -> str:
        return f"LinearScheduler | warmup_fraction: '{self.warmup_fraction}'"

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the number of steps and the first learning rates."""
        return {"step": self._step, "num_steps": self._num_steps, "rates": self._rates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._step, self._num_steps, self._rates = state["step"], state["num_steps"], list(state["rates"])

    def on_train_begin(self, state: TrainingState) -> None:
        """Set the learning rates of the first step."""
        self._step, self._num_steps = 0, state.num_batches * state.max_epochs
        self._rates = [group["lr"] for group in state.optimizer.param_groups]
        self._set_rates(state)

    def on_batch_end(self, state: TrainingState) -> None:
        """Set the learning rates of the next step."""
        self._step += 1
        self._set_rates(state)

    def _set_rates(self, state: TrainingState) -> None:
        for group, rate in zip(state.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._factor()

    def _factor(self) -> float:
        warmup = int(self._num_steps * self.warmup_fraction)
        if self._step < warmup:
            return (self._step + 1) / warmup
        left = max(1, self._num_steps - self._step)  # epochs may have some batches more than expected
        return left / max(1, self._num_steps - warmup)
