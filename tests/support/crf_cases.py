"""CRFs with padded batches, and the enumeration of all tag sequences that serves as their oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from flairlite.nn import LinearChainCRF

UNKNOWN = -1

# hypothesis objects to fixtures that all examples share; `device` is meant to be shared
drawn = settings(max_examples=40)
few = settings(drawn, max_examples=20)

mild = st.floats(-5, 5, width=32)
scores_of_all_sizes = st.floats(-3, 3, width=32) | st.sampled_from([-50.0, 0.0, 1.0, 50.0])  # these make ties, too


@dataclass(frozen=True)
class Case:
    """A CRF and a padded batch, in float32."""

    crf: LinearChainCRF
    emissions: Tensor  # (B, T, K)
    tags: Tensor  # (B, T), -1 for unknown, and on padding
    lengths: Tensor  # (B,) on the CPU

    @property
    def mask(self) -> Tensor:
        return (torch.arange(self.emissions.shape[1]) < self.lengths.unsqueeze(1)).to(self.emissions.device)

    def on(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Case:
        return Case(
            make_crf(self.crf.transitions, self.crf.start, self.crf.end).to(device, dtype),
            self.emissions.to(device, dtype).requires_grad_(),
            self.tags.to(device),
            self.lengths,
        )


def make_crf(transitions: Tensor, start: Tensor, end: Tensor) -> LinearChainCRF:
    crf = LinearChainCRF(len(start))
    crf.load_state_dict({"transitions": transitions.detach(), "start": start.detach(), "end": end.detach()})
    return crf


@st.composite
def cases(draw: st.DrawFn, *, scores: st.SearchStrategy[float] = scores_of_all_sizes, unknown: bool = False) -> Case:
    num_tags, width = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, width), min_size=1, max_size=3))
    size = len(lengths)

    def draw_scores(*shape: int) -> Tensor:
        return torch.from_numpy(draw(arrays(np.float32, shape, elements=scores)))

    crf = make_crf(draw_scores(num_tags, num_tags), draw_scores(num_tags), draw_scores(num_tags))
    lowest = UNKNOWN if unknown else 0
    tags = torch.from_numpy(draw(arrays(np.int64, (size, width), elements=st.integers(lowest, num_tags - 1))))
    case = Case(crf, draw_scores(size, width, num_tags), tags, torch.tensor(lengths))
    return Case(crf, case.emissions, tags.masked_fill(~case.mask, UNKNOWN), case.lengths)


def random_case(
    lengths: list[int], num_tags: int, *, seed: int = 0, width: int | None = None, scale: float = 1.0
) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def draw_scores(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * scale

    crf = make_crf(draw_scores(num_tags, num_tags), draw_scores(num_tags), draw_scores(num_tags))
    shape = (len(lengths), width or max(lengths))
    tags = torch.randint(num_tags, shape, generator=generator)
    case = Case(crf, draw_scores(*shape, num_tags), tags, torch.tensor(lengths))
    return Case(crf, case.emissions, tags.masked_fill(~case.mask, UNKNOWN), case.lengths)


@dataclass(frozen=True)
class Enumeration:
    """All P tag sequences of one sentence and their scores: the definition of the model, and the oracle here."""

    paths: Tensor  # (P, T)
    scores: Tensor  # (P,)

    @classmethod
    def of(cls, crf: LinearChainCRF, emissions: Tensor) -> Enumeration:
        """Score the sequences over `emissions` (T, K)."""
        length, num_tags = emissions.shape
        paths = torch.cartesian_prod(*[torch.arange(num_tags)] * length).view(-1, length)
        scores = (
            crf.start[paths[:, 0]]
            + emissions[torch.arange(length), paths].sum(1)
            + crf.transitions[paths[:, :-1], paths[:, 1:]].sum(1)
            + crf.end[paths[:, -1]]
        )
        return cls(paths, scores)

    @property
    def log_partition(self) -> Tensor:
        return self.scores.logsumexp(0)

    def loss(self, tags: Tensor) -> Tensor:
        """Return the negative log-likelihood of `tags` (T,): that of all sequences that agree where a tag is known."""
        agrees = ((self.paths == tags) | (tags == UNKNOWN)).all(1)
        return self.log_partition - self.scores[agrees].logsumexp(0)

    def marginals(self) -> Tensor:
        """Return the probability (T, K) of each tag at each word."""
        is_tag = self.paths.unsqueeze(2) == torch.arange(int(self.paths.max()) + 1)  # (P, T, K)
        return (self.scores.softmax(0).view(-1, 1, 1) * is_tag).sum(0)

    def score_of(self, tags: Tensor) -> Tensor:
        return self.scores[(self.paths == tags).all(1)].squeeze(0)


def enumerated(case: Case) -> Iterator[tuple[Enumeration, Tensor]]:
    """Yield the enumeration of each sentence, with its tags."""
    for emissions, tags, length in zip(case.emissions, case.tags, case.lengths.tolist(), strict=True):
        yield Enumeration.of(case.crf, emissions[:length]), tags[:length]


def slow_losses(case: Case) -> Tensor:
    return torch.stack([every.loss(tags) for every, tags in enumerated(case)])


def slow_partitions(case: Case) -> Tensor:
    return torch.stack([every.log_partition for every, _ in enumerated(case)])


def gradients(case: Case, losses: Tensor) -> list[Tensor]:
    """Differentiate a sum of the losses with a different weight for each."""
    weights = torch.arange(1.0, len(losses) + 1, dtype=losses.dtype, device=losses.device)
    crf = case.crf
    wanted = torch.autograd.grad((losses * weights).sum(), [case.emissions, crf.transitions, crf.start, crf.end])
    return [gradient.cpu().double() for gradient in wanted]


def assert_near(found: Tensor, expected: Tensor, dtype: torch.dtype, *, scale: float = 1.0) -> None:
    """Compare at the precision of `dtype`, for results of scores of size `scale`."""
    tolerance = scale * (1e-11 if dtype == torch.float64 else 2e-6)
    torch.testing.assert_close(found.detach().cpu().double(), expected.detach().double(), rtol=0, atol=tolerance)


def run(case: Case) -> Tensor:
    losses: Tensor = case.crf(case.emissions, case.tags, case.lengths)
    return losses
