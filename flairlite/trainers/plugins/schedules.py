"""What changes the learning rate, under Flair's names and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.linear_schedule import LinearSchedule


class AnnealingPlugin(Annealing):
    """Anneals against the score on dev, as `train` does unless it has another plugin for the learning rate.

    Args:
        base_path: Not needed: the best model is had from the run.
        min_learning_rate: The lowest learning rate to train with.
        anneal_factor: What the learning rate is multiplied with.
        patience: Epochs in a row without a better score before that.
        initial_extra_patience: So many more epochs before the first time.
        anneal_with_restarts: Go on from the best model then.
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
    """Warms up and then falls to nothing, as in `fine_tune`.

    Args:
        warmup_fraction: The part of all steps in which the learning rate rises.
    """

    def __init__(self, warmup_fraction: float = 0.1) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
