"""One sentence alone: what a CRF finds for it, by operations whose cost is their call.

On the few numbers of a word, an operation of numpy takes a third of the time of one of torch. The results are those of
`LinearChainCRF.decode` and `ForwardBackward.marginals`, which the tests compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating[Any]]


def decode_single(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Find the best tags of a sentence by Viterbi's algorithm, (1, T).

    Args:
        emissions: (1, T, K) on the CPU; `transitions` are (K, K), `start` and `end` (K,).
    """
    scores = _array(emissions[0]).copy()  # (T, K); becomes the score of the best sequence up to each tag
    into = np.ascontiguousarray(_array(transitions).T)  # (K to, K from)
    moved = np.empty_like(into)
    previous = scores[0]
    previous += _array(start)
    for score in scores[1:]:
        score += np.maximum.reduce(np.add(into, previous, out=moved), axis=1)
        previous = score
    tag = int((previous + _array(end)).argmax())
    path = [tag]
    for score in scores[-2::-1]:
        tag = int((score + into[tag]).argmax())
        path.append(tag)
    return torch.tensor([path[::-1]])


def marginals_single(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Compute the probability of each tag at each word of a sentence, float64 (1, T, K); see `decode_single`."""
    scores = _array(emissions[0]).astype(np.float64)  # (T, K)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    moves, first, last = (_weights(_array(part)) for part in (transitions, start, end))
    before, behind = np.empty_like(weights), np.empty_like(weights)
    ones = np.ones_like(last)  # a product with them takes a third of the time of a sum
    with np.errstate(invalid="ignore", divide="ignore"):  # where all is impossible, nothing is a number
        state = first * weights[0]
        for place, weight in enumerate(weights):
            if place:
                state = state.dot(moves)
                state *= weight
            state /= state.dot(ones)
            before[place] = state
        back = np.ascontiguousarray(moves.T)
        state = last
        for place in range(len(weights) - 1, -1, -1):
            behind[place] = state
            state = (state * weights[place]).dot(back)
            state /= state.dot(ones)
        joint = before * behind
        return torch.from_numpy(joint / joint.sum(axis=1, keepdims=True)).unsqueeze(0)


def _weights(scores: Floats) -> Floats:
    """Return the exponentials of scores, the largest being 1."""
    peak = max(scores.max(), np.finfo(scores.dtype).min)  # finite where all are impossible
    weights: Floats = np.exp((scores - peak).astype(np.float64))
    return weights


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().numpy()
