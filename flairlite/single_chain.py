"""CRF decoding and marginals for a single sentence, in NumPy.

With so few values per word the call overhead dominates, and a NumPy call costs a third of a torch call. The results
equal those of `LinearChainCRF.decode` and `ForwardBackward.marginals`; tests compare them. Exported models use this
module too, so it imports no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def decode_single(emissions: Floats, transitions: Floats, start: Floats, end: Floats) -> list[int]:
    """Find the T best tags of a sentence by Viterbi's algorithm.

    Args:
        emissions: (T, K); `transitions` are (K, K), `start` and `end` (K,).
    """
    scores = emissions.copy()  # (T, K); becomes the score of the best sequence up to each tag
    incoming = np.ascontiguousarray(transitions.T)  # (K to, K from)
    candidates = np.empty_like(incoming)
    previous = scores[0]
    previous += start
    for score in scores[1:]:
        score += np.maximum.reduce(np.add(incoming, previous, out=candidates), axis=1)
        previous = score
    tag = int((previous + end).argmax())
    path = [tag]
    for score in scores[-2::-1]:
        tag = int((score + incoming[tag]).argmax())
        path.append(tag)
    return path[::-1]


def marginals_single(emissions: Floats, transitions: Floats, start: Floats, end: Floats) -> NDArray[np.float64]:
    """Compute the probability of each tag at each word of a sentence, (T, K); see `decode_single`."""
    scores = emissions.astype(np.float64)  # (T, K)
    forward, first, last = (exp_scaled(part) for part in (transitions, start, end))
    alpha, beta = np.empty_like(scores), np.empty_like(scores)
    ones = np.ones_like(last)  # a dot product with ones costs a third of a sum
    with np.errstate(invalid="ignore", divide="ignore"):  # nan where no sequence is possible
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        state = first * weights[0]
        for step, weight in enumerate(weights):
            if step:
                state = state.dot(forward)
                state *= weight
            state /= state.dot(ones)
            alpha[step] = state
        backward = np.ascontiguousarray(forward.T)
        state = last
        for step in range(len(weights) - 1, -1, -1):
            beta[step] = state
            state = (state * weights[step]).dot(backward)
            state /= state.dot(ones)
        joint = alpha * beta
        marginals: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
        return marginals


def exp_scaled(scores: Floats) -> NDArray[np.float64]:
    """Return the exponentials of scores, scaled so that the largest is 1."""
    peak = max(scores.max(), np.finfo(scores.dtype).min)  # finite where all are impossible
    weights: NDArray[np.float64] = np.exp((scores - peak).astype(np.float64))
    return weights
