"""Read what a pickle says as data: nothing is imported and nothing called, so that it can be judged before that.

It follows the instructions that torch writes for containers and tensors (https://docs.python.org/3/library/pickletools,
`torch.serialization`), and refuses every other.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

MAX_DEPTH = 100  # containers in containers
DTYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
_DICTIONARY, _REBUILD = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class ArchiveError(Exception):
    """What is wrong with a file."""


@dataclass(frozen=True)
class Storage:
    """A record of a file, and the elements that it has room for."""

    dtype: torch.dtype
    size: int


@dataclass(frozen=True)
class TensorOutline:
    """A tensor that lies within its record."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """The name of a class or function; only what `_reduce` and `_record` know is done with it."""

    name: str


class Outline:
    """What is in a pickle: dictionaries, lists and tuples of texts, numbers and outlines of tensors.

    Args:
        structure: The pickle.
        size_of: Returns how many bytes the record of a key has, None where there is no such record.

    Raises:
        ArchiveError: when there is anything else in it, or a tensor does not fit its record.
    """

    def __init__(self, structure: bytes, size_of: Callable[[str], int | None]) -> None:
        self._size_of = size_of
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._beside: list[Any] = []  # what is stored as attributes of dictionaries
        num_steps = 0
        try:
            for opcode, argument, _ in pickletools.genops(structure):
                self._step(opcode.name, argument)
                num_steps += 1
            (self.content,) = self._stack
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"its structure is damaged: {str(error)[:100]}") from error
        _check_plain((self.content, *self._beside), num_steps + 1)

    def _step(self, name: str, argument: Any) -> None:
        push = self._stack.append
        if name in _LITERALS:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name.endswith("GET"):
            push(self._memo[argument])
        elif name.endswith("PUT"):
            self._memo[argument] = self._stack[-1]
        elif name == "MARK":
            self._marks.append(len(self._stack))
        elif name == "GLOBAL":
            push(_Name(argument))
        elif name == "BINPERSID":
            push(self._record(self._stack.pop()))
        elif name == "REDUCE":
            arguments = self._stack.pop()
            push(_reduced(self._stack.pop(), arguments))
        elif name not in ("PROTO", "STOP"):
            self._contain(name)

    def _contain(self, name: str) -> None:
        """Make or fill a container."""
        if name.startswith("EMPTY_"):
            self._stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name == "TUPLE" or name in _TUPLES:
            self._stack.append(tuple(self._popped(_TUPLES.get(name))))
        elif name in ("APPEND", "APPENDS"):
            items = self._popped(1 if name == "APPEND" else None)
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._popped(2 if name == "SETITEM" else None)
            if any(type(key) not in (str, int) for key in items[::2]):
                raise ArchiveError("a key of a dictionary is neither a text nor a number")
            self._top(dict).update(zip(items[::2], items[1::2], strict=True))
        elif name == "BUILD":
            self._beside += self._popped(1)
            self._top(dict)
        else:
            raise ArchiveError(f"it holds objects (pickle opcode {name}), not only containers and tensors")

    def _popped(self, count: int | None) -> list[Any]:
        """Take as many values, or all above the last mark, from the stack."""
        start = self._marks.pop() if count is None else len(self._stack) - count
        if not 0 <= start <= len(self._stack):
            raise IndexError("values are missing")
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise ArchiveError(f"a {kind.__name__} is filled that is none")
        return self._stack[-1]

    def _record(self, pid: Any) -> Storage:
        """Check that a record has the size that the structure says it has."""
        kind, storage, key, _, size = pid
        dtype = DTYPES[storage.name]
        found = self._size_of(key)
        if kind != "storage" or type(size) is not int or found != size * dtype.itemsize:
            raise ArchiveError(f"its record data/{key} has {found} bytes, not {size} elements of {dtype}")
        return Storage(dtype, size)


def _reduced(function: Any, arguments: Any) -> Any:
    """Return what a call would; there are two that may be in a file."""
    if function == _Name(_DICTIONARY) and arguments == ():
        return {}
    if function == _Name(_REBUILD):
        return _tensor(*arguments)
    shown = function.name.replace(" ", ".") if isinstance(function, _Name) else type(function).__name__
    raise ArchiveError(f"it calls {shown[:60]}: it does not hold only containers and tensors")


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, requires_grad: bool, hooks: Any) -> TensorOutline:
    """Check that a tensor lies within its record, and has no more elements than that."""
    numbers = (offset, *shape, *strides)
    if type(storage) is not Storage or hooks or any(type(number) is not int or number < 0 for number in numbers):
        raise ArchiveError("a tensor is not described as torch does it")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    size = math.prod(shape)
    if size > storage.size or (size and last >= storage.size):
        raise ArchiveError(f"a tensor of shape {shape} does not fit its record of {storage.size:,} elements")
    return TensorOutline(shape)


def _check_plain(content: Any, most: int) -> None:
    """Check that there are no more things than were written, in no more containers than anyone needs."""
    left, seen = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > most or depth > MAX_DEPTH:  # things that hold one another would be gone through for ever
            raise ArchiveError("its containers are nested too deeply")
        if isinstance(value, dict):
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, (list, tuple)):
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, (Storage, _Name)):
            raise ArchiveError("it holds objects, not only containers and tensors")
