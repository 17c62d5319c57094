"""The GPU kernels of the CRF equal the loops over words, on CUDA or, with TRITON_INTERPRET=1, on CPU tensors.

The interpreter takes about 0.1 ms for an operation on a row of scores, so there are few long sentences.
"""

from __future__ import annotations

import importlib.util
import math
import os
from itertools import product

import pytest
import torch
from crf_cases import Case, assert_near, cases, gradients, random_case, run, slow_losses
from hypothesis import given, settings
from torch import Tensor

from flairlite.nn import LinearChainCRF
from flairlite.nn.forward_backward import find_kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None
        or not (torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1"),
        reason="needs Triton with CUDA or TRITON_INTERPRET=1",
    ),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's, of the interpreter, for log(0)
]
SIZES = pytest.mark.parametrize(("num_tags", "width"), [*product([1, 2, 17, 33, 50], [1, 2, 7]), (17, 40)])


def lengths_up_to(width: int) -> list[int]:
    """Return ragged lengths, the longest not first."""
    return [max(1, width // 3), width]


def losses_and_gradients(lengths: list[int], num_tags: int, dtype: torch.dtype, scale: float) -> list[Tensor]:
    case = random_case(lengths, num_tags, scale=scale).on(DEVICE, dtype)
    losses = run(case)
    weights = torch.arange(1.0, len(losses) + 1, dtype=dtype, device=DEVICE)
    crf = case.crf
    wanted = [case.emissions, crf.transitions, crf.start, crf.end]
    return [losses.detach(), *torch.autograd.grad((losses * weights).sum(), wanted)]


def test_kernels_compute_with_float32_and_up_to_64_tags() -> None:
    assert find_kernels(torch.zeros(2, 3, 64, device=DEVICE)) is not None
    assert find_kernels(torch.zeros(2, 3, 65, device=DEVICE)) is None
    assert find_kernels(torch.zeros(2, 3, 4, device=DEVICE, dtype=torch.float64)) is None


@given(case=cases(unknown=True))
@settings(max_examples=8)
def test_losses_and_gradients_equal_those_of_all_sequences(case: Case) -> None:
    ours, slow = case.on(DEVICE), case.on(torch.device("cpu"), torch.float64)
    found, expected = run(ours), slow_losses(slow)
    assert_near(found, expected, torch.float32, scale=600.0)
    for ours_gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(ours_gradient, slow_gradient, torch.float32, scale=30)


@SIZES
def test_losses_and_gradients_equal_those_of_the_loop(num_tags: int, width: int) -> None:
    scale = 30.0 if num_tags % 2 else 1.0
    found = losses_and_gradients(lengths_up_to(width), num_tags, torch.float32, scale)
    expected = losses_and_gradients(lengths_up_to(width), num_tags, torch.float64, scale)
    for ours, loop in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), loop, rtol=1e-5, atol=1e-5 * scale)


@SIZES
def test_paths_and_marginals_equal_those_of_the_loop(num_tags: int, width: int) -> None:
    case = random_case(lengths_up_to(width), num_tags, scale=3.0)
    single, double = case.on(DEVICE), case.on(DEVICE, torch.float64)
    path = single.crf.decode(single.emissions, single.lengths)
    assert path.equal(double.crf.decode(double.emissions, double.lengths))
    marginals = single.crf.marginals(single.emissions, single.lengths)
    torch.testing.assert_close(
        marginals.double(), double.crf.marginals(double.emissions, double.lengths), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("score", [-math.inf, -1e4, -700.0])
def test_forbidden_transitions_have_the_same_effect(score: float) -> None:
    results = []
    for dtype in (torch.float32, torch.float64):
        case = random_case([5, 3], 17).on(DEVICE, dtype)
        with torch.no_grad():
            case.crf.transitions[::2, 1::2] = score
            case.emissions[:, 2, 5:] = score
        tags = torch.full_like(case.tags, -1)
        tags[:, 0] = 1  # the other tags are unknown
        losses = case.crf(case.emissions, tags, case.lengths)
        results.append([losses.detach(), *torch.autograd.grad(losses.sum(), [case.emissions, case.crf.transitions])])
    for ours, loop in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), loop, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e30])
def test_huge_scores_give_no_nan(size: float) -> None:
    case = random_case([7, 3], 17).on(DEVICE)
    emissions = (case.emissions * size).detach().requires_grad_()
    losses = case.crf(emissions, case.tags, case.lengths)
    (gradient,) = torch.autograd.grad(losses.sum(), [emissions])
    assert losses.isfinite().all()
    assert (losses >= 0).all()
    assert gradient.isfinite().all()


def test_results_are_the_same_in_each_run() -> None:
    first, second = (losses_and_gradients([9, 4], 33, torch.float32, 1.0) for _ in range(2))
    assert all(one.equal(other) for one, other in zip(first, second, strict=True))


def test_emissions_may_have_any_layout() -> None:
    crf = LinearChainCRF(5).to(DEVICE)
    emissions, lengths = torch.randn(7, 2, 5, device=DEVICE).transpose(0, 1), torch.tensor([7, 4])
    copies = [emissions.contiguous(), emissions.transpose(1, 2).contiguous().transpose(1, 2)]
    tags = torch.zeros(2, 7, dtype=torch.int64, device=DEVICE)
    for copy in copies:
        assert crf(copy, tags, lengths).equal(crf(emissions, tags, lengths))
        assert crf.decode(copy, lengths).equal(crf.decode(emissions, lengths))
