"""The CRF agrees with enumerating all tag sequences, and padding never matters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from crf_cases import (
    UNKNOWN,
    Case,
    assert_near,
    cases,
    drawn,
    enumerated,
    few,
    gradients,
    make_crf,
    mild,
    random_case,
    run,
    slow_losses,
    slow_partitions,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from flairlite.errors import SettingError
from flairlite.nn import LinearChainCRF
from flairlite.nn.crf_paths import best_paths

IMPOSSIBLE = -1e4

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
SUM = 600.0  # of twelve scores up to 50, the largest sum that a sequence of five words can have


# against enumeration


@DTYPES
@given(case=cases())
@drawn
def test_log_partition_is_that_of_all_sequences(device: torch.device, dtype: torch.dtype, case: Case) -> None:
    ours = case.on(device, dtype)
    found = ours.crf.log_partition(ours.emissions, ours.lengths)
    assert found.shape == case.lengths.shape
    assert (found.dtype, found.device.type) == (dtype, device.type)
    assert_near(found, slow_partitions(case.on(torch.device("cpu"), torch.float64)), dtype, scale=SUM)


@DTYPES
@given(case=cases())
@drawn
def test_loss_and_gradients_are_those_of_all_sequences(device: torch.device, dtype: torch.dtype, case: Case) -> None:
    ours, slow = case.on(device, dtype), case.on(torch.device("cpu"), torch.float64)
    found, expected = run(ours), slow_losses(slow)
    assert_near(found, expected, dtype, scale=SUM)
    for ours_gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(ours_gradient, slow_gradient, dtype, scale=30)


@DTYPES
@given(case=cases(unknown=True))
@drawn
def test_where_a_tag_is_unknown_any_tag_counts(device: torch.device, dtype: torch.dtype, case: Case) -> None:
    ours, slow = case.on(device, dtype), case.on(torch.device("cpu"), torch.float64)
    found, expected = run(ours), slow_losses(slow)
    assert_near(found, expected, dtype, scale=SUM)
    for ours_gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(ours_gradient, slow_gradient, dtype, scale=30)


@DTYPES
@given(case=cases())
@drawn
def test_marginals_are_sums_over_sequences(device: torch.device, dtype: torch.dtype, case: Case) -> None:
    ours, slow = case.on(device, dtype), case.on(torch.device("cpu"), torch.float64)
    found = ours.crf.marginals(ours.emissions, ours.lengths)
    assert (found.shape, found.dtype) == (case.emissions.shape, dtype)
    for sentence, (every, tags) in zip(found, enumerated(slow), strict=True):
        assert_near(sentence[: len(tags)], every.marginals(), dtype, scale=30)
        assert not sentence[len(tags) :].any(), "padding has no tag"


@DTYPES
@given(case=cases())
@drawn
def test_decode_finds_a_best_sequence(device: torch.device, dtype: torch.dtype, case: Case) -> None:
    ours, slow = case.on(device, dtype), case.on(torch.device("cpu"), torch.float64)
    found = ours.crf.decode(ours.emissions, ours.lengths).cpu()
    assert (found.shape, found.dtype) == (case.tags.shape, torch.int64)
    for sentence, (every, tags) in zip(found, enumerated(slow), strict=True):
        best = every.score_of(sentence[: len(tags)])  # any of several equally good sequences is right
        assert_near(best, every.scores.max(), dtype, scale=SUM)
        assert (sentence[len(tags) :] == sentence[len(tags) - 1]).all(), "padding repeats the last tag"


@pytest.mark.parametrize("unknown", [False, True])
def test_the_gradient_is_the_derivative(device: torch.device, unknown: bool) -> None:
    case = random_case([4, 1, 3], 3, width=5).on(device, torch.float64)
    tags = case.tags.clone()
    if unknown:
        tags[0, 1] = tags[2, 2] = UNKNOWN

    def losses(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
        parameters = {"transitions": transitions, "start": start, "end": end}
        found: Tensor = torch.func.functional_call(case.crf, parameters, (emissions, tags, case.lengths))
        return found

    inputs = (case.emissions, case.crf.transitions, case.crf.start, case.crf.end)
    assert torch.autograd.gradcheck(losses, inputs, nondet_tol=1e-10)


def test_the_gradient_of_the_log_partition_is_the_marginals(device: torch.device) -> None:
    case = random_case([6, 2], 4, scale=3).on(device, torch.float64)
    found = gradients(case, case.crf.log_partition(case.emissions, case.lengths))
    marginals = case.crf.marginals(case.emissions, case.lengths).cpu() * torch.tensor([1.0, 2.0]).view(-1, 1, 1)
    torch.testing.assert_close(found[0], marginals)
    torch.testing.assert_close(found[1].sum(), torch.tensor(5.0 + 2 * 1.0, dtype=torch.float64))  # pairs of words
    torch.testing.assert_close(found[2], marginals[:, 0].sum(0))


def test_a_mean_of_losses_scales_its_gradient(device: torch.device) -> None:
    case = random_case([3, 3], 3).on(device)
    total = torch.autograd.grad(run(case).sum(), case.emissions)[0]
    mean = torch.autograd.grad(run(case).mean(), case.emissions)[0]
    torch.testing.assert_close(total / 2, mean)


# tags that are not known


@given(case=cases())
@few
def test_a_sentence_with_no_known_tag_has_no_loss_and_no_gradient(device: torch.device, case: Case) -> None:
    ours = case.on(device)
    losses = ours.crf(ours.emissions, torch.full_like(ours.tags, UNKNOWN), ours.lengths)
    assert losses.tolist() == [0] * len(losses)
    assert not any(gradient.any() for gradient in gradients(ours, losses))


@given(case=cases(unknown=True))
@few
def test_passing_is_partial_changes_nothing(device: torch.device, case: Case) -> None:
    ours = case.on(device)
    is_partial = bool((ours.tags.lt(0) & ours.mask).any())
    losses = run(ours)
    passed = ours.crf(ours.emissions, ours.tags, ours.lengths, is_partial=is_partial)
    assert passed.tolist() == losses.tolist()
    general = ours.crf(ours.emissions, ours.tags, ours.lengths, is_partial=True)  # valid for complete tags, too
    torch.testing.assert_close(general, losses, rtol=0, atol=1e-3)


@pytest.mark.parametrize("gap", [690.0, 720.0, 800.0, 5000.0])
def test_a_gold_tag_far_below_the_best_has_a_finite_loss_beside_unknown_tags(device: torch.device, gap: float) -> None:
    emissions = torch.tensor([[[0.5, -gap, 1.0], [0.1, 0.2, 0.3], [0.0, 0.4, -gap]]])
    tags = torch.tensor([[1, UNKNOWN, 2]])  # both known tags are far below the best
    case = random_case([3], 3)
    slow = Case(case.crf, emissions, tags, case.lengths).on(torch.device("cpu"), torch.float64)
    ours = Case(case.crf, emissions, tags, case.lengths).on(device)
    found, expected = run(ours), slow_losses(slow)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(gradient, slow_gradient, torch.float32, scale=30)


def test_a_loss_through_a_hopeless_unknown_tag_is_not_finite(device: torch.device) -> None:
    """A limit: the tag before an unknown one may only be reached by a tag more than 745 below the others."""
    mask = torch.ones(3, 3, dtype=torch.bool)
    mask[0, 1] = False  # tag 1 follows tag 1 only
    crf = LinearChainCRF(2, transition_mask=mask).to(device)
    emissions = torch.tensor([[[0.0, -800.0], [0.0, 0.0]]], device=device)
    loss = crf(emissions, torch.tensor([[UNKNOWN, 1]], device=device), torch.tensor([2]))
    assert not loss.isfinite().any()


# one tag, one word


def test_with_one_tag_nothing_is_uncertain(device: torch.device) -> None:
    case = random_case([3, 1], 1, scale=10).on(device)
    assert run(case).abs().max() < 1e-4
    assert case.crf.decode(case.emissions, case.lengths).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert case.crf.marginals(case.emissions, case.lengths).flatten().tolist() == [1, 1, 1, 1, 0, 0]


def test_with_one_word_it_is_a_softmax(device: torch.device) -> None:
    case = random_case([1, 1, 1], 5).on(device)
    scores = case.emissions[:, 0] + case.crf.start + case.crf.end  # (B, K)
    expected = torch.nn.functional.cross_entropy(scores, case.tags[:, 0], reduction="none")
    torch.testing.assert_close(run(case), expected)
    torch.testing.assert_close(case.crf.marginals(case.emissions, case.lengths)[:, 0], scores.softmax(1).detach())
    assert case.crf.decode(case.emissions, case.lengths)[:, 0].tolist() == scores.argmax(1).tolist()


# what is impossible


@st.composite
def cases_with_bans(draw: st.DrawFn) -> tuple[Case, Case]:
    """Draw a case with impossible transitions, starts and ends, and the same case with minus infinity for these."""
    case = draw(cases(scores=mild))
    bans = {
        name: torch.from_numpy(draw(arrays(np.bool_, tuple(parameter.shape))))
        for name, parameter in case.crf.named_parameters()
    }
    written = draw(st.sampled_from([IMPOSSIBLE, -math.inf]))

    def banned(value: float) -> Case:
        state = {name: case.crf.get_parameter(name).detach().masked_fill(ban, value) for name, ban in bans.items()}
        return Case(make_crf(**state), case.emissions, case.tags, case.lengths)

    meant = banned(-math.inf).on(torch.device("cpu"), torch.float64)
    assume(bool(torch.isfinite(slow_partitions(meant)).all()))  # each sentence has a sequence left
    return banned(written), meant


@given(pair=cases_with_bans())
@drawn
def test_impossible_transitions_have_no_effect(device: torch.device, pair: tuple[Case, Case]) -> None:
    ours, meant = pair[0].on(device), pair[1]
    assert_near(ours.crf.log_partition(ours.emissions, ours.lengths), slow_partitions(meant), torch.float32, scale=60)
    found = zip(
        ours.crf.decode(ours.emissions, ours.lengths).cpu(),
        ours.crf.marginals(ours.emissions, ours.lengths),
        enumerated(meant),
        strict=True,
    )
    for best, marginals, (every, tags) in found:
        assert_near(marginals[: len(tags)], every.marginals(), torch.float32, scale=30)
        assert_near(every.score_of(best[: len(tags)]), every.scores.max(), torch.float32, scale=60)


@given(pair=cases_with_bans())
@drawn
def test_losses_and_gradients_with_impossible_transitions_are_exact(
    device: torch.device, pair: tuple[Case, Case]
) -> None:
    written, meant = pair
    best = written.on(torch.device("cpu")).crf.decode(written.emissions, written.lengths)  # certainly possible
    tags = best.masked_fill(~written.mask, UNKNOWN)
    tags[:, ::2] = torch.where(torch.arange(len(tags)).unsqueeze(1) % 2 == 1, UNKNOWN, tags[:, ::2])
    ours = Case(written.crf, written.emissions, tags, written.lengths).on(device)
    slow = Case(meant.crf, meant.emissions, tags, meant.lengths)
    found, expected = run(ours), slow_losses(slow)
    assert_near(found, expected, torch.float32, scale=60)
    for ours_gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(ours_gradient, slow_gradient, torch.float32, scale=30)


@pytest.mark.parametrize("score", [IMPOSSIBLE, -math.inf])
def test_a_tag_that_nothing_may_follow_can_end_a_short_sentence(device: torch.device, score: float) -> None:
    random = random_case([2, 4, 1], 2)
    with torch.no_grad():
        random.crf.transitions[1] = score
    tags = torch.tensor([[0, 1, UNKNOWN, UNKNOWN], [UNKNOWN, 0, 0, 1], [1, UNKNOWN, UNKNOWN, UNKNOWN]])
    case = Case(random.crf, random.emissions, tags, random.lengths)
    ours, slow = case.on(device), case.on(torch.device("cpu"), torch.float64)
    found, expected = run(ours), slow_losses(slow)
    assert_near(found, expected, torch.float32, scale=10)
    for ours_gradient, slow_gradient in zip(gradients(ours, found), gradients(slow, expected), strict=True):
        assert_near(ours_gradient, slow_gradient, torch.float32, scale=10)


@pytest.mark.parametrize(("score", "expected"), [(IMPOSSIBLE, 1e4), (-math.inf, math.inf)])
def test_impossible_gold_tags_cost_their_transition_score(device: torch.device, score: float, expected: float) -> None:
    transitions = torch.zeros(2, 2)
    transitions[0, 0] = score  # the tags on padding are 0, too: that transition must not count
    crf = make_crf(transitions, torch.zeros(2), torch.zeros(2)).to(device)
    emissions = torch.zeros(2, 3, 2, device=device)
    tags = torch.tensor([[0, 0, 1], [0, UNKNOWN, UNKNOWN]], device=device)
    losses = crf(emissions, tags, torch.tensor([3, 1]), is_partial=False)
    torch.testing.assert_close(losses.cpu(), torch.tensor([expected + math.log(5), math.log(2)]))


def test_a_sentence_without_a_possible_sequence_never_gets_a_finite_loss(device: torch.device) -> None:
    transitions = torch.full((2, 2), -math.inf)
    transitions[0, 1] = 0.0
    crf = make_crf(transitions, torch.zeros(2), torch.zeros(2)).to(device)
    emissions, lengths = torch.zeros(2, 3, 2, device=device), torch.tensor([3, 2])
    partitions = crf.log_partition(emissions, lengths)
    assert not torch.isfinite(partitions[0])
    assert partitions[1].item() == pytest.approx(0), "the other sentence of the batch is not affected"
    tags = torch.tensor([[0, UNKNOWN, 1], [0, 1, UNKNOWN]], device=device)
    losses = crf(emissions, tags, lengths)
    assert not torch.isfinite(losses[0])
    assert losses[1].item() == pytest.approx(0)


# padding and batches


@pytest.mark.parametrize("filling", [0.0, 1e6, -1e6, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("unknown", [False, True])
def test_values_on_padding_never_matter(device: torch.device, filling: float, unknown: bool) -> None:
    case = random_case([4, 1, 2, 6], 3, width=7)
    tags = case.tags.clone()
    if unknown:
        tags[0, 1] = tags[3, 5] = UNKNOWN
    clean = Case(case.crf, case.emissions, tags, case.lengths).on(device)
    filled = case.emissions.masked_fill(~case.mask.unsqueeze(2), filling)
    junk = Case(case.crf, filled, tags.masked_fill(~case.mask, 2), case.lengths).on(device)
    assert run(junk).tolist() == run(clean).tolist()
    for found, expected in zip(gradients(junk, run(junk)), gradients(clean, run(clean)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert not gradients(junk, run(junk))[0][~case.mask].any(), "padding has no gradient"
    for name in ("log_partition", "marginals", "decode"):
        found, expected = (getattr(each.crf, name)(each.emissions, each.lengths) for each in (junk, clean))
        assert found.tolist() == expected.tolist(), name


@given(case=cases(unknown=True))
@few
def test_a_batch_gives_what_its_sentences_give_alone(device: torch.device, case: Case) -> None:
    ours = case.on(device, torch.float64)
    losses, tags = run(ours), ours.crf.decode(ours.emissions, ours.lengths)
    marginals = ours.crf.marginals(ours.emissions, ours.lengths)
    for index, length in enumerate(case.lengths.tolist()):
        emissions, lengths = ours.emissions[index : index + 1, :length], torch.tensor([length])
        alone = ours.crf(emissions, ours.tags[index : index + 1, :length], lengths)
        torch.testing.assert_close(alone[0], losses[index], rtol=0, atol=1e-9)
        torch.testing.assert_close(ours.crf.marginals(emissions, lengths)[0], marginals[index, :length])
        assert ours.crf.decode(emissions, lengths)[0].tolist() == tags[index, :length].tolist()


def test_lengths_may_be_on_the_device_and_emissions_not_contiguous(device: torch.device) -> None:
    case = random_case([4, 2, 5], 3).on(device)
    strided = case.emissions.detach().transpose(0, 2).contiguous().transpose(0, 2).requires_grad_()
    assert not strided.is_contiguous()
    other = Case(case.crf, strided, case.tags, case.lengths.to(device))
    torch.testing.assert_close(run(other), run(case))
    for found, expected in zip(gradients(other, run(other)), gradients(case, run(case)), strict=True):
        torch.testing.assert_close(found, expected)
    assert case.crf.decode(strided, other.lengths).tolist() == case.crf.decode(case.emissions, case.lengths).tolist()
    torch.testing.assert_close(
        case.crf.marginals(strided, other.lengths), case.crf.marginals(case.emissions, case.lengths)
    )


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_results_are_available_with_and_without_gradients(
    device: torch.device, context: Callable[[], torch.enable_grad]
) -> None:
    case = random_case([3, 2], 3).on(device)
    with context():
        losses, partitions = run(case), case.crf.log_partition(case.emissions, case.lengths)
        marginals = case.crf.marginals(case.emissions, case.lengths)
        tags = case.crf.decode(case.emissions, case.lengths)
    assert losses.requires_grad == partitions.requires_grad == (context is torch.enable_grad)
    assert not marginals.requires_grad
    assert not tags.requires_grad
    torch.testing.assert_close(marginals.sum(2), case.mask.float())


# long sentences


@dataclass(frozen=True)
class LogSpace:
    """The recursions of the textbook over one sentence, in log space and float64."""

    log_partition: float
    best: float
    marginals: Tensor  # (T, K)

    @classmethod
    def of(cls, crf: LinearChainCRF, emissions: Tensor) -> LogSpace:
        """Run over `emissions` (T, K); the marginals are the gradient of the log-partition."""
        emissions = emissions.detach().requires_grad_()
        total = crf.start + emissions[0]  # (K,)
        best = total.detach()
        for emission in emissions[1:]:
            total = (total.unsqueeze(1) + crf.transitions).logsumexp(0) + emission
            best = (best.unsqueeze(1) + crf.transitions.detach()).amax(0) + emission.detach()
        log_partition = (total + crf.end).logsumexp(0)
        marginals = torch.autograd.grad(log_partition, emissions)[0]
        return cls(float(log_partition.detach()), float((best + crf.end.detach()).max()), marginals)


@torch.no_grad()
def score(crf: LinearChainCRF, emissions: Tensor, tags: Tensor) -> float:
    moved = crf.transitions[tags[:-1], tags[1:]].sum()
    return float(crf.start[tags[0]] + emissions[torch.arange(len(tags)), tags].sum() + moved + crf.end[tags[-1]])


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_long_sentences_lose_no_precision(device: torch.device, scale: float) -> None:
    case = random_case([2000, 1300], 5, scale=scale)
    slow = case.on(torch.device("cpu"), torch.float64)
    for dtype in (torch.float32, torch.float64):
        ours = case.on(device, dtype)
        losses = run(ours)
        tags = ours.crf.decode(ours.emissions, ours.lengths).cpu()
        marginals = ours.crf.marginals(ours.emissions, ours.lengths).cpu()
        relative = 1e-12 if dtype == torch.float64 else 3e-6
        for index, length in enumerate(case.lengths.tolist()):
            emissions = slow.emissions[index, :length]
            expected = LogSpace.of(slow.crf, emissions)
            tolerance = relative * abs(expected.best)
            gold = score(slow.crf, emissions, case.tags[index, :length])
            assert losses[index].item() == pytest.approx(expected.log_partition - gold, abs=tolerance)
            assert score(slow.crf, emissions, tags[index, :length]) == pytest.approx(expected.best, abs=tolerance)
            assert_near(marginals[index, :length], expected.marginals, dtype, scale=50 * scale)
        assert all(torch.isfinite(gradient).all() for gradient in gradients(ours, losses))


# what goes wrong


def test_decode_stays_in_range_whatever_the_scores(device: torch.device) -> None:
    crf = LinearChainCRF(3).to(device)
    for value in (0.0, math.inf, -math.inf, math.nan, 1e38):
        tags = crf.decode(torch.full((2, 4, 3), value, device=device), torch.tensor([4, 2]))
        assert tags.shape == (2, 4)
        assert 0 <= int(tags.min()) <= int(tags.max()) < 3, value


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3), r"emissions must be \(B, T > 0, K = 4\), got \(2, 3\)"),
        ((2, 3, 5), r"emissions must be \(B, T > 0, K = 4\), got \(2, 3, 5\)"),
        ((2, 0, 4), r"emissions must be \(B, T > 0, K = 4\), got \(2, 0, 4\)"),
        ((3, 3, 4), r"lengths must be \(B,\) = \(3,\), got \(2,\)"),
        ((2, 5, 4), r"tags must be \(B, T\) = \(2, 5\), got \(2, 3\)"),
    ],
)
def test_an_error_names_the_wrong_and_the_right_shape(shape: tuple[int, ...], message: str) -> None:
    crf, lengths = LinearChainCRF(4), torch.tensor([3, 1])
    emissions = torch.zeros(shape)
    with pytest.raises(SettingError, match=message):
        crf(emissions, torch.zeros(2, 3, dtype=torch.int64), lengths)
    if "tags" not in message:
        for ask in (crf.decode, crf.marginals, crf.log_partition):
            with pytest.raises(SettingError, match=message):
                ask(emissions, lengths)


@pytest.mark.parametrize("wrong", [[0, 1], [2, 4]])
def test_lengths_beyond_the_emissions_are_refused(wrong: list[int]) -> None:
    crf, lengths, tags = LinearChainCRF(4), torch.tensor(wrong), torch.zeros(2, 3, dtype=torch.int64)
    for ask in (lambda *args: crf(args[0], tags, args[1]), crf.decode, crf.marginals, crf.log_partition):
        with pytest.raises(SettingError, match=r"lengths must be from 1 to T = 3, got \["):
            ask(torch.zeros(2, 3, 4), lengths)


@pytest.mark.parametrize("num_tags", [0, True, 2.0, "3"])
def test_a_number_of_tags_that_is_none_is_refused(num_tags: Any) -> None:
    with pytest.raises(SettingError, match="num_tags must be"):
        LinearChainCRF(num_tags)


@pytest.mark.parametrize("mask", [torch.ones(3, 3), torch.ones(2, 2, dtype=torch.bool)])
def test_a_transition_mask_of_another_shape_or_dtype_is_refused(mask: torch.Tensor) -> None:
    with pytest.raises(SettingError, match=r"must be \(K \+ 1, K \+ 1\) = \(3, 3\) of booleans, got"):
        LinearChainCRF(2, transition_mask=mask)


def test_its_weights_are_scores_of_transitions_starts_and_ends() -> None:
    crf = LinearChainCRF(3)
    shapes = {name: tuple(tensor.shape) for name, tensor in crf.state_dict().items()}
    assert shapes == {"transitions": (3, 3), "start": (3,), "end": (3,)}
    assert "num_tags=3" in repr(crf)


def test_transitions_are_from_the_row_to_the_column(device: torch.device) -> None:
    transitions = torch.full((3, 3), -9.0)
    transitions[0, 2] = transitions[2, 1] = 9.0
    crf = make_crf(transitions, torch.tensor([20.0, 0, 0]), torch.zeros(3)).to(device)
    assert crf.decode(torch.zeros(1, 3, 3, device=device), torch.tensor([3])).tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=st.integers(0, 10**6), length=st.integers(1, 12), num_tags=st.integers(1, 6), part=st.floats(0, 0.6))
def test_a_single_sentence_gives_the_same_as_in_a_batch(
    dtype: torch.dtype, seed: int, length: int, num_tags: int, part: float
) -> None:
    case = random_case([length, length], num_tags, seed=seed, scale=3.0)
    forbidden = torch.rand(num_tags, num_tags, generator=torch.Generator().manual_seed(seed)) < part
    forbidden.fill_diagonal_(False)  # some sequence is left
    crf = make_crf(case.crf.transitions.masked_fill(forbidden, -torch.inf), case.crf.start, case.crf.end).to(dtype)
    emissions = case.emissions.to(dtype)
    together = crf.decode(emissions, case.lengths), crf.marginals(emissions, case.lengths)
    for row in range(2):
        alone, lengths = emissions[row : row + 1], case.lengths[:1]
        assert crf.decode(alone, lengths)[0].tolist() == together[0][row].tolist()
        probabilities = crf.marginals(alone, lengths)
        assert probabilities.dtype == dtype
        torch.testing.assert_close(probabilities[0], together[1][row])


# independent distributions of tags


@DTYPES
@given(case=cases(scores=mild), temperature=st.sampled_from([0.5, 1.0, 3.0]), seed=st.integers(0, 9))
@few
def test_cross_entropy_is_that_of_all_sequences(
    device: torch.device, dtype: torch.dtype, case: Case, temperature: float, seed: int
) -> None:
    """A sequence has the product of the probabilities of its tags."""
    draw = torch.Generator().manual_seed(seed)
    target = torch.rand(case.emissions.shape, generator=draw, dtype=torch.float64).add(0.01)
    target /= target.sum(2, keepdim=True)
    ours = case.on(device, dtype)
    found = ours.crf.cross_entropy(ours.emissions, target.to(device, dtype), ours.lengths, temperature=temperature)
    reference = case.on(torch.device("cpu"), torch.float64)
    expected = []
    for (every, _), probabilities in zip(enumerated(reference), target, strict=True):
        weights = probabilities[torch.arange(every.paths.shape[1]), every.paths].prod(1)  # (P,)
        expected.append(-(weights * (every.scores / temperature).log_softmax(0)).sum())
    wanted = torch.stack(expected)
    assert_near(found, wanted, dtype, scale=SUM)
    for mine, other in zip(gradients(ours, found), gradients(reference, wanted), strict=True):
        assert_near(mine, other, dtype, scale=SUM)


def test_cross_entropy_with_certain_tags_is_the_loss(device: torch.device) -> None:
    case = random_case([3, 1, 5], 4).on(device)
    certain = nn.functional.one_hot(case.tags.clamp_min(0), 4).float()
    found = case.crf.cross_entropy(case.emissions, certain, case.lengths)
    assert torch.allclose(found, case.crf(case.emissions, case.tags, case.lengths), atol=1e-5)


def test_cross_entropy_with_forbidden_transitions_is_refused() -> None:
    crf = LinearChainCRF(2, transition_mask=torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(SettingError, match="forbidden transitions"):
        crf.cross_entropy(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.5), torch.tensor([2]))


class LargestResult(TorchDispatchMode):
    """Records the number of values in the largest result of an operation."""

    size = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = function(*args, **(kwargs or {}))
        for result in results if isinstance(results, (tuple, list)) else [results]:
            if isinstance(result, Tensor) and not result._is_view():
                self.size = max(self.size, result.numel())
        return results


@pytest.mark.parametrize("num_tags", [65, 300])
def test_decoding_with_many_tags_compares_few_pairs_at_once(num_tags: int) -> None:
    generator = torch.Generator().manual_seed(1)
    size, lengths = 80, torch.randint(1, 4, (80,), generator=generator)
    crf, emissions = LinearChainCRF(num_tags), torch.randn(size, 3, num_tags, generator=generator)
    with LargestResult() as largest:
        tags = crf.decode(emissions, lengths)
    assert largest.size <= 2**18 < num_tags**2 * size
    for row, emission, length in zip(tags, emissions, lengths.tolist(), strict=True):
        alone = crf.decode(emission[None, :length], torch.tensor([length]))[0]
        assert row[:length].tolist() == alone.tolist()


def test_the_best_sequences_of_many_tags_compare_few_pairs_at_once() -> None:
    crf, emissions, lengths = LinearChainCRF(200), torch.randn(6, 3, 200), torch.tensor([3, 2, 1, 3, 3, 2])
    with LargestResult() as largest:
        found = best_paths(crf, emissions, lengths, 4)
    assert largest.size <= 2**18 < 200**2 * 6 * 4
    assert found.tags[:, 0].tolist() == crf.decode(emissions, lengths).tolist()
    assert bool((found.probabilities.diff() <= 0).all())
