"""Tensor helpers for all parts of the package."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from flairlite.errors import ModelFileError, SettingError

UNLABELLED = -1  # class id of a word or sentence without a label

_SAME_VALUES = {torch.uint8: (torch.uint8,), torch.int64: (torch.uint8, torch.int16, torch.int32, torch.int64)}


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on `device`; a copy to CUDA is asynchronous."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def copy_into(target: Tensor, tensor: Tensor) -> None:
    """Overwrite `target` by a tensor of its shape; a copy to CUDA is asynchronous."""
    is_upload = target.device.type == "cuda" and tensor.device.type == "cpu"
    target.copy_(tensor.pin_memory() if is_upload else tensor, non_blocking=is_upload)


def start_copies(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Callable[[], None]]:
    """Start to copy tensors to the CPU, and return the copies, with a function that waits until they are complete."""
    if not tensors or tensors[0].device.type != "cuda":
        return [tensor.cpu() for tensor in tensors], lambda: None
    copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor, non_blocking=True)
    return copies, torch.cuda.current_stream(tensors[0].device).record_event().synchronize


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


def get_array(
    tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, *, ndim: int, owner: str = "word vectors"
) -> NDArray[Any]:
    """Return a tensor of a model file as an array of `dtype`; the file may store it in a smaller or larger type.

    Raises:
        ModelFileError: If there is no such tensor, with `owner` as the name of what it belongs to.
    """
    tensor = tensors.get(name)
    if isinstance(tensor, Tensor):
        is_of_kind = tensor.is_floating_point() if dtype.is_floating_point else tensor.dtype in _SAME_VALUES[dtype]
        if tensor.ndim == ndim and is_of_kind:
            array: NDArray[Any] = tensor.detach().to("cpu", dtype).contiguous().numpy()
            return array
        found = f"{tuple(tensor.shape)} of {tensor.dtype}"
    else:
        found = type(tensor).__name__
    raise ModelFileError(
        f"{name!r} of the {owner} must be a {ndim}-dimensional tensor of {dtype}, got {found}: "
        "copy or save the model again"
    )
