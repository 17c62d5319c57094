"""Averages of the weights of several steps or epochs, which generalize better than the last weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.checks import number, shown
from flairlite.errors import SettingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class WeightAveragePlugin(Callback):
    """Base class of plugins that average weights: the average is evaluated and saved, and training is left as it is.

    From the end of an epoch's last step to the start of the next epoch, and after training, the model has the average;
    in between, it has the weights that the optimizer changes. Checkpoints contain both. Only weights that are trained
    are averaged, so that there is no copy of fixed word vectors. Training calls this callback before all others.
    """

    def __init__(self) -> None:
        self._weights: list[nn.Parameter] = []
        self._averages: list[Tensor] = []  # of the weights; or the weights, while the model has the averages
        self._count = 0  # updates of the averages
        self._is_swapped = False

    def state_dict(self) -> dict[str, Any]:
        """Return the averages (or the weights, if the model has the averages) and the number of their updates."""
        return {"averages": self._averages, "count": self._count, "is_swapped": self._is_swapped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        pairs = zip(state["averages"], self._weights, strict=False)  # no averages before the first update
        self._averages = [average.to(weight.device) for average, weight in pairs]
        self._count, self._is_swapped = state["count"], state["is_swapped"]

    def on_train_begin(self, state: TrainingState) -> None:
        """Begin without an average."""
        self._weights = [weight for weight in state.model.parameters() if weight.requires_grad]
        self.reset()

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Give the model the weights before the evaluation."""
        self._swap(to_averages=False)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Give the model the average, for the evaluation."""
        self._swap(to_averages=True)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Begin without an average, if annealing restores the best model."""
        if state.goes_back:
            self.reset()

    def on_train_end(self, state: TrainingState) -> None:
        """Give the model the average, which is the result."""
        self._swap(to_averages=True)

    def reset(self) -> None:
        """Forget the average; the model keeps the weights that it has."""
        self._averages, self._count, self._is_swapped = [], 0, False

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Multiply the average by `decay` and add the current weights multiplied by 1 - `decay`."""
        if not self._count:
            self._averages = [weight.detach().clone() for weight in self._weights]
        else:
            for average, weight in zip(self._averages, self._weights, strict=True):
                average.lerp_(weight, 1 - decay)
        self._count += 1

    @torch.no_grad()
    def _swap(self, *, to_averages: bool) -> None:
        """Exchange weights and averages, unless the model has the wanted ones, or there is no average yet."""
        if not self._count or self._is_swapped == to_averages:
            return
        for average, weight in zip(self._averages, self._weights, strict=True):
            previous = weight.clone()
            weight.copy_(average)
            average.copy_(previous)
        self._is_swapped = to_averages


class EMAPlugin(WeightAveragePlugin):
    """Averages the weights of all steps, with exponentially decreasing shares of earlier ones.

    After t updates, the decay is the smaller one of `decay` and (1 + t) / (10 + t), so that the average of a short run
    soon forgets the initial weights (as TensorFlow's `ExponentialMovingAverage` with `num_updates`).

    Args:
        decay: The share of the previous average in the next one, from 0 to below 1.

    Raises:
        SettingError: If `decay` is not such a number.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        self.decay: float = number(least=0, below=1)("decay", decay)

    def __str__(self) -> str:
        return f"EMA | decay: '{self.decay}'"

    def name_in_checkpoint(self) -> str:
        """Return the name with the decay, without which a resumed run would have another result."""
        return f"{type(self).__name__}(decay={self.decay})"

    def on_batch_end(self, state: TrainingState) -> None:
        """Add the weights after a step to the average."""
        self.update(min(self.decay, (1 + self._count) / (10 + self._count)))


class SWAPlugin(WeightAveragePlugin):
    """Averages the weights at the end of the last epochs, with equal shares: stochastic weight averaging.

    A constant learning rate (`attach_default_scheduler=False`), or one that does not fall to zero, makes the epochs
    different enough to gain from it (Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, 2018).

    Args:
        start: The first epoch to average: its number, from 1, or a float for a part of `max_epochs`, such as 0.75 for
            the last quarter of the epochs.

    Raises:
        SettingError: If `start` is neither a whole number of at least 1 nor a float from 0 to below 1.
    """

    def __init__(self, start: float = 0.75) -> None:
        super().__init__()
        checked: float = number(least=0)("start", start)
        if not checked < 1 and not (isinstance(checked, int) and checked):
            raise SettingError(
                "start must be an epoch, from 1, or a float from 0 to below 1, a part of max_epochs; it is "
                f"{shown(start)}"
            )
        self.start = checked

    def __str__(self) -> str:
        return f"SWA | start: '{self.start}'"

    def name_in_checkpoint(self) -> str:
        """Return the name with the start, without which a resumed run would have another result."""
        return f"{type(self).__name__}(start={self.start})"

    def on_train_begin(self, state: TrainingState) -> None:
        """Begin without an average, with a warning if the run ends before there is one."""
        if self.start > state.max_epochs:
            log.warning("SWAPlugin(start=%s) averages nothing: the run has %s epochs", self.start, state.max_epochs)
        super().on_train_begin(state)

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Add the weights after an epoch to the average, and give the model the average."""
        first = self.start if self.start >= 1 else 1 + int(self.start * state.max_epochs)
        if state.epoch < first:
            self.reset()  # a run that is resumed with a higher max_epochs begins the average again
        else:
            self.update(self._count / (self._count + 1))
        super().on_epoch_trained(state)
