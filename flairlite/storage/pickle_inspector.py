"""Inspect the pickle in a model file without unpickling it; see `torch.serialization` for what `torch.save` writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flairlite.storage.pickle_reader import ORDERED_DICT, ArchiveError, Name, PickleReader

DTYPES = {  # name in torch and bytes of an element, by the name of the storage class
    "torch DoubleStorage": ("float64", 8),
    "torch FloatStorage": ("float32", 4),
    "torch HalfStorage": ("float16", 2),
    "torch BFloat16Storage": ("bfloat16", 2),
    "torch LongStorage": ("int64", 8),
    "torch IntStorage": ("int32", 4),
    "torch ShortStorage": ("int16", 2),
    "torch CharStorage": ("int8", 1),
    "torch ByteStorage": ("uint8", 1),
    "torch BoolStorage": ("bool", 1),
}
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"


@dataclass(frozen=True)
class Storage:
    """A record of a file.

    Attributes:
        dtype: The name of its type in torch.
        element_bytes: Bytes of an element.
        size: The number of its elements.
        key: Its name.
    """

    dtype: str
    element_bytes: int
    size: int
    key: str


@dataclass(frozen=True)
class TensorInfo:
    """A tensor that does not exceed its record.

    Attributes:
        shape: Its shape.
        num_bytes: Bytes of its elements.
    """

    shape: tuple[int, ...]
    num_bytes: int


class PickleInspector(PickleReader):
    """The content of a pickle: dictionaries, lists and tuples of strings, numbers and `TensorInfo` objects.

    Args:
        pickle: The pickle.
        size_of: Returns the size of the record with a key in bytes, or None if there is no such record.

    Raises:
        ArchiveError: If the pickle has anything else, or a tensor exceeds its record.
    """

    key_types = (str, int)

    def __init__(self, pickle: bytes, size_of: Callable[[str], int | None]) -> None:
        super().__init__(
            pickle,
            {**ORDERED_DICT, REBUILD_TENSOR: check_tensor},
            lambda pid: check_storage(pid, size_of),
        )
        _check_plain(self.walk((self.content, *self._attributes)))


def check_storage(pid: Any, size_of: Callable[[str], int | None]) -> Storage:
    """Return the record that a persistent id of torch describes, after checking that it has the declared size.

    Raises:
        ArchiveError: If it has another size, or is missing.
    """
    kind, storage, key, _, size = pid
    if type(key) is not str:
        raise ArchiveError("the name of a record is not text")
    dtype, element_bytes = DTYPES[storage.name]
    found = size_of(key)
    if kind != "storage" or type(size) is not int or found != size * element_bytes:
        raise ArchiveError(f"its record data/{key} has {found} bytes, not {size} elements of torch.{dtype}")
    return Storage(dtype, element_bytes, size, key)


def check_tensor(
    storage: Storage, offset: int, shape: Any, strides: Any, requires_grad: bool, hooks: Any
) -> TensorInfo:
    """Return the description of a tensor, after checking that it does not exceed its record.

    Raises:
        ArchiveError: If it does, or is not described as torch describes tensors.
    """
    integers = (offset, *shape, *strides)
    if type(storage) is not Storage or hooks or any(type(value) is not int or value < 0 for value in integers):
        raise ArchiveError("a tensor is not described as torch describes it")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    size = math.prod(shape)
    if size > storage.size or (size and last >= storage.size):
        raise ArchiveError(f"a tensor of shape {shape} does not fit its record of {storage.size:,} elements")
    return TensorInfo(shape, size * storage.element_bytes)


def _check_plain(values: Iterable[Any]) -> None:
    """Check that there are no objects among the values."""
    if any(isinstance(value, (Storage, Name, bytes, bytearray)) for value in values):
        raise ArchiveError("it holds objects, not only containers and tensors")
