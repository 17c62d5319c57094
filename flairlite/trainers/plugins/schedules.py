"""Learning rate schedules under Flair's names and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.linear_schedule import LinearSchedule


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


class LinearSchedulerPlugin(LinearSchedule):
    """Increases the learning rate linearly during a warm-up, then decreases it to zero; the default of `fine_tune`.

    Args:
        warmup_fraction: The fraction of all steps in which the learning rate increases, from 0 to below 1.

    Raises:
        SettingError: If the fraction is out of range or not a number.
    """

    def __init__(self, warmup_fraction: float = 0.1) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
