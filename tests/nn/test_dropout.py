"""Dropouts drop the right units at the right rate, from the given generator only."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from flairlite.errors import SettingError
from flairlite.nn import FeatureDropout, LockedDropout, WordDropout

KINDS = [WordDropout, LockedDropout, FeatureDropout]
Kind = Callable[[float], nn.Module]

kinds = pytest.mark.parametrize("kind", KINDS)
SHAPE = (40, 30, 20)


def seeded(device: torch.device, seed: int = 0) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)


def drop(kind: Kind, rate: float, features: Tensor, *, seed: int = 0) -> Tensor:
    dropped: Tensor = kind(rate)(features, seeded(features.device, seed))
    return dropped


def units(kind: Kind, kept: Tensor) -> Tensor:
    """Return whether each unit was kept, as a vector; `kept` is (B, T, D)."""
    if kind is WordDropout:
        return kept[:, :, 0].flatten()
    return kept[:, 0].flatten() if kind is LockedDropout else kept.flatten()


# what is dropped, and how often


@kinds
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_the_rate_is_the_fraction_that_is_dropped(device: torch.device, kind: Kind, rate: float) -> None:
    kept = units(kind, drop(kind, rate, torch.ones(200, 150, 200, device=device)) != 0)
    deviation = math.sqrt(rate * (1 - rate) / len(kept))
    assert abs(1 - kept.double().mean().item() - rate) < 4 * deviation


@pytest.mark.parametrize(
    ("kind", "shared", "apart"),
    [(WordDropout, [2], [0, 1]), (LockedDropout, [1], [0, 2]), (FeatureDropout, [], [0, 1, 2])],
)
def test_units_are_dropped_as_a_whole_and_independently(
    device: torch.device, kind: Kind, shared: list[int], apart: list[int]
) -> None:
    kept = drop(kind, 0.5, torch.ones(SHAPE, device=device)) != 0
    for dimension in shared:
        first = kept.narrow(dimension, 0, 1)
        assert (kept == first).all(), "all or none"
    for dimension in apart:
        size = SHAPE[dimension] - 1
        is_same = kept.narrow(dimension, 0, size) == kept.narrow(dimension, 1, size)
        assert 0.4 < is_same.double().mean() < 0.6, "neighbours are independent"


@kinds
@given(rate=st.floats(0.01, 0.95), seed=st.integers(0, 2**40))
@settings(max_examples=30)
def test_kept_values_are_rescaled_except_for_words(device: torch.device, kind: Kind, rate: float, seed: int) -> None:
    features = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1)).to(device)
    dropped = drop(kind, rate, features, seed=seed)
    factor = 1.0 if kind is WordDropout else 1 / (1 - rate)
    torch.testing.assert_close(dropped, torch.where(dropped == 0, 0.0, features * factor))


@pytest.mark.parametrize("kind", [LockedDropout, FeatureDropout])
def test_rescaling_keeps_the_mean(device: torch.device, kind: Kind) -> None:
    dropped = drop(kind, 0.3, torch.ones(300, 3, 300, device=device))
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4, 5)])
def test_single_values_are_dropped_from_any_shape(device: torch.device, shape: tuple[int, ...]) -> None:
    dropped = drop(FeatureDropout, 0.5, torch.ones(shape, device=device))
    assert dropped.shape == shape
    assert set(dropped.flatten().tolist()) <= {0.0, 2.0}


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_and_shape_are_kept(device: torch.device, kind: Kind, dtype: torch.dtype) -> None:
    features = torch.ones(SHAPE, device=device, dtype=dtype)
    dropped = drop(kind, 0.5, features)
    assert (dropped.dtype, dropped.shape, dropped.device) == (dtype, features.shape, features.device)
    assert (features == 1).all(), "the input is not written to"


@kinds
def test_the_gradient_passes_where_the_value_did(device: torch.device, kind: Kind) -> None:
    features = torch.ones(SHAPE, device=device, requires_grad=True)
    dropped = drop(kind, 0.5, features)
    gradient = torch.autograd.grad(dropped.sum(), features)[0]
    torch.testing.assert_close(gradient, dropped.detach())  # the features are 1


# when nothing is dropped


@kinds
def test_nothing_is_dropped_outside_training_or_at_rate_zero(device: torch.device, kind: Kind) -> None:
    features = torch.randn(SHAPE, device=device)
    generator = seeded(device)
    state = generator.get_state()
    for module in (kind(0.9).eval(), kind(0.0)):
        assert module(features, generator) is features
    assert torch.equal(generator.get_state(), state), "and nothing is drawn"
    assert (kind(0.9).eval().train()(features, generator) == 0).any()


# randomness


@kinds
def test_the_generator_decides_everything(device: torch.device, kind: Kind) -> None:
    features = torch.ones(SHAPE, device=device)
    assert torch.equal(drop(kind, 0.5, features, seed=1), drop(kind, 0.5, features, seed=1))
    assert not torch.equal(drop(kind, 0.5, features, seed=1), drop(kind, 0.5, features, seed=2))
    generator, module = seeded(device), kind(0.5)
    assert not torch.equal(module(features, generator), module(features, generator)), "each call draws anew"


@kinds
def test_global_generators_are_not_used(device: torch.device, kind: Kind) -> None:
    features = torch.ones(SHAPE, device=device)
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device.type == "cuda" else [])]
    first = drop(kind, 0.5, features)
    torch.manual_seed(1234)
    assert torch.equal(drop(kind, 0.5, features), first), "they have no influence"
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1])
    drop(kind, 0.5, features)
    after = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device.type == "cuda" else [])]
    assert all(torch.equal(new, old) for new, old in zip(after, states, strict=True))


# settings


@kinds
@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, math.nan, math.inf])
def test_an_invalid_rate_is_refused(kind: Kind, rate: float) -> None:
    with pytest.raises(SettingError, match=f"at least 0 and below 1; it is {rate}"):
        kind(rate)


@kinds
def test_the_rate_is_shown_and_has_no_weights(kind: Kind) -> None:
    module = kind(0.25)
    assert "p=0.25" in repr(module)
    assert module.rate == 0.25
    assert not module.state_dict()
