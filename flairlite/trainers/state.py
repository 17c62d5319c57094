"""The state of a training run: its position and its results so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.metrics import Result
from flairlite.models import Model


@dataclass
class History:
    """The results of a training run, one entry per epoch."""

    learning_rates: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    dev_losses: list[float] = field(default_factory=list)
    dev_scores: list[float] = field(default_factory=list)
    test_scores: list[float] = field(default_factory=list)


# saved in checkpoints; all other fields are given again, or belong to an epoch that has been evaluated
_COUNTS = ("epoch", "iteration", "num_batches", "num_words", "num_labels", "epoch_learning_rate", "bad_epochs")
_SAVED = (*_COUNTS, "best_score", "is_in_epoch", "stop_reason", "loss_sum")


@dataclass
class TrainingState:
    """The state of a training run, as callbacks see it. All figures are those of the current or last epoch.

    Attributes:
        model: The model.
        optimizer: Its optimizer.
        base_path: The folder of the run.
        max_epochs: The largest number of epochs.
        sentences: The training data.
        num_batches: Batches per epoch; an estimate before the first epoch.
        epoch: The epoch, from 1.
        iteration: The batch within the epoch, from 1.
        num_words: Words seen in this epoch.
        num_labels: Labelled words seen in this epoch.
        loss_sum: Their summed loss, on the model's device; reading it waits for the device.
        epoch_learning_rate: The learning rate at the start of this epoch.
        indices: (B,) positions in `sentences` of the sentences of the batch.
        batch_loss: Their summed loss, on the model's device.
        gradient_norm: The norm of the gradients before clipping, on the model's device; None without clipping.
        epoch_started: The value of `time.perf_counter` at the start of this epoch.
        is_in_epoch: Whether the epoch has begun and its results are not in the history yet.
        is_resumed: Whether the run continues from a checkpoint.
        is_interrupted: Whether Ctrl-C or a plugin ended training.
        dev: The evaluation of the development split, or None.
        test: The evaluation of the test split if it is monitored, or None.
        train_sample: The evaluation of some training sentences if they are monitored, or None.
        best_score: The best score of all epochs.
        is_best: Whether this epoch's model is the best so far.
        is_annealed: Whether the learning rate was annealed after this epoch.
        goes_back: Whether to continue from the best model instead of this one.
        bad_epochs: Epochs in a row without a better score.
        stop_reason: Why training stops after this epoch, or None.
        history: The results of all epochs.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    base_path: Path
    max_epochs: int
    sentences: Sequence[Sentence] = ()
    num_batches: int = 0
    epoch: int = 0
    iteration: int = 0
    num_words: int = 0
    num_labels: int = 0
    loss_sum: Tensor = field(default_factory=lambda: torch.zeros(()))
    indices: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    batch_loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    gradient_norm: Tensor | None = None
    epoch_started: float = 0.0
    epoch_learning_rate: float = 0.0
    is_in_epoch: bool = False
    is_resumed: bool = False
    is_interrupted: bool = False
    dev: Result | None = None
    test: Result | None = None
    train_sample: Result | None = None
    best_score: float | None = None
    is_best: bool = False
    is_annealed: bool = False
    goes_back: bool = False
    bad_epochs: int = 0
    stop_reason: str | None = None
    history: History = field(default_factory=History)

    @property
    def learning_rate(self) -> float:
        """The current learning rate of the optimizer."""
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value

    @property
    def train_loss(self) -> float:
        """Mean loss per labelled word in this epoch so far; reading it waits for the device."""
        return float(self.loss_sum) / max(1, self.num_labels)

    @property
    def score(self) -> float:
        """The main score on dev, or the negative training loss without dev; higher is better."""
        return self.dev.main_score if self.dev is not None else -self.train_loss

    @property
    def is_at_tenth(self) -> bool:
        """Whether another tenth of the epoch's batches is complete; figures are logged then."""
        return self.iteration * 10 // self.num_batches > (self.iteration - 1) * 10 // self.num_batches

    @property
    def epoch_seconds(self) -> float:
        """Seconds since the start of the epoch."""
        return time.perf_counter() - self.epoch_started

    def begin_epoch(self) -> None:
        """Start the next epoch with all counts at zero."""
        self.epoch += 1
        self.iteration = self.num_words = self.num_labels = 0
        self.loss_sum = torch.zeros((), device=self.model.device)
        self.epoch_started = time.perf_counter()
        self.epoch_learning_rate = self.learning_rate
        self.dev = self.test = self.train_sample = None
        self.is_best = self.is_annealed = self.goes_back = False
        self.is_in_epoch = True

    def compare_with_best(self) -> None:
        """Compare the score of the epoch with the best score."""
        self.is_best = self.best_score is None or self.score > self.best_score
        self.bad_epochs = 0 if self.is_best else self.bad_epochs + 1
        if self.is_best:
            self.best_score = self.score

    def end_epoch(self) -> None:
        """Append the results of the epoch to the history."""
        self.history.learning_rates.append(self.epoch_learning_rate)
        self.history.train_losses.append(self.train_loss)
        if self.dev is not None:
            self.history.dev_losses.append(self.dev.loss)
            self.history.dev_scores.append(self.dev.main_score)
        if self.test is not None:
            self.history.test_scores.append(self.test.main_score)
        self.is_in_epoch = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state, except model and optimizer, as plain containers and tensors."""
        saved = {name: getattr(self, name) for name in _SAVED}
        return {**saved, "epoch_seconds": self.epoch_seconds, "history": asdict(self.history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name in _SAVED:
            setattr(self, name, state[name])
        self.loss_sum = self.loss_sum.to(self.model.device)
        self.epoch_started = time.perf_counter() - state["epoch_seconds"]
        self.history = History(**state["history"])
