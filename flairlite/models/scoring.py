"""Run a model over a data set, batch by batch, when nothing is learned from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches
from flairlite.encoding import Batch, Dataset

if TYPE_CHECKING:
    from flairlite.models.model import Model

_GROUP_TOKENS = 8192  # words and padding whose scores are handed on together


def scored_batches(model: Model, dataset: Dataset, mini_batch_size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Compute the scores of all sentences that have words.

    A network is fastest with batches that fit into the processor's cache. What follows, such as the search for the best
    labels, takes a few small operations a word, which cost about the same for many sentences as for few. So the scores
    of several batches of about the same length are joined.

    Args:
        model: The model, in evaluation mode.
        dataset: The encoded sentences.
        mini_batch_size: Sentences computed at once.

    Yields:
        A batch, of at least `mini_batch_size` sentences if there are so many, and what `model.forward` returns for it.
    """
    batches = bucketed_batches(dataset.lengths, mini_batch_size)
    for group in _groups(batches, dataset.lengths):
        scored = [(batch, model(batch)) for batch in map(dataset.batch, group)]
        yield (
            scored[0] if len(scored) == 1 else (dataset.batch(torch.cat(group)), _joined([part for _, part in scored]))
        )


def _groups(batches: Sequence[Tensor], lengths: Tensor) -> Iterator[list[Tensor]]:
    """Put batches, sorted by length, together while they are small enough."""
    group: list[Tensor] = []
    size = 0
    for batch in batches:
        size += len(batch)
        if group and size * int(lengths[batch].max()) > _GROUP_TOKENS:
            yield group
            group, size = [], len(batch)
        group.append(batch)
    if group:
        yield group


def _joined(scores: Sequence[Tensor]) -> Tensor:
    """Join scores (B, T, K), each padded to the longest with zeros, or (B, K)."""
    if scores[0].dim() == 2:
        return torch.cat(list(scores))
    shape = (sum(map(len, scores)), max(part.shape[1] for part in scores), scores[0].shape[2])
    joined = scores[0].new_zeros(shape)
    for place, part in zip(torch.split(joined, list(map(len, scores))), scores, strict=True):
        place[:, : part.shape[1]] = part
    return joined
