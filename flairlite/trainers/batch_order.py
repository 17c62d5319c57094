"""In which batches an epoch visits the sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from flairlite.batching import bucketed_batches, even_batches, ordered_batches, plain_batches
from flairlite.errors import SettingError
from flairlite.samplers import FlairSampler


class BatchOrder:
    """Draws the batches of one epoch after the other.

    Args:
        lengths: (S,) words a sentence.
        batch_size: Sentences a batch, at most; on average in buckets of which words are learned.
        seed: Decides the order.
        shuffle: Draw a new order for each epoch; else sentences come in the order they have.
        shuffle_first: Do so for the first epoch too.
        bucketing: When shuffling, put sentences of about the same length together.
        by_word: Whether words are learned from: buckets of long sentences are smaller then.
        sampler: Yields the positions of the sentences of an epoch, in place of all this.
    """

    def __init__(
        self,
        lengths: Tensor,
        batch_size: int,
        seed: int,
        *,
        shuffle: bool,
        shuffle_first: bool = True,
        bucketing: bool,
        by_word: bool = False,
        sampler: Sampler[int] | None = None,
    ) -> None:
        self._lengths, self._batch_size, self._sampler = lengths, batch_size, sampler
        self._shuffle, self._shuffle_first = shuffle, shuffle_first
        self._make = (even_batches if by_word else bucketed_batches) if bucketing else plain_batches
        self._generator = torch.Generator().manual_seed(seed)
        self._before = self._generator.get_state()
        self._drawn = torch.zeros(0, dtype=torch.int64)  # what the sampler gave for the epoch

    @property
    def expected_length(self) -> int:
        """Batches of an epoch; very long sentences may make it some more, or fewer."""
        count = int(self._lengths.count_nonzero()) if self._sampler is None else _size(self._sampler)
        return -(-count // self._batch_size)

    def draw(self, epoch: int, *, again: bool = False) -> list[Tensor]:
        """Return positions of the sentences of each batch of an epoch, from 1.

        Args:
            epoch: The epoch.
            again: It is a resumed one, whose order was drawn before.
        """
        if self._sampler is not None:
            if not again:
                self._drawn = torch.tensor(list(self._sampler), dtype=torch.int64)  # (N,)
            return ordered_batches(self._drawn, self._lengths, self._batch_size)
        self._before = self._generator.get_state()
        if self._shuffle and (self._shuffle_first or epoch > 1):
            return self._make(self._lengths, self._batch_size, generator=self._generator)
        return plain_batches(self._lengths, self._batch_size)

    def state_dict(self, *, is_in_epoch: bool) -> dict[str, Any]:
        """Return from where to draw: the last order once more when its epoch is not over, else the next one."""
        state = {"generator": self._before if is_in_epoch else self._generator.get_state(), "drawn": self._drawn}
        sampler = self._sampler.state_dict() if isinstance(self._sampler, FlairSampler) else None
        return {**state, "sampler": sampler}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Draw from where `state_dict` was called."""
        self._generator.set_state(state["generator"])
        self._drawn = state["drawn"]
        if isinstance(self._sampler, FlairSampler):
            self._sampler.load_state_dict(state["sampler"])


def _size(sampler: Sampler[int]) -> int:
    if not isinstance(sampler, Sized):
        raise SettingError("a sampler must have a length, the number of positions that it yields: give it a __len__")
    return len(sampler)
