"""The base class of callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flairlite.trainers.state import TrainingState


class Callback:
    """Hooks of a training run; each does nothing unless it is overridden.

    A resumed run calls `on_train_begin` like a new one, then `load_state_dict`, and continues from the checkpoint. So
    everything that a callback counts or keeps must be in its `state_dict`, for a resumed run to be the same as one that
    was never interrupted. The optimizer's learning rates are saved with the optimizer.
    """

    schedules: ClassVar[bool] = False  # whether it changes the learning rate; it replaces the default annealing then
    only_in_main_process: ClassVar[bool] = False  # of several that train together, because it writes files or messages

    def on_train_begin(self, state: TrainingState) -> None:
        """Called before the first epoch, and before a resumed run continues (`state.is_resumed`)."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Called before the first batch of an epoch; not again if an epoch is resumed."""

    def on_batch_begin(self, state: TrainingState) -> None:
        """Called before a batch; `state.indices` are the positions of its sentences."""

    def on_backward_end(self, state: TrainingState) -> None:
        """Called after the gradients of a batch are computed, before they are clipped and the optimizer steps."""

    def on_batch_end(self, state: TrainingState) -> None:
        """Called after each step of the optimizer. Reading from the device here makes training wait for it."""

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Called after the last batch of an epoch, before the evaluation."""

    def on_evaluated(self, state: TrainingState) -> None:
        """Called after the evaluation of an epoch; `state.is_best` is set."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """Called at the end of an epoch, whose results are in the history."""

    def on_train_end(self, state: TrainingState) -> None:
        """Called after the last epoch, also if training was interrupted."""

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Called last, after the final evaluation or after an error. Release resources here."""

    def __str__(self) -> str:
        return type(self).__name__

    def name_in_checkpoint(self) -> str:
        """Return the name by which a resumed run recognises the callback."""
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        """Return the state to save in checkpoints: dict, list, tuple, str, numbers, None and tensors.

        Called between two steps or epochs. The state is written at once, so that no copy is needed.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned; tensors are on the CPU."""


class Absent(Callback):
    """Does nothing in the position of a callback that only the main process calls.

    Args:
        callback: The callback.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def name_in_checkpoint(self) -> str:
        """Return the name of the callback."""
        return self._callback.name_in_checkpoint()
