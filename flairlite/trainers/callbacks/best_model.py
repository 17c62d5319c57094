"""Keep the best model of a run, in memory and in best-model.pt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flairlite.models import Model
from flairlite.storage.run_files import BEST_MODEL
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class BestModel(Callback):
    """Saves the model whenever an epoch is the best so far, and restores it at the end.

    During training the file lacks the fixed word vectors: writing tens of megabytes would take a tenth of a short
    epoch. However training ends, `complete` writes the whole model.

    Args:
        writes_file: Whether to write the file; in one of several processes that train together.
    """

    def __init__(self, *, writes_file: bool = True) -> None:
        self._writes_file = writes_file
        self._best: dict[str, Tensor] | None = None
        self._current: dict[str, Tensor] = {}  # the weights of the model itself, which training changes

    def state_dict(self) -> dict[str, Any]:
        """Return the best weights; the model's own tensors if they are equal, which a file then holds only once."""
        best, current = self._best, self._current
        is_current = best is not None and all(
            name in current and torch.equal(current[name], weight) for name, weight in best.items()
        )
        return {"weights": current if is_current else best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._best = state["weights"]

    def on_epoch_end(self, state: TrainingState) -> None:
        """Save the model if it is the best, or return to the best one after annealing."""
        if state.is_best:
            log.info("saving best model")
            self._current = dict(state.model.state_dict())
            self._best = _copy_weights(state.model)
            if self._writes_file:
                state.model.save(state.base_path / BEST_MODEL, whole=False)
        elif state.goes_back and self.restore(state):
            log.info("resetting to best model")

    def complete(self, state: TrainingState) -> None:
        """Write the best model with its word vectors, so that the file needs no other."""
        if self._best is not None and self._writes_file:
            last = _copy_weights(state.model)
            state.model.load_state_dict(self._best)
            state.model.save(state.base_path / BEST_MODEL)
            state.model.load_state_dict(last)

    def restore(self, state: TrainingState) -> bool:
        """Load the best weights into the model, and return whether there are any."""
        if self._best is None:
            return False
        state.model.load_state_dict(self._best)
        return True


def _copy_weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
