"""Losses over classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from flairlite.tensors import UNLABELLED


def class_loss(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Compute the cross entropy, summed over what has a class.

    Args:
        scores: (..., K) a score of each class.
        targets: (...) the right ones; -1 for none.
        weights: (K,) how much each class counts.

    Returns:
        A tensor ().
    """
    weights = weights.to(scores.dtype)
    return cross_entropy(scores.flatten(0, -2), targets.flatten(), weights, ignore_index=UNLABELLED, reduction="sum")
