"""Which sentences make a batch: those of about the same length, so that little of it is padding."""

from __future__ import annotations

import torch
from torch import Tensor

from flairlite.errors import SettingError

MAX_TOKENS = 16384  # words and padding of a batch: 32 sentences of 512 words
_WINDOW = 50  # batches: long enough that a bucket is even, short enough that the order stays random


def bucketed_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator | None = None, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Put sentences of about the same length together.

    With a generator, the sentences are mixed, sorted by length inside windows of 50 batches, and the batches are mixed:
    each time other sentences meet. Without one, all are sorted, which pads least.

    Args:
        lengths: (S,) words a sentence; sentences without words are left out.
        batch_size: Sentences a batch, at most.
        generator: Decides the order.
        max_tokens: Words and padding a batch, at most; a longer sentence is a batch of its own.

    Returns:
        Positions of the sentences, (B,) a batch; each sentence that has words once.

    Raises:
        SettingError: when `batch_size` is less than 1.
    """
    _check(batch_size)
    order = _with_words(lengths)
    if len(order) <= 1:
        return [order] if len(order) else []
    if generator is not None:
        order = order[torch.randperm(len(order), generator=generator)]
    size = batch_size * _WINDOW if generator is not None else max(1, len(order))
    batches: list[Tensor] = []
    for window in torch.split(order, size):
        batches.extend(_cut(_by_length(window, lengths), lengths, batch_size, max_tokens))
    return batches if generator is None else _mixed(batches, generator)


def even_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Put sentences of about the same length together, the fewer the longer they are.

    In batches of as many sentences each, words of long sentences would teach less than others: where the norm of the
    gradient is clipped, a step on them is worth no more. In batches of as many words each, long sentences would be too
    few for the processor. Between the two, the size falls with the square root of the length. See `bucketed_batches`;
    `batch_size` is how many sentences a batch has on average, and one alone where it is 1.
    """
    _check(batch_size)
    if batch_size == 1:
        return bucketed_batches(lengths, 1, generator=generator, max_tokens=max_tokens)
    order = _with_words(lengths)
    order = order[torch.randperm(len(order), generator=generator)]
    batches: list[Tensor] = []
    for window in torch.split(order, batch_size * _WINDOW):
        by_length = _by_length(window, lengths)
        weights = lengths[by_length].double().sqrt()
        ends = weights.cumsum(0)  # (W,)
        count = -(-len(window) // batch_size)
        number = ((ends - weights) * count / ends[-1:]).long()  # of the batch of each sentence; rises from 0
        parts = torch.split(by_length, torch.bincount(number).tolist())
        batches.extend(piece for part in parts for piece in _cut(part, lengths, max(1, len(part)), max_tokens))
    return _mixed(batches, generator)


def plain_batches(
    lengths: Tensor, batch_size: int, *, generator: torch.Generator | None = None, max_tokens: int = MAX_TOKENS
) -> list[Tensor]:
    """Put sentences together in their order, or in a random one with a generator; see `bucketed_batches`."""
    _check(batch_size)
    order = _with_words(lengths)
    if generator is not None:
        order = order[torch.randperm(len(order), generator=generator)]
    return _cut(order, lengths, batch_size, max_tokens)


def ordered_batches(order: Tensor, lengths: Tensor, batch_size: int, *, max_tokens: int = MAX_TOKENS) -> list[Tensor]:
    """Put sentences together in a given order, (N,) positions in which each may be several times or not at all."""
    _check(batch_size)
    return _cut(order[lengths[order] > 0], lengths, batch_size, max_tokens)


def _check(batch_size: int) -> None:
    if batch_size < 1:
        raise SettingError(f"batch_size must be at least 1; it is {batch_size}")


def _by_length(window: Tensor, lengths: Tensor) -> Tensor:
    return window[torch.sort(lengths[window], stable=True).indices]


def _mixed(batches: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    return [batches[position] for position in torch.randperm(len(batches), generator=generator).tolist()]


def _with_words(lengths: Tensor) -> Tensor:
    return lengths.nonzero().squeeze(1)


def _cut(order: Tensor, lengths: Tensor, batch_size: int, max_tokens: int) -> list[Tensor]:
    batches: list[Tensor] = []
    for batch in torch.split(order, batch_size):
        width = int(lengths[batch].max()) if len(batch) else 0
        if width * len(batch) <= max_tokens:
            batches.append(batch)
        else:
            batches.extend(_cut_by_tokens(batch, lengths, max_tokens))
    return [batch for batch in batches if len(batch)]


def _cut_by_tokens(batch: Tensor, lengths: Tensor, max_tokens: int) -> list[Tensor]:
    parts: list[list[int]] = [[]]
    width = 0
    for position, length in zip(batch.tolist(), lengths[batch].tolist(), strict=True):
        width = max(width, length)
        if parts[-1] and width * (len(parts[-1]) + 1) > max_tokens:
            parts.append([])
            width = length
        parts[-1].append(position)
    return [torch.tensor(part, dtype=torch.int64) for part in parts]
