"""Batches of sentences as lists, in the manner of torch's `DataLoader`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.utils.data

from flairlite.data.sentence import Sentence
from flairlite.runtime import get_seed


class DataLoader(torch.utils.data.DataLoader[Sentence]):
    """Yields batches of sentences as lists, without worker processes.

    Args:
        dataset: The sentences.
        batch_size: Sentences per batch.
        shuffle: Whether each pass draws a new random order.
        sampler: As in torch's class.
        batch_sampler: As in torch's class.
        drop_last: Whether to leave out a last batch of fewer sentences.
        timeout: As in torch's class.
        worker_init_fn: As in torch's class.
        seed: Seed of the shuffling; the process's default seed when None. The global generators stay untouched.
    """

    def __init__(
        self,
        dataset: Sequence[Sentence],
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            dataset,  # type: ignore[arg-type]  # torch's Dataset needs only __getitem__ and __len__
            batch_size=batch_size,
            shuffle=shuffle,
            sampler=sampler,
            batch_sampler=batch_sampler,
            num_workers=0,
            collate_fn=list,
            drop_last=drop_last,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            generator=torch.Generator().manual_seed(get_seed(seed)),
        )
