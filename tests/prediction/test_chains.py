"""Decoding in NumPy equals decoding in torch, whose oracle is the enumeration of all tag sequences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from crf_cases import Case, cases, drawn, mild
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flairlite.nn import LinearChainCRF, SpanScorer
from flairlite.prediction.chains import Chain, Labeling, SpanTables, label_chains
from flairlite.tasks import SpanTask


def label(crf: LinearChainCRF, emissions: Tensor, lengths: Tensor, spans: SpanTables | None = None) -> Labeling:
    """Label sentences, the longest first, which `label_chains` requires."""
    scores = crf.scores
    chain = Chain(*(part.detach().numpy() for part in (scores.transitions, scores.start, scores.end)))
    time_major = np.ascontiguousarray(emissions.detach().numpy().transpose(1, 0, 2))
    return label_chains(time_major, lengths.numpy(), chain, spans, with_probabilities=True)


def longest_first(case: Case) -> tuple[Tensor, Tensor]:
    order = case.lengths.argsort(descending=True, stable=True)
    return case.emissions[order, : case.lengths.max()], case.lengths[order]


def check(crf: LinearChainCRF, emissions: Tensor, lengths: Tensor, found: Labeling) -> None:
    best = crf.decode(emissions, lengths).T.numpy()  # (T, B)
    marginals = crf.forward_backward(emissions, lengths).marginals().permute(1, 0, 2).numpy()
    is_word = np.arange(len(best))[:, None] < lengths.numpy()
    assert (found.tags == best)[is_word].all()
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[is_word], marginals[is_word], atol=1e-6)
    expected = np.take_along_axis(marginals, best[..., None], axis=2)[..., 0]
    np.testing.assert_allclose(found.scores[is_word], expected[is_word], atol=1e-6)


@drawn
@given(cases(scores=mild))
def test_labels_and_probabilities_equal_those_of_torch(case: Case) -> None:
    emissions, lengths = longest_first(case)
    check(case.crf, emissions, lengths, label(case.crf, emissions, lengths))


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BILOU"])
@given(data=st.data())
@drawn
def test_probabilities_of_spans_equal_those_of_torch(scheme: str, data: st.DataObject) -> None:
    task = SpanTask("ner", ["A", "B"], tag_format=scheme)
    num_tags = len(task.class_names)
    lengths = torch.tensor(sorted(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)), reverse=True))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    crf = LinearChainCRF(num_tags, transition_mask=task.transition_mask(), is_learned=data.draw(st.booleans()))
    emissions = 3 * torch.randn(len(lengths), int(lengths.max()), num_tags, generator=generator)
    found = label(crf, emissions, lengths, SpanTables(*(table.numpy() for table in task.span_tables())))
    check(crf, emissions, lengths, found)

    tags = crf.decode(emissions, lengths)
    chains = crf.forward_backward(emissions, lengths)
    scores = chains.marginals().gather(2, tags.unsqueeze(2)).squeeze(2)
    expected = SpanScorer(*task.span_tables())(chains, tags, scores).T.numpy()
    is_word = np.arange(len(expected))[:, None] < lengths.numpy()
    assert found.span_scores is not None
    np.testing.assert_allclose(found.span_scores[is_word], expected[is_word], atol=1e-6)


def test_a_tag_that_is_impossible_is_never_chosen() -> None:
    crf = LinearChainCRF(2, transition_mask=torch.tensor([[1, 0, 1], [1, 1, 1], [1, 1, 1]], dtype=torch.bool))
    emissions = torch.tensor([[[5.0, 0.0], [0.0, 4.9]]] * 2)
    found = label(crf, emissions, torch.tensor([2, 1]))
    assert found.tags[:, 0].tolist() in ([0, 0], [1, 1])  # 0 and then 1, the best emissions, is not allowed
    assert found.tags[0, 1] == 0
