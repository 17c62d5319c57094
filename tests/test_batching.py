"""Batches contain each sentence once, respect their limits, and depend on the generator only."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from flairlite.batching import MAX_TOKENS, bucketed_batches, even_batches, plain_batches
from flairlite.errors import SettingError

Batches = Callable[..., list[Tensor]]

makers = pytest.mark.parametrize("make", [bucketed_batches, plain_batches])
random_makers = pytest.mark.parametrize("make", [bucketed_batches, even_batches, plain_batches])
lengths_of_all_kinds = st.lists(st.integers(0, 40) | st.sampled_from([0, 1, 7, 7, 500]), max_size=120)
seeds = st.none() | st.integers(0, 2**60)


def seeded(seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(seed)


def listed(batches: list[Tensor]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def corpus_lengths(size: int, *, seed: int = 0) -> Tensor:
    """Draw lengths like those of English sentences: most short, some long."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(size, generator=generator) * 0.7 + 2.6).exp().long().clamp(1, 150)


def waste(lengths: Tensor, batches: list[Tensor]) -> float:
    """Return the fraction of the padded batches that is padding."""
    positions = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1 - int(lengths.sum()) / positions


# content


@makers
@given(lengths=lengths_of_all_kinds, batch_size=st.integers(1, 20), seed=seeds, max_tokens=st.integers(1, 300))
@example(lengths=[], batch_size=3, seed=None, max_tokens=10)
@example(lengths=[], batch_size=3, seed=1, max_tokens=10)
@example(lengths=[0, 0], batch_size=1, seed=1, max_tokens=10)
@settings(max_examples=60)
def test_each_sentence_with_words_occurs_once(
    make: Batches, lengths: list[int], batch_size: int, seed: int | None, max_tokens: int
) -> None:
    batches = make(torch.tensor(lengths, dtype=torch.int64), batch_size, generator=seeded(seed), max_tokens=max_tokens)
    positions = [index for batch in listed(batches) for index in batch]
    assert sorted(positions) == [index for index, length in enumerate(lengths) if length]
    assert all(batch.dtype == torch.int64 and batch.dim() == 1 and len(batch) for batch in batches)


@makers
@given(lengths=lengths_of_all_kinds, batch_size=st.integers(1, 20), seed=seeds, max_tokens=st.integers(1, 300))
@settings(max_examples=60)
def test_no_batch_is_larger_than_allowed(
    make: Batches, lengths: list[int], batch_size: int, seed: int | None, max_tokens: int
) -> None:
    batches = make(torch.tensor(lengths, dtype=torch.int64), batch_size, generator=seeded(seed), max_tokens=max_tokens)
    for batch in listed(batches):
        assert len(batch) <= batch_size
        width = max(lengths[index] for index in batch)
        assert width * len(batch) <= max_tokens or len(batch) == 1


@makers
@pytest.mark.parametrize("seed", [None, 3])
def test_a_sentence_beyond_the_budget_is_a_batch_of_its_own(make: Batches, seed: int | None) -> None:
    assert MAX_TOKENS < 20_000
    lengths = torch.tensor([5, 20_000, 5, 5, 0, 20_000, 5])
    batches = listed(make(lengths, 32, generator=seeded(seed)))
    assert [1] in batches
    assert [5] in batches
    assert sorted(index for batch in batches for index in batch if index not in (1, 5)) == [0, 2, 3, 6]
    assert len(batches) < 6, "the others share batches"


@makers
def test_the_budget_counts_padding(make: Batches) -> None:
    lengths = torch.tensor([10, 10, 10, 10, 10])
    assert [len(batch) for batch in make(lengths, 4, max_tokens=40)] == [4, 1]
    assert [len(batch) for batch in make(lengths, 4, max_tokens=39)] == [3, 1, 1]
    assert [len(batch) for batch in make(lengths, 4, max_tokens=9)] == [1] * 5
    assert listed(plain_batches(torch.tensor([1, 30, 1, 1]), 4, max_tokens=60)) == [[0, 1], [2, 3]]


@makers
def test_there_are_no_more_batches_than_needed(make: Batches) -> None:
    lengths = corpus_lengths(1003)
    for seed in (None, 5):
        sizes = [len(batch) for batch in make(lengths, 10, generator=seeded(seed))]
        assert sorted(sizes) == [3, *[10] * 100]


@given(
    lengths=lengths_of_all_kinds,
    batch_size=st.integers(1, 20),
    seed=st.integers(0, 2**60),
    max_tokens=st.integers(1, 300),
)
@settings(max_examples=60)
def test_even_batches_hold_each_sentence_once_within_the_budget(
    lengths: list[int], batch_size: int, seed: int, max_tokens: int
) -> None:
    given_lengths = torch.tensor(lengths, dtype=torch.int64)
    batches = listed(even_batches(given_lengths, batch_size, generator=seeded(seed), max_tokens=max_tokens))
    assert sorted(index for batch in batches for index in batch) == [p for p, length in enumerate(lengths) if length]
    for batch in batches:
        width = max(lengths[index] for index in batch)
        assert width * len(batch) <= max_tokens or len(batch) == 1
        assert batch_size > 1 or len(batch) == 1


@pytest.mark.parametrize("seed", range(3))
def test_even_batches_are_the_smaller_the_longer_their_sentences(seed: int) -> None:
    lengths = corpus_lengths(32 * 40, seed=seed)
    batches = even_batches(lengths, 32, generator=seeded(seed))
    assert len(batches) == 40
    share, longest = float(lengths.sqrt().sum()) / 40, float(lengths.max()) ** 0.5
    for batch in batches:
        assert abs(float(lengths[batch].sqrt().sum()) - share) <= longest
    assert waste(lengths, batches) < 0.15
    by_width = sorted(batches, key=lambda batch: int(lengths[batch].max()))
    assert len(by_width[0]) > 2 * len(by_width[-1])


def test_even_batches_cope_with_a_very_long_sentence() -> None:
    lengths = torch.cat([torch.full((500,), 10), torch.tensor([20_000])])
    sizes = sorted(len(batch) for batch in even_batches(lengths, 32, generator=seeded(0)))
    assert sizes[0] == 1
    assert sum(sizes) == 501
    assert len(sizes) > 3


# order


@given(lengths=lengths_of_all_kinds, batch_size=st.integers(1, 20), max_tokens=st.integers(1, 300))
@settings(max_examples=60)
def test_plain_batches_keep_the_order_without_a_generator(lengths: list[int], batch_size: int, max_tokens: int) -> None:
    batches = plain_batches(torch.tensor(lengths, dtype=torch.int64), batch_size, max_tokens=max_tokens)
    positions = [index for batch in listed(batches) for index in batch]
    assert positions == [index for index, length in enumerate(lengths) if length]


@given(lengths=lengths_of_all_kinds, batch_size=st.integers(1, 20))
@settings(max_examples=60)
def test_buckets_without_a_generator_are_sorted_by_length_and_index(lengths: list[int], batch_size: int) -> None:
    batches = bucketed_batches(torch.tensor(lengths, dtype=torch.int64), batch_size)
    positions = [index for batch in listed(batches) for index in batch]
    assert positions == sorted(positions, key=lambda index: (lengths[index], index))


@random_makers
def test_a_seed_decides_the_order(make: Batches) -> None:
    lengths = corpus_lengths(400)
    first = listed(make(lengths, 8, generator=seeded(1)))
    assert listed(make(lengths, 8, generator=seeded(1))) == first
    assert listed(make(lengths, 8, generator=seeded(2))) != first


@random_makers
def test_each_epoch_has_another_order(make: Batches) -> None:
    lengths, generator = corpus_lengths(4000), seeded(1)  # 500 batches
    epochs = [listed(make(lengths, 8, generator=generator)) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    for first, second in pairwise(epochs):
        together = [{frozenset(batch) for batch in epoch if len(batch) > 2} for epoch in (first, second)]
        assert len(together[0] & together[1]) < 5, "and batches differ"


@random_makers
def test_the_global_generator_is_not_used(make: Batches) -> None:
    lengths = corpus_lengths(200)
    state = torch.get_rng_state()
    if make is not even_batches:
        make(lengths, 8)
    make(lengths, 8, generator=seeded(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_short_and_long_batches_come_mixed() -> None:
    lengths = corpus_lengths(4000)
    widths = [float(lengths[batch].double().mean()) for batch in bucketed_batches(lengths, 8, generator=seeded(1))]
    ranks = torch.tensor(widths).argsort().argsort().double()
    positions = torch.arange(len(ranks)).double()
    correlation = torch.corrcoef(torch.stack((ranks, positions)))[0, 1]
    assert abs(correlation) < 0.15, "the length of a batch is independent of its position"


# padding


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_buckets_waste_far_less_on_padding_than_plain_batches(seed: int) -> None:
    lengths = corpus_lengths(5000, seed=seed)
    plain = waste(lengths, plain_batches(lengths, 32, generator=seeded(seed)))
    bucketed = waste(lengths, bucketed_batches(lengths, 32, generator=seeded(seed)))
    by_length = waste(lengths, bucketed_batches(lengths, 32))
    assert plain > 0.4
    assert bucketed < plain / 5
    assert by_length < plain / 20
    assert by_length < bucketed


# settings


@makers
@pytest.mark.parametrize("batch_size", [0, -1])
def test_an_invalid_batch_size_is_refused(make: Batches, batch_size: int) -> None:
    with pytest.raises(SettingError, match=f"batch_size must be at least 1; it is {batch_size}"):
        make(torch.tensor([3, 4]), batch_size)


@makers
def test_options_are_keyword_only(make: Any) -> None:
    with pytest.raises(TypeError, match="positional"):
        make(torch.tensor([3]), 1, torch.Generator())
