"""The n most probable labelings of a sentence.

Source: Seshadri and Sundberg, List Viterbi Decoding Algorithms with Applications, 1994, the parallel form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairlite.data.tag_schemes import TagSpan, spans_of
from flairlite.prediction.chains import Chain


@dataclass(frozen=True)
class Hypothesis:
    """A labeling of a sentence.

    Attributes:
        probability: Its probability among all labelings.
        tags: The label of each word, or its tag, such as `B-PER`, if the model labels spans.
        spans: (start, end, label) of each span that the tags describe; `end` is exclusive.
    """

    probability: float
    tags: tuple[str, ...]
    spans: tuple[TagSpan, ...] = ()


def make_hypothesis(probability: float, tags: Sequence[str], *, is_spans: bool) -> Hypothesis:
    """Return a labeling with the spans that its tags describe, if they do."""
    return Hypothesis(probability, tuple(tags), tuple(spans_of(tags)) if is_spans else ())


def best_paths(emissions: NDArray[np.float32], chain: Chain, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the n best tag sequences of a sentence by Viterbi's algorithm with n states per tag, best first.

    Args:
        emissions: (T, K) scores.
        chain: Scores of transitions, first and last tags.
        n: Number of sequences.

    Returns:
        The tags (m, T) of the m sequences, at most n, and their probabilities (m,), 0 for impossible ones.
    """
    num_tags = emissions.shape[1]
    scores, transitions = emissions.astype(np.float64), chain.transitions.astype(np.float64)
    total = chain.start + scores[0]  # (K,) logarithms of the summed exponentials of all paths to each tag
    states = total[None]  # (m, K) scores of the m best paths to each tag
    backpointers = []
    for score in scores[1:]:
        total = np.logaddexp.reduce(total[:, None] + transitions, axis=0) + score
        candidates = (states[:, :, None] + transitions).reshape(-1, num_tags)  # (m x K from, K to)
        best = np.argsort(-candidates, axis=0, kind="stable")[:n]
        states = np.take_along_axis(candidates, best, axis=0) + score
        backpointers.append(best)
    final = (states + chain.end).ravel()
    state = np.argsort(-final, kind="stable")[:n]
    probabilities = np.exp(final[state] - np.logaddexp.reduce(total + chain.end))
    path = [state % num_tags]
    for pointers in reversed(backpointers):
        state = pointers[state // num_tags, state % num_tags]
        path.append(state % num_tags)
    return np.stack(path[::-1], axis=1), probabilities
