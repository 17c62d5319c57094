"""history.jsonl: the results of each epoch as a line of JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flairlite.metrics import FIGURES, Result
from flairlite.storage.atomic import atomic_write
from flairlite.storage.run_files import HISTORY
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.process.memory import peak_memory
from flairlite.trainers.state import TrainingState


class HistoryFile(Callback):
    """Writes history.jsonl.

    Each line is an object with the keys `epoch`, `finished` (the time), `train_loss`, `learning_rates` (of each
    parameter group when the epoch began), `is_best`, `bad_epochs`, `words`, `words_per_second` (in training), `seconds`
    (of `training` and `evaluation`), `peak_memory` (in bytes, of the process so far) and, for each split evaluated,
    `dev`, `test` or `train_sample` with `loss`, `score` (the main score), `precision`, `recall`, `f1-score` (micro
    averages) and `accuracy`. A value that is not finite is null.
    """

    only_in_main_process = True

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._rates: list[float] = []
        self._training_seconds = self._evaluation_started = 0.0
        self._evaluation_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the lines, and the learning rates of the current epoch."""
        return {"lines": self._lines, "rates": self._rates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._lines, self._rates = list(state["lines"]), list(state["rates"])

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Keep the learning rates."""
        self._rates = [float(group["lr"]) for group in state.optimizer.param_groups]

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Keep the duration of training."""
        self._training_seconds = state.epoch_seconds
        self._evaluation_started = time.monotonic()

    def on_evaluated(self, state: TrainingState) -> None:
        """Keep the duration of the evaluation."""
        self._evaluation_seconds = time.monotonic() - self._evaluation_started

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write a line."""
        splits = {"dev": state.dev, "test": state.test, "train_sample": state.train_sample}
        values = {
            "epoch": state.epoch,
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
            "train_loss": _finite(state.train_loss),
            "learning_rates": self._rates,
            "is_best": state.is_best,
            "bad_epochs": state.bad_epochs,
            "words": state.num_words,
            "words_per_second": state.num_words / max(self._training_seconds, 1e-9),
            "seconds": {"training": self._training_seconds, "evaluation": self._evaluation_seconds},
            "peak_memory": peak_memory(state.model.device),
            **{name: _scores(result) for name, result in splits.items() if result is not None},
        }
        self._lines.append(json.dumps(values, allow_nan=False))
        with atomic_write(state.base_path / HISTORY) as file:
            file.writelines(f"{line}\n".encode() for line in self._lines)


def _scores(result: Result) -> dict[str, float | None]:
    micro = result.classification_report["micro avg"]
    figures = {name: _finite(micro[name]) for name in FIGURES}
    return {
        "loss": _finite(result.loss),
        "score": _finite(result.main_score),
        **figures,
        "accuracy": _finite(result.accuracy),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
