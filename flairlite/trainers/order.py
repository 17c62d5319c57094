"""In which batches an epoch visits the sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches, plain_batches


class BatchOrder:
    """Draws the batches of one epoch after the other.

    Args:
        lengths: (S,) words a sentence.
        batch_size: Sentences a batch, at most.
        seed: Decides the order.
        shuffle: Draw a new order each time; else sentences come in the order they have.
        bucketing: When shuffling, put sentences of about the same length together.
    """

    def __init__(self, lengths: Tensor, batch_size: int, seed: int, *, shuffle: bool, bucketing: bool) -> None:
        self._lengths, self._batch_size = lengths, batch_size
        self._shuffle, self._bucketing = shuffle, bucketing
        self._generator = torch.Generator().manual_seed(seed)
        self._before = self._generator.get_state()

    @property
    def expected_length(self) -> int:
        """Batches of an epoch; very long sentences may make it some more."""
        return -(-int(self._lengths.count_nonzero()) // self._batch_size)

    def draw(self) -> list[Tensor]:
        """Return positions of the sentences of each batch of the next epoch."""
        self._before = self._generator.get_state()
        generator = self._generator if self._shuffle else None
        make = bucketed_batches if self._shuffle and self._bucketing else plain_batches
        return make(self._lengths, self._batch_size, generator=generator)

    def state_dict(self, *, is_in_epoch: bool) -> dict[str, Any]:
        """Return from where to draw: the last order once more when its epoch is not over, else the next one."""
        return {"generator": self._before if is_in_epoch else self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Draw from where `state_dict` was called."""
        self._generator.set_state(state["generator"])
