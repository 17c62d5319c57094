"""What happens beside training: callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flairlite.trainers.state import TrainingState


class Callback:
    """Hooks of a training run; each does nothing unless it is overridden.

    A run that is resumed calls `on_train_begin` as a new one does, and then `load_state_dict`, and goes on where it
    was. What a callback counts or keeps must therefore be in its `state_dict`, if a resumed run is to be the same as
    one that was never interrupted. The learning rates that the optimizer has are saved with the optimizer.
    """

    schedules: ClassVar[bool] = False  # whether it changes the learning rate: then the default annealing stays away

    def on_train_begin(self, state: TrainingState) -> None:
        """Before the first epoch, and before a resumed run goes on: `state.is_resumed` tells."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Before the first batch of an epoch; not once more where an epoch is resumed."""

    def on_batch_begin(self, state: TrainingState) -> None:
        """Before a batch, whose sentences `state.indices` names."""

    def on_backward_end(self, state: TrainingState) -> None:
        """When the gradients of a batch are there: before they are clipped and the optimizer makes its step."""

    def on_batch_end(self, state: TrainingState) -> None:
        """After each step of the optimizer; read nothing from the device here, or training waits for it."""

    def on_epoch_trained(self, state: TrainingState) -> None:
        """After the last batch of an epoch, before the evaluation."""

    def on_evaluated(self, state: TrainingState) -> None:
        """After the evaluation of an epoch, which is judged: `state.is_best` tells."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After all that belongs to an epoch; its figures are in the history."""

    def on_train_end(self, state: TrainingState) -> None:
        """After the last epoch, also when training was interrupted."""

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Last of all, behind the final evaluation or behind the error that ended training: close what is open."""

    def __str__(self) -> str:
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep, as tensors and plain containers: dict, list, tuple, str, numbers, None.

        It is called between two steps or two epochs, and need not be a copy: it is written at once.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned when the checkpoint was written, tensors being on the CPU."""
