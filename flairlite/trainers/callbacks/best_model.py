"""Keep the best model of a run, in memory and in best-model.pt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.process.run_folder import BEST_MODEL
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class BestModel(Callback):
    """Saves the model whenever an epoch is the best yet, and gives it back at the end.

    While training goes on, the file has no word vectors in it, which do not change: writing some tens of megabytes
    takes a tenth of a short epoch. However training ends, `complete` puts them in.
    """

    def __init__(self) -> None:
        self._state: dict[str, Tensor] | None = None
        self._current: dict[str, Tensor] = {}  # the weights of the model itself, as training goes on

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of the best model; where it is the present one, its own, which a file then has once."""
        best, current = self._state, self._current
        is_current = best is not None and all(
            name in current and torch.equal(current[name], weight) for name, weight in best.items()
        )
        return {"weights": current if is_current else best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the best model of before: a worse one does not take its place."""
        self._state = state["weights"]

    def on_epoch_end(self, state: TrainingState) -> None:
        """Save the model when it is the best, or go back to the best one."""
        if state.is_best:
            log.info("saving best model")
            self._current = dict(state.model.state_dict())
            self._state = {name: tensor.detach().clone() for name, tensor in self._current.items()}
            state.model.save(state.base_path / BEST_MODEL, whole=False)
        elif state.goes_back and self.restore(state):
            log.info("resetting to best model")

    def complete(self, state: TrainingState) -> None:
        """Write the best model whole: finished files need no other."""
        if self._state is not None:
            last = {name: tensor.detach().clone() for name, tensor in state.model.state_dict().items()}
            state.model.load_state_dict(self._state)
            state.model.save(state.base_path / BEST_MODEL)
            state.model.load_state_dict(last)

    def restore(self, state: TrainingState) -> bool:
        """Put the weights of the best model into the model, and tell whether there was one."""
        if self._state is None:
            return False
        state.model.load_state_dict(self._state)
        return True
