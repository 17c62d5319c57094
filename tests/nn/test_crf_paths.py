"""Transition masks, conditional probabilities and n-best sequences agree with enumerating every sequence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from crf_cases import (
    Case,
    assert_near,
    cases,
    drawn,
    enumerated,
    few,
    gradients,
    make_crf,
    mild,
    run,
    slow_losses,
    slow_partitions,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from flairlite.errors import SettingError
from flairlite.nn import LinearChainCRF
from flairlite.nn.crf_paths import best_paths

CPU = torch.device("cpu")


def with_mask(case: Case, legal: Tensor, *, is_learned: bool = True) -> Case:
    """Return the case with a CRF that has a transition mask."""
    crf = LinearChainCRF(case.crf.num_tags, transition_mask=legal, is_learned=is_learned)
    if is_learned:
        crf.load_state_dict(case.crf.state_dict())
    return replace(case, crf=crf.to(case.emissions.device, case.emissions.dtype))


def with_infinities(case: Case, legal: Tensor, *, is_learned: bool = True) -> Case:
    """Return the case with scores of minus infinity in place of a transition mask."""
    weights = (case.crf.transitions, case.crf.start, case.crf.end)
    parts = (legal[:-1, :-1], legal[-1, :-1], legal[:-1, -1])
    scores = [weight.masked_fill(~part, -math.inf) for weight, part in zip(weights, parts, strict=True)]
    if not is_learned:
        scores = [score.masked_fill(part, 0.0) for score, part in zip(scores, parts, strict=True)]
    return replace(case, crf=make_crf(*scores))


@st.composite
def masked_cases(draw: st.DrawFn, *, is_learned: bool = True) -> tuple[Case, Case]:
    """Draw a case whose CRF has a transition mask, and the same with infinite scores in float64; a sequence remains."""
    case = draw(cases(scores=mild))
    size = case.crf.num_tags + 1
    legal = torch.from_numpy(draw(arrays(np.bool_, (size, size))))
    meant = with_infinities(case, legal, is_learned=is_learned).on(CPU, torch.float64)
    assume(bool(torch.isfinite(slow_partitions(meant)).all()))
    ours = with_mask(case, legal, is_learned=is_learned)
    best = ours.crf.decode(case.emissions, case.lengths).masked_fill(~case.mask, -1)
    return replace(ours, tags=best), replace(meant, tags=best)


def to_device(case: Case, device: torch.device) -> Case:
    emissions = case.emissions.to(device).requires_grad_()
    return replace(case, crf=case.crf.to(device), emissions=emissions, tags=case.tags.to(device))


class TestTransitionMask:
    @pytest.mark.parametrize("is_learned", [True, False])
    @given(data=st.data())
    @drawn
    def test_only_allowed_sequences_have_an_effect(
        self, device: torch.device, is_learned: bool, data: st.DataObject
    ) -> None:
        written, meant = data.draw(masked_cases(is_learned=is_learned))
        ours = to_device(written, device)
        found = ours.crf.log_partition(ours.emissions, ours.lengths)
        assert_near(found, slow_partitions(meant), torch.float32, scale=60)
        paths = ours.crf.decode(ours.emissions, ours.lengths).cpu()
        marginals = ours.crf.marginals(ours.emissions, ours.lengths)
        for path, probabilities, (every, tags) in zip(paths, marginals, enumerated(meant), strict=True):
            assert_near(probabilities[: len(tags)], every.marginals(), torch.float32, scale=30)
            assert_near(every.score_of(path[: len(tags)]), every.scores.max(), torch.float32, scale=60)

    @given(pair=masked_cases())
    @drawn
    def test_losses_and_gradients_are_those_over_allowed_sequences(
        self, device: torch.device, pair: tuple[Case, Case]
    ) -> None:
        ours, meant = to_device(pair[0], device), pair[1]
        found, expected = run(ours), slow_losses(meant)
        assert_near(found, expected, torch.float32, scale=60)
        slow = [gradient.nan_to_num() for gradient in gradients(meant, expected)]  # 0 times an infinite score is nan
        for gradient, slow_gradient in zip(gradients(ours, found), slow, strict=True):
            assert_near(gradient, slow_gradient, torch.float32, scale=30)

    def test_a_transition_mask_is_not_a_weight(self) -> None:
        legal = torch.ones(3, 3, dtype=torch.bool)
        assert set(LinearChainCRF(2, transition_mask=legal).state_dict()) == {"transitions", "start", "end"}
        fixed = LinearChainCRF(2, transition_mask=legal, is_learned=False)
        assert [*fixed.state_dict(), *fixed.parameters()] == []
        assert str(fixed) == "LinearChainCRF(num_tags=2, is_learned=False)"

    def test_without_scores_and_mask_words_are_independent(self, device: torch.device) -> None:
        emissions = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).to(device)
        crf, lengths = LinearChainCRF(3, is_learned=False).to(device), torch.tensor([4, 4])
        torch.testing.assert_close(crf.marginals(emissions, lengths), emissions.softmax(2))
        assert torch.equal(crf.decode(emissions, lengths), emissions.argmax(2))

    def test_a_mask_of_another_shape_is_refused(self) -> None:
        with pytest.raises(SettingError, match=r"\(K \+ 1, K \+ 1\) = \(4, 4\) of booleans, got \(3, 3\)"):
            LinearChainCRF(3, transition_mask=torch.ones(3, 3, dtype=torch.bool))


@given(pair=masked_cases())
@drawn
def test_conditional_probabilities_are_sums_over_sequences(device: torch.device, pair: tuple[Case, Case]) -> None:
    ours, meant = to_device(pair[0], device), pair[1]
    tags = ours.crf.decode(ours.emissions, ours.lengths)
    chains = ours.crf.forward_backward(ours.emissions, ours.lengths)
    for asked in range(-1, ours.crf.num_tags):
        found = chains.conditionals(tags, torch.full_like(tags, asked)).cpu()
        for row, (path, (every, gold)) in enumerate(zip(tags.cpu(), enumerated(meant), strict=True)):
            probabilities = every.scores.detach().softmax(0)
            for step in range(tags.shape[1] - 1):
                expected = 0.0
                if step + 1 < len(gold):
                    has_tag = every.paths[:, step] == path[step]
                    has_both = has_tag & (every.paths[:, step + 1] == asked)
                    expected = float(probabilities[has_both].sum() / probabilities[has_tag].sum())
                assert float(found[row, step]) == pytest.approx(expected, abs=2e-5)


class TestBestPaths:
    @given(pair=masked_cases(), n=st.integers(1, 5))
    @drawn
    def test_the_most_probable_sequences_are_found(self, device: torch.device, pair: tuple[Case, Case], n: int) -> None:
        ours, meant = to_device(pair[0], device), pair[1]
        found = best_paths(ours.crf, ours.emissions, ours.lengths, n)
        assert found.tags.shape == (len(ours.lengths), n, ours.emissions.shape[1])
        for paths, probabilities, (every, tags) in zip(
            found.tags.cpu(), found.probabilities.cpu(), enumerated(meant), strict=True
        ):
            best_first = every.scores.detach().softmax(0).sort(descending=True).values
            expected = torch.nn.functional.pad(best_first, (0, n))[:n]
            assert probabilities.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
            real = paths[probabilities > 0]
            own = [float((every.score_of(path[: len(tags)]) - every.log_partition).detach().exp()) for path in real]
            assert own == pytest.approx(expected[: len(real)].tolist(), abs=1e-5)
            assert len({tuple(path[: len(tags)].tolist()) for path in real}) == len(real), "no sequence comes twice"
            assert (real[:, len(tags) :] == real[:, len(tags) - 1, None]).all(), "padding repeats the last tag"

    @given(case=cases(scores=mild))
    @few
    def test_the_first_is_what_decode_finds(self, case: Case) -> None:
        decoded = case.crf.decode(case.emissions, case.lengths)
        first = best_paths(case.crf, case.emissions, case.lengths, 2).tags[:, 0]
        for one, other, (every, tags) in zip(first, decoded, enumerated(case), strict=True):
            pair = [every.score_of(path[: len(tags)]) for path in (one, other)]
            assert_near(pair[0], pair[1], torch.float32, scale=60)

    def test_n_of_zero_is_refused(self) -> None:
        with pytest.raises(SettingError, match="at least 1; it is 0"):
            best_paths(LinearChainCRF(2), torch.zeros(1, 2, 2), torch.tensor([2]), 0)
