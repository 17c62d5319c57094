"""Functions that models share: the loss over classes, last states of a network, and evaluation mode."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flairlite.tensors import UNLABELLED, copy_to

_lock = threading.Lock()
_evaluations: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # running ones, of modules in training mode


def class_loss(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Compute the cross entropy, summed over the labelled units; a tensor ().

    Args:
        scores: (..., K) score of each class.
        targets: (...) class ids, -1 where there is no label.
        weights: (K,) weight of each class.
    """
    weights = weights.to(scores.dtype)
    return cross_entropy(scores.flatten(0, -2), targets.flatten(), weights, ignore_index=UNLABELLED, reduction="sum")


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, H) of the last words, given all states (B, T, H) and the lengths (B,) on the CPU."""
    rows, columns = (copy_to(index, states.device) for index in (torch.arange(len(states)), lengths - 1))
    return states[rows, columns]


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and back into training mode if it was in it.

    Several threads may evaluate one module at the same time; the last one restores training mode.
    """
    with _lock:
        is_counted = module.training or module in _evaluations
        if is_counted:
            _evaluations[module] = _evaluations.get(module, 0) + 1
        if module.training:
            module.eval()
    try:
        yield
    finally:
        if is_counted:
            with _lock:
                _evaluations[module] -= 1
                if not _evaluations[module]:
                    del _evaluations[module]
                    module.train()
