"""Learning rate schedules; a run has one of them, given as a plugin."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.checks import number
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState


class AnnealingPlugin(Annealing):
    """Reduces the learning rate when the dev score stops improving; the default of `train`.

    Args:
        base_path: Ignored; the run knows its best model.
        min_learning_rate: Training stops when the learning rate falls below this; a number, or one per parameter group.
        anneal_factor: The factor by which the learning rate is multiplied.
        patience: The number of consecutive epochs without a better score after which this happens.
        initial_extra_patience: The number of epochs added to the patience for the first reduction.
        anneal_with_restarts: Whether each reduction continues from the best model.

    Raises:
        SettingError: If an argument is out of range or has the wrong type.
    """

    def __init__(
        self,
        base_path: str | Path | None = None,
        min_learning_rate: float | Sequence[float] = 0.0001,
        anneal_factor: float = 0.5,
        patience: int = 3,
        initial_extra_patience: int = 0,
        anneal_with_restarts: bool = False,
    ) -> None:
        super().__init__(
            factor=anneal_factor,
            patience=patience,
            min_learning_rate=min_learning_rate,
            initial_extra_patience=initial_extra_patience,
            restarts=anneal_with_restarts,
        )


class StepSchedule(Callback, ABC):
    """Multiplies the learning rate of each parameter group by a factor that changes with each step.

    Of the N steps of a run, the first W warm up. N is computed when the run begins; a run that is resumed with a higher
    `max_epochs` keeps the last rate in the further epochs.

    Args:
        warmup_fraction: W/N, from 0 to below 1.

    Raises:
        SettingError: If the fraction is not such a number.
    """

    schedules = True

    def __init__(self, *, warmup_fraction: float) -> None:
        self.warmup_fraction: float = number(least=0, below=1)("warmup_fraction", warmup_fraction)
        self._step = self._num_steps = 0
        self._rates: list[float] = []

    def __str__(self) -> str:
        settings = ", ".join(f"{name}: '{value}'" for name, value in self.settings().items())
        return f"{type(self).__name__.removesuffix('Plugin')} | {settings}"

    def name_in_checkpoint(self) -> str:
        """Return the name with the settings, without which a resumed run would have other learning rates."""
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self.settings().items())})"

    def settings(self) -> dict[str, float]:
        """Return the settings by name."""
        return {"warmup_fraction": self.warmup_fraction}

    @abstractmethod
    def factor(self, step: int, num_steps: int) -> float:
        """Return the factor of a step, from 0 to below `num_steps`."""

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the number of steps and the learning rates of the groups."""
        return {"step": self._step, "num_steps": self._num_steps, "rates": self._rates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._step, self._num_steps, self._rates = state["step"], state["num_steps"], list(state["rates"])

    def on_train_begin(self, state: TrainingState) -> None:
        """Set the learning rates of the first step."""
        self._step, self._num_steps = 0, max(1, state.num_batches * state.max_epochs)
        self._rates = [group["lr"] for group in state.optimizer.param_groups]
        self._set_rates(state)

    def on_batch_end(self, state: TrainingState) -> None:
        """Set the learning rates of the next step."""
        self._step += 1
        self._set_rates(state)

    def _set_rates(self, state: TrainingState) -> None:
        step = min(self._step, self._num_steps - 1)  # epochs may have some batches more than expected
        factor = self.factor(step, self._num_steps)
        for group, rate in zip(state.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor


class LinearSchedulerPlugin(StepSchedule):
    """Increases the learning rate linearly during a warm-up, then decreases it to zero; the default of `fine_tune`.

    The rate is 1/W, 2/W ... of the learning rate, and then falls, to 1/(N - W) of it in the last step. (In Flair the
    first step has a rate of 0, and changes nothing.)

    Args:
        warmup_fraction: W/N, from 0 to below 1.

    Raises:
        SettingError: If the fraction is not such a number.
    """

    def __init__(self, warmup_fraction: float = 0.1) -> None:
        super().__init__(warmup_fraction=warmup_fraction)

    def factor(self, step: int, num_steps: int) -> float:
        """Return the factor of a step."""
        warmup = int(num_steps * self.warmup_fraction)
        if step < warmup:
            return (step + 1) / warmup
        return (num_steps - step) / (num_steps - warmup)


class CosineSchedulerPlugin(StepSchedule):
    """Decreases the learning rate along half a period of the cosine, after a linear warm-up.

    As torch's `CosineAnnealingLR` (Loshchilov and Hutter, SGDR, 2017, without restarts), with `T_max` = N - W; the rate
    warms up as in the linear schedule.

    Args:
        warmup_fraction: W/N, from 0 to below 1.

    Raises:
        SettingError: If the fraction is not such a number.
    """

    def __init__(self, warmup_fraction: float = 0.1) -> None:
        super().__init__(warmup_fraction=warmup_fraction)

    def factor(self, step: int, num_steps: int) -> float:
        """Return the factor of a step."""
        warmup = int(num_steps * self.warmup_fraction)
        if step < warmup:
            return (step + 1) / warmup
        return _interpolate(1, 0, (step - warmup) / (num_steps - warmup))


class OneCycleSchedulerPlugin(StepSchedule):
    """Increases the learning rate from a fraction of its value to the value, then decreases it to almost nothing.

    As torch's `OneCycleLR` with `pct_start=warmup_fraction` and `cycle_momentum=False` (Smith and Topin,
    Super-Convergence, 2018): both parts follow half a period of the cosine. The learning rate of the run is the
    highest one, and should be larger than that of another schedule.

    Args:
        warmup_fraction: W/N, from 0 to below 1.
        div_factor: The learning rate divided by that of the first step.
        final_div_factor: The rate of the first step divided by that of the last one.

    Raises:
        SettingError: If an argument is not a number, or out of range.
    """

    def __init__(
        self, warmup_fraction: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 10000.0
    ) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
        self.div_factor: float = number(least=1)("div_factor", div_factor)
        self.final_div_factor: float = number(least=1)("final_div_factor", final_div_factor)

    def settings(self) -> dict[str, float]:
        """Return the settings by name."""
        return {**super().settings(), "div_factor": self.div_factor, "final_div_factor": self.final_div_factor}

    def factor(self, step: int, num_steps: int) -> float:
        """Return the factor of a step."""
        first = 1 / self.div_factor
        peak, last = num_steps * self.warmup_fraction - 1, num_steps - 1  # of steps; the peak is between two of them
        if step < peak:
            return _interpolate(first, 1, step / peak)
        return _interpolate(1, first / self.final_div_factor, (step - peak) / (last - peak))


def _interpolate(start: float, end: float, part: float) -> float:
    """Return the value at a part of the way from `start` to `end`, from 0 to 1, along half a period of the cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
