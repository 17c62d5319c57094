"""Tensor helpers for all parts of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

UNLABELLED = -1  # class id of a word or sentence without a label


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on `device`; a copy to CUDA is asynchronous."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply a function to each tensor in nested tuples, and leave other values as they are."""
    if isinstance(tree, Tensor):
        return function(tree)
    return tuple(map_tensors(function, branch) for branch in tree) if isinstance(tree, tuple) else tree
