"""Helpers on tensors that every part of the package may import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

UNLABELLED = -1  # class id of a word or sentence without a label


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on `device`; a copy to CUDA does not wait for it."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply a function to each tensor of nested tuples; what else is in them stays as it is."""
    if isinstance(tree, Tensor):
        return function(tree)
    return tuple(map_tensors(function, branch) for branch in tree) if isinstance(tree, tuple) else tree
