"""Stop a run whose loss is not a number any more, and name the sentences where that began."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.errors import TrainingError
from flairlite.trainers.state import TrainingState

_MOST_PENDING = 50  # steps after which losses are read from a device that must be waited for
_SHOWN = 60  # characters of a sentence


class LossWatch:
    """Looks at the loss of each batch; on the CPU before the weights are changed by it.

    Other devices would have to be waited for: there it looks at many batches at once.

    Args:
        run: The run.
        sentences: The sentences that it is trained on.
    """

    def __init__(self, state: TrainingState, sentences: Sequence[Sentence]) -> None:
        self._state, self._sentences = state, sentences
        self._pending: list[tuple[Tensor, Tensor]] = []

    def note(self, loss: Tensor, indices: Tensor) -> None:
        """Take the loss of the batch that comes behind `state.iteration`, and the positions of its sentences."""
        self._pending.append((loss.detach(), indices))
        if loss.device.type == "cpu" or len(self._pending) == _MOST_PENDING:
            self.check()

    def check(self) -> None:
        """Look at the losses that were not looked at yet.

        Raises:
            TrainingError: when one is not finite, with the sentences of the first such batch.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        losses = torch.stack([loss for loss, _ in pending]).tolist()  # waits for the device
        for loss, (_, indices) in zip(losses, pending, strict=True):
            if not math.isfinite(loss):
                raise _not_finite(self._state, loss, self._describe(indices))

    def _describe(self, indices: Tensor) -> str:
        lines = [
            f"  sentence {place + 1}: {_shorten(self._sentences[place].to_tokenized_string())}"
            for place in indices.tolist()
        ]
        return ", in this batch:\n" + "\n".join(lines) + "\n"


def check_finite(state: TrainingState, loss: float) -> None:
    """Stop a run whose loss is not a number any more, behind a batch or on dev.

    Raises:
        TrainingError: when it is not.
    """
    if not math.isfinite(loss):
        raise _not_finite(state, loss, f", behind batch {state.iteration} of {state.num_batches}. ")


def _not_finite(state: TrainingState, loss: float, place: str) -> TrainingError:
    return TrainingError(
        f"the loss became {loss} in epoch {state.epoch}{place}Lower the learning rate, which is "
        f"{state.epoch_learning_rate}, or look for what is wrong with these sentences. The best model and the last "
        "checkpoint are kept"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
