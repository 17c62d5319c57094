"""Limit the memory that a model may use while it is built from the settings in a file."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from flairlite.storage.pickle_reader import ArchiveError

_EXTRA_ELEMENTS, _EXTRA_TENSORS = 1 << 20, 100  # that a model may have in addition to those in its file
_MIN_RECORD_SIZE = 64  # bytes that any tensor takes in a file


class AllocationLimit(TorchFunctionMode):
    """Limits the tensors and elements that are created to what a file can hold, as the sizes in it can be any numbers.

    Args:
        file_size: Bytes of the file; an element of a weight takes at least one byte.
    """

    _FACTORIES = frozenset((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn))

    def __init__(self, file_size: int) -> None:
        super().__init__()
        self._elements_left = file_size + _EXTRA_ELEMENTS
        self._tensors_left = file_size // _MIN_RECORD_SIZE + _EXTRA_TENSORS

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._FACTORIES and kwargs.get("out") is None:
            size = {"size": kwargs["size"]} if "size" in kwargs else {}
            self._elements_left -= torch.empty(*args, **size, device="meta").numel()  # allocates no memory
            self._tensors_left -= 1
            if min(self._elements_left, self._tensors_left) < 0:
                raise ArchiveError("its settings describe a model that is larger than the file")
        return func(*args, **kwargs)
