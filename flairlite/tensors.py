"""Tensor helpers for all parts of the package."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from flairlite.errors import SettingError

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


def check_size(name: str, value: Any) -> int:
    """Return a dimension of a layer as an `int`.

    Raises:
        SettingError: If the value is not an integer of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise SettingError(f"{name} must be a whole number of at least 1; it is {value!r:.80}")
    return int(value)
