"""Group sentences into batches, mostly by similar length, so that little of a batch is padding."""

from __future__ import annotations

import torch
from torch import Tensor

from flairlite.checks import whole_number

MAX_TOKENS = 16384  # words and padding per batch: 32 sentences of 512 words
_WINDOW = 50  # batches: enough for sentences of equal length, few enough for a random order
_check_size = whole_number(least=1)


def bucketed_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator | None = None, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Batch sentences of similar length.

    With a generator, the sentences are shuffled, sorted by length within windows of 50 batches, and the batches are
    shuffled, so that batches differ each time. Without one, all are sorted, which needs the least padding.

    Args:
        lengths: (S,) words per sentence; sentences without words are left out.
        batch_size: Maximum number of sentences per batch.
        generator: Source of randomness for the order.
        max_tokens: Maximum number of words and padding per batch; a longer sentence is a batch of its own.

    Returns:
        Indices of the sentences of each batch, (B,); each sentence with words occurs once.

    Raises:
        SettingError: If `batch_size` is less than 1.
    """
    batch_size = _check_size("batch_size", batch_size)
    order = _nonempty_indices(lengths)
    if len(order) <= 1:
        return [order] if len(order) else []
    if generator is not None:
        order = order[torch.randperm(len(order), generator=generator)]
    size = batch_size * _WINDOW if generator is not None else max(1, len(order))
    batches: list[Tensor] = []
    for window in torch.split(order, size):
        batches.extend(_split(_sort_by_length(window, lengths), lengths, batch_size, max_tokens))
    return batches if generator is None else _shuffle(batches, generator)


def even_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Batch sentences of similar length, fewer per batch the longer they are.

    With a fixed number of sentences per batch, words of long sentences would count less than others, because clipping
    limits the gradient of a step. With a fixed number of words, batches of long sentences would be too small to compute
    efficiently. As a compromise, the batch size falls with the square root of the length. `batch_size` is the mean
    number of sentences per batch; for 1, each batch is one sentence. See `bucketed_batches`.
    """
    batch_size = _check_size("batch_size", batch_size)
    if batch_size == 1:
        return bucketed_batches(lengths, 1, generator=generator, max_tokens=max_tokens)
    order = _nonempty_indices(lengths)
    order = order[torch.randperm(len(order), generator=generator)]
    batches: list[Tensor] = []
    for window in torch.split(order, batch_size * _WINDOW):
        by_length = _sort_by_length(window, lengths)
        weights = lengths[by_length].double().sqrt()
        ends = weights.cumsum(0)  # (W,)
        count = -(-len(window) // batch_size)
        batch_ids = ((ends - weights) * count / ends[-1:]).long()  # (W,), ascending from 0
        parts = torch.split(by_length, torch.bincount(batch_ids).tolist())
        batches.extend(piece for part in parts for piece in _split(part, lengths, max(1, len(part)), max_tokens))
    return _shuffle(batches, generator)


def plain_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator | None = None, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Batch sentences in their order, or in random order with a generator; see `bucketed_batches`."""
    batch_size = _check_size("batch_size", batch_size)
    order = _nonempty_indices(lengths)
    if generator is not None:
        order = order[torch.randperm(len(order), generator=generator)]
    return _split(order, lengths, batch_size, max_tokens)


def ordered_batches(order: Tensor, lengths: Tensor, batch_size: int, *, max_tokens: int = MAX_TOKENS) -> list[Tensor]:
    """Batch sentences in the order given, (N,) indices that may repeat or omit sentences; see `bucketed_batches`."""
    batch_size = _check_size("batch_size", batch_size)
    return _split(order[lengths[order] > 0], lengths, batch_size, max_tokens)


def _sort_by_length(window: Tensor, lengths: Tensor) -> Tensor:
    return window[torch.sort(lengths[window], stable=True).indices]


def _shuffle(batches: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


def _nonempty_indices(lengths: Tensor) -> Tensor:
    return lengths.nonzero().squeeze(1)


def _split(order: Tensor, lengths: Tensor, batch_size: int, max_tokens: int) -> list[Tensor]:
    batches: list[Tensor] = []
    for batch in torch.split(order, batch_size):
        width = int(lengths[batch].max()) if len(batch) else 0
        if width * len(batch) <= max_tokens:
            batches.append(batch)
        else:
            batches.extend(_split_by_tokens(batch, lengths, max_tokens))
    return [batch for batch in batches if len(batch)]


def _split_by_tokens(batch: Tensor, lengths: Tensor, max_tokens: int) -> list[Tensor]:
    parts: list[list[int]] = [[]]
    width = 0
    for index, length in zip(batch.tolist(), lengths[batch].tolist(), strict=True):
        width = max(width, length)
        if parts[-1] and width * (len(parts[-1]) + 1) > max_tokens:
            parts.append([])
            width = length
        parts[-1].append(index)
    return [torch.tensor(part, dtype=torch.int64) for part in parts]
