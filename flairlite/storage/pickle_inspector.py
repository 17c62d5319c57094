"""Inspect a pickle without unpickling it: nothing is imported and nothing is called.

The inspector follows the opcodes that `torch.save` writes for containers and tensors (see the `pickletools` module of
Python and `torch.serialization`), and rejects all others.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flairlite.errors import ModelFileError

MAX_DEPTH = 100  # of nested containers
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
_DICTIONARY, _REBUILD = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class ArchiveError(ModelFileError):
    """A model file is damaged, or holds more than plain containers and tensors."""


@dataclass(frozen=True)
class Storage:
    """A record of a file, with the number and the bytes of its elements."""

    size: int
    element_bytes: int


@dataclass(frozen=True)
class TensorInfo:
    """A tensor that does not exceed its record.

    Attributes:
        shape: Its shape.
        num_bytes: Bytes of its elements.
    """

    shape: tuple[int, ...]
    num_bytes: int


@dataclass(frozen=True)
class _Name:
    """The name of a class or function, which is never imported."""

    name: str


class PickleInspector:
    """The content of a pickle: dictionaries, lists and tuples of strings, numbers and `TensorInfo` objects.

    Args:
        pickle: The pickle.
        size_of: Returns the size of the record with a key in bytes, or None if there is no such record.

    Raises:
        ArchiveError: If the pickle has anything else, or a tensor exceeds its record.
    """

    def __init__(self, pickle: bytes, size_of: Callable[[str], int | None]) -> None:
        self._size_of = size_of
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._attributes: list[Any] = []  # of dictionaries
        num_steps = 0
        try:
            for opcode, argument, _ in pickletools.genops(pickle):
                self._step(opcode.name, argument)
                num_steps += 1
            (self.content,) = self._stack
        except ArchiveError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"its pickle is damaged: {str(error)[:100]}") from error
        _check_plain((self.content, *self._attributes), num_steps + 1)

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
            push(_reduce(self._stack.pop(), arguments))
        elif name not in ("PROTO", "STOP"):
            self._contain(name)

    def _contain(self, name: str) -> None:
        """Create or fill a container."""
        if name.startswith("EMPTY_"):
            self._stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name == "TUPLE" or name in _TUPLES:
            self._stack.append(tuple(self._pop(_TUPLES.get(name))))
        elif name in ("APPEND", "APPENDS"):
            items = self._pop(1 if name == "APPEND" else None)
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._pop(2 if name == "SETITEM" else None)
            if any(type(key) not in (str, int) for key in items[::2]):
                raise ArchiveError("a dictionary key is neither a string nor an integer")
            self._top(dict).update(zip(items[::2], items[1::2], strict=True))
        elif name == "BUILD":
            self._attributes += self._pop(1)
            self._top(dict)
        else:
            raise ArchiveError(f"it holds objects (pickle opcode {name}), not only containers and tensors")

    def _pop(self, count: int | None) -> list[Any]:
        """Remove `count` values, or all above the last mark, from the stack."""
        start = self._marks.pop() if count is None else len(self._stack) - count
        if not 0 <= start <= len(self._stack):
            raise IndexError("values are missing")
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise ArchiveError(f"an item is added to a container that is not a {kind.__name__}")
        return self._stack[-1]

    def _record(self, pid: Any) -> Storage:
        """Check that a record has the declared size."""
        kind, storage, key, _, size = pid
        dtype, element_bytes = DTYPES[storage.name]
        found = self._size_of(key)
        if kind != "storage" or type(size) is not int or found != size * element_bytes:
            raise ArchiveError(f"its record data/{key} has {found} bytes, not {size} elements of torch.{dtype}")
        return Storage(size, element_bytes)


def _reduce(function: Any, arguments: Any) -> Any:
    """Return the result of a call of one of the two functions that a file may contain."""
    if function == _Name(_DICTIONARY) and arguments == ():
        return {}
    if function == _Name(_REBUILD):
        return _tensor(*arguments)
    shown = function.name.replace(" ", ".") if isinstance(function, _Name) else type(function).__name__
    raise ArchiveError(f"it calls {shown[:60]}, so it holds more than containers and tensors")


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, requires_grad: bool, hooks: Any) -> TensorInfo:
    """Check that a tensor does not exceed its record."""
    integers = (offset, *shape, *strides)
    if type(storage) is not Storage or hooks or any(type(value) is not int or value < 0 for value in integers):
        raise ArchiveError("a tensor is not described as torch describes it")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    size = math.prod(shape)
    if size > storage.size or (size and last >= storage.size):
        raise ArchiveError(f"a tensor of shape {shape} does not fit its record of {storage.size:,} elements")
    return TensorInfo(shape, size * storage.element_bytes)


def _check_plain(content: Any, max_values: int) -> None:
    """Check that the content has at most `max_values` values, and that containers are not nested too deeply."""
    left, num_seen = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        num_seen += 1
        if num_seen > max_values or depth > MAX_DEPTH:  # a container that contains itself would never end
            raise ArchiveError("its containers are nested too deeply")
        if isinstance(value, dict):
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, (list, tuple)):
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, (Storage, _Name)):
            raise ArchiveError("it holds objects, not only containers and tensors")
