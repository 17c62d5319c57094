"""The order in which an epoch visits the sentences, in batches."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from flairlite.batching import MAX_TOKENS, bucketed_batches, even_batches, ordered_batches, plain_batches
from flairlite.checks import positions, shown
from flairlite.errors import SettingError
from flairlite.samplers import FlairSampler

log = logging.getLogger("flairlite")


class BatchOrder:
    """Draws the batches of one epoch after the other.

    Args:
        lengths: (S,) words per sentence.
        batch_size: The largest number of sentences per batch; the average, if `bucketing` and `by_word`.
        seed: The seed of the order.
        shuffle: Whether to draw a new order for each epoch.
        shuffle_first: Whether to do so for the first epoch too.
        bucketing: Whether to put sentences of similar length together when shuffling.
        by_word: Whether words are labelled; batches of long sentences are smaller then.
        max_tokens: The largest number of words and padding per batch.
        sampler: Yields the positions of the sentences of an epoch, and replaces shuffling; also bucketing, unless it is
            one of flairlite's whose order does not matter (`is_ordered`).
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
        max_tokens: int = MAX_TOKENS,
        sampler: Sampler[int] | None = None,
    ) -> None:
        self._lengths, self._batch_size, self._sampler = lengths, batch_size, sampler
        self._shuffle, self._shuffle_first = shuffle, shuffle_first
        self._max_tokens = max_tokens
        self._make = (even_batches if by_word else bucketed_batches) if bucketing else plain_batches
        self._generator = torch.Generator().manual_seed(seed)
        self._state_before = self._generator.get_state()  # of the generator, before the last epoch was drawn
        self._sampled = torch.zeros(0, dtype=torch.int64)  # positions that the sampler yielded for the epoch

    @property
    def expected_length(self) -> int:
        """The expected number of batches per epoch; very long sentences may make it slightly different."""
        count = int(self._lengths.count_nonzero())  # sentences without words are in no batch
        if isinstance(self._sampler, FlairSampler):
            count = round(len(self._sampler) * count / max(1, len(self._lengths)))
        elif self._sampler is not None:
            count = _length_of(self._sampler)
        return -(-count // self._batch_size)

    def draw(self, epoch: int, *, again: bool = False) -> list[Tensor]:
        """Return the positions of the sentences of each batch of an epoch.

        Args:
            epoch: The epoch, from 1.
            again: Whether the epoch is resumed, so that its order was drawn before.

        Raises:
            SettingError: If the sampler yields anything but positions of sentences, or none of a sentence with words.
        """
        self._state_before = self._generator.get_state()
        if self._sampler is not None:
            if not again:
                found = positions("sampler", self._sampler, len(self._lengths))
                self._sampled = torch.tensor(found, dtype=torch.int64)  # (N,)
            batches = self._batch_sampled()
            if not batches:
                raise SettingError("sampler must yield the position of at least one sentence that has words")
            return batches
        if self._shuffle and (self._shuffle_first or epoch > 1):
            return self._make(self._lengths, self._batch_size, generator=self._generator, max_tokens=self._max_tokens)
        return plain_batches(self._lengths, self._batch_size, max_tokens=self._max_tokens)

    def _batch_sampled(self) -> list[Tensor]:
        if getattr(self._sampler, "is_ordered", True):
            return ordered_batches(self._sampled, self._lengths, self._batch_size, max_tokens=self._max_tokens)
        batches = self._make(
            self._lengths[self._sampled], self._batch_size, generator=self._generator, max_tokens=self._max_tokens
        )
        return [self._sampled[batch] for batch in batches]

    def state_dict(self, *, is_in_epoch: bool) -> dict[str, Any]:
        """Return the state from which to draw: within an epoch the state before its order was drawn."""
        state = {"generator": self._state_before if is_in_epoch else self._generator.get_state()}
        sampler = self._sampler.state_dict() if isinstance(self._sampler, FlairSampler) else None
        return {**state, "drawn": self._sampled, "sampler": sampler}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._generator.set_state(state["generator"])
        self._sampled = state["drawn"]
        if isinstance(self._sampler, FlairSampler):
            self._sampler.load_state_dict(state["sampler"])
        elif self._sampler is not None and not isinstance(self._sampler, Sequence):
            log.warning(
                "%s is no FlairSampler, so checkpoints lack its state: the resumed run may draw other sentences than "
                "an uninterrupted one",
                type(self._sampler).__name__,
            )


def make_sampler(sampler: Any) -> Sampler[int] | None:
    """Return a sampler for the argument of `train`: a sampler, or a class of samplers, or None.

    Raises:
        SettingError: If it is neither of them, or the class needs arguments.
    """
    if isinstance(sampler, type) and issubclass(sampler, Iterable):
        try:
            sampler = sampler()
        except TypeError as error:
            raise SettingError(f"sampler {sampler.__name__} needs arguments; give an object: {error}") from error
    if sampler is not None and (isinstance(sampler, (type, str, bytes, Mapping)) or not isinstance(sampler, Iterable)):
        raise SettingError(
            f"sampler must be a sampler such as those of flairlite.samplers, or its class; it is {shown(sampler)}"
        )
    if sampler is not None:
        _length_of(sampler)
    return sampler  # type: ignore[return-value]  # any iterable with a length will do


def describe_sampler(sampler: Sampler[int]) -> str:
    """Return a text by which a resumed run recognises its sampler."""
    options = sampler.options() if isinstance(sampler, FlairSampler) else {}
    return f"{type(sampler).__name__}({', '.join(f'{name}={value!r}' for name, value in options.items())})"


def _length_of(sampler: Any) -> int:
    if not isinstance(sampler, Sized):
        raise SettingError("sampler must have a length, the number of positions that it yields: give it a __len__")
    return len(sampler)
