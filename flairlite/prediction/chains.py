"""Decode linear chains over batches of sentences in NumPy, as `LinearChainCRF`, `ForwardBackward` and `SpanScorer` do.

Batches are time-major, and their sentences are ordered by length, the longest first. The sentences that have a word at
a step are then the first ones of the batch, so that padding takes no part in any computation.

Source: Rabiner, A Tutorial on Hidden Markov Models, 1989, section III.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairlite.single_chain import decode_single, exp_scaled, marginals_single

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

_MAX_CANDIDATES = 1 << 20  # pairs of tags compared at a time: their number grows with the square of the number of tags


@dataclass(frozen=True)
class Chain:
    """Scores that a chain adds to the emissions of a tag sequence; minus infinity makes a tag or a pair impossible.

    Attributes:
        transitions: (K, K) from the row's tag to the column's.
        start: (K,) of the first tag.
        end: (K,) of the last tag.
    """

    transitions: Floats
    start: Floats
    end: Floats


@dataclass(frozen=True)
class SpanTables:
    """What tags mean for spans, (K,) each; see `SpanScorer`."""

    begins: NDArray[np.bool_]
    continues: NDArray[np.bool_]
    extensions: Ids


@dataclass(frozen=True)
class Labeling:
    """The best tags of a batch, (T, B), with their probabilities; all meaningless on padding.

    Attributes:
        tags: The tags.
        scores: The probability of each tag.
        probabilities: (T, B, K) of all tags; None unless requested.
        span_scores: The probability of the span that begins at a word, 0 where none begins; None without `SpanTables`.
    """

    tags: Ids
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None = None
    span_scores: NDArray[np.float64] | None = None


def label_chains(
    emissions: Floats, lengths: Ids, chain: Chain, spans: SpanTables | None = None, *, with_probabilities: bool = False
) -> Labeling:
    """Find the best tag sequences and their probabilities.

    Args:
        emissions: (T, B, K) scores; T is the length of the longest sentence.
        lengths: (B,) words per sentence, at least 1, in descending order.
        chain: The scores of transitions.
        spans: What tags mean for spans, to compute the probabilities of spans.
        with_probabilities: Whether to return the probabilities of all tags.
    """
    if len(lengths) == 1 and spans is None:
        arrays = (emissions[:, 0], chain.transitions, chain.start, chain.end)
        tags = np.array(decode_single(*arrays), dtype=np.int64)[:, None]
        probabilities = marginals_single(*arrays)[:, None]
        scores = np.take_along_axis(probabilities, tags[..., None], axis=2)[..., 0]
        return Labeling(tags, scores, probabilities if with_probabilities else None)
    num_active = _count_active(lengths, len(emissions))
    tags = decode(emissions, num_active, chain)
    with np.errstate(invalid="ignore", divide="ignore"):  # on padding, and where no sequence is possible
        states = ForwardBackward(emissions, num_active, chain)
        scores = states.probabilities_of(tags)
        span_scores = None if spans is None else _score_spans(states, lengths, tags, scores, spans)
        return Labeling(tags, scores, states.marginals() if with_probabilities else None, span_scores)


def decode(emissions: Floats, num_active: list[int], chain: Chain) -> Ids:
    """Find the best tags by Viterbi's algorithm, (T, B); see `label_chains`.

    Args:
        emissions: (T, B, K) scores.
        num_active: For each step, and for the step after the last, the number of sentences with a word there.
        chain: The scores of transitions.
    """
    scores = emissions.transpose(0, 2, 1).copy()  # (T, K, B): a maximum over tags runs over whole vectors
    num_steps, num_tags, size = scores.shape
    incoming = np.ascontiguousarray(chain.transitions.T)[:, :, None]  # (K to, K from, 1)
    scores[0] += chain.start[:, None]
    width = min(size, max(1, _MAX_CANDIDATES // num_tags**2))
    candidates = np.empty((num_tags, num_tags, width), scores.dtype)
    for step in range(1, num_steps):
        for first in range(0, num_active[step], width):
            block = slice(first, min(first + width, num_active[step]))
            found = candidates[:, :, : block.stop - first]
            np.add(incoming, scores[step - 1, :, block], out=found)
            scores[step, :, block] += found.max(axis=1)
    tags = np.zeros((num_steps, size), np.int64)
    tag = np.zeros(size, np.int64)
    for step in range(num_steps - 1, -1, -1):  # backpointers are computed along the best path only
        n, following = num_active[step], num_active[step + 1]
        if following:
            tag[:following] = (scores[step, :, :following] + chain.transitions[:, tag[:following]]).argmax(axis=0)
        if n > following:
            tag[following:n] = (scores[step, :, following:n] + chain.end[:, None]).argmax(axis=0)
        tags[step, :n] = tag[:n]
    return tags


class ForwardBackward:
    """Forward-backward in float64, as `flairlite.nn.forward_backward`; see `decode` for the arguments.

    Attributes:
        transitions: (K, K) exponentials of the scores.
        suffixes: (T, B, K) weight of each tag with all continuations, up to a factor per word.
        beta: (T, B, K) weight of all continuations after a tag, up to a factor per word.
        joint: (T, B, K) weight of all sequences with a tag at a word, up to a factor per word; 0 on padding.
    """

    def __init__(self, emissions: Floats, num_active: list[int], chain: Chain) -> None:
        self.transitions, first, last = map(exp_scaled, (chain.transitions, chain.start, chain.end))
        weights = np.exp((emissions - emissions.max(axis=2, keepdims=True)).astype(np.float64))  # (T, B, K)
        self._ones = np.ones_like(first)  # a product with ones is faster than a sum over few values
        self.suffixes, alpha = weights.copy(), weights
        alpha[0] *= first
        for step in range(len(alpha)):
            state = alpha[step, : num_active[step]]
            if step:
                state *= alpha[step - 1, : len(state)] @ self.transitions
            state /= (state @ self._ones)[:, None]
        self.beta = np.zeros_like(alpha)
        backward = np.ascontiguousarray(self.transitions.T)
        for step in range(len(alpha) - 1, -1, -1):
            n, following = num_active[step], num_active[step + 1]
            if following:
                np.matmul(self.suffixes[step + 1, :following], backward, out=self.beta[step, :following])
            self.beta[step, following:n] = last
            state = self.suffixes[step, :n]
            state *= self.beta[step, :n]
            state /= (state @ self._ones)[:, None]
        self.joint = np.multiply(alpha, self.beta, out=alpha)

    def marginals(self) -> NDArray[np.float64]:
        """Return the probability of each tag at each word, (T, B, K)."""
        marginals: NDArray[np.float64] = self.joint / (self.joint @ self._ones)[..., None]
        return marginals

    def probabilities_of(self, tags: Ids) -> NDArray[np.float64]:
        """Return the probability of one tag at each word, (T, B)."""
        weights = np.take_along_axis(self.joint, tags[..., None], axis=2)[..., 0]
        probabilities: NDArray[np.float64] = weights / (self.joint @ self._ones)
        return probabilities

    def conditionals(self, tags: Ids, next_tags: Ids) -> NDArray[np.float64]:
        """Return the probability of `next_tags` (T - 1, B) at the next words, given `tags` (T, B) at the words."""
        wanted = next_tags[..., None]
        weights = self.transitions[tags[:-1], next_tags] * np.take_along_axis(self.suffixes[1:], wanted, axis=2)[..., 0]
        probabilities: NDArray[np.float64] = (
            weights / np.take_along_axis(self.beta[:-1], tags[:-1, :, None], axis=2)[..., 0]
        )
        return probabilities


def _score_spans(
    states: ForwardBackward, lengths: Ids, tags: Ids, probabilities: NDArray[np.float64], spans: SpanTables
) -> NDArray[np.float64]:
    """Return the probability of the span that begins at a word, (T, B), as `SpanScorer` does."""
    is_word = np.arange(len(tags))[:, None] < lengths  # (T, B)
    begins, continues = spans.begins[tags] & is_word, spans.continues[tags] & is_word
    logs = np.zeros_like(probabilities)  # (T, B): term of each word in its span's sum
    inside = np.log(states.conditionals(tags, tags[1:]))
    logs[1:][continues[1:]] = inside[continues[1:]]
    extensions = spans.extensions[tags[:-1]]
    has_choice = (begins | continues)[:-1] & ~continues[1:] & is_word[1:] & (extensions >= 0)
    if has_choice.any():
        longer = states.conditionals(tags, extensions.clip(min=0))
        logs[:-1][has_choice] += np.log1p(-longer[has_choice])
    by_sentence = begins.T.ravel()  # (B x T,)
    span = np.cumsum(by_sentence)  # index of the span, or of the last span before the word
    sums = np.bincount(span, weights=logs.T.ravel(), minlength=len(span) + 1)
    scores = probabilities * np.exp(sums[span]).reshape(logs.T.shape).T
    return np.where(begins, np.minimum(scores, 1.0), 0.0)


def _count_active(lengths: Ids, num_steps: int) -> list[int]:
    """Return the number of sentences that have a word at each step, and 0 for the step after the last."""
    ended = np.cumsum(np.bincount(lengths, minlength=num_steps + 1))
    return [*(len(lengths) - ended[:num_steps]).tolist(), 0]
