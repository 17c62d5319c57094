"""Read a pickle as data: nothing is imported, no object of a class is made, and only listed functions are called.

Python's own `pickle.Unpickler` with a restricted `find_class` would not be enough: a pickle of 20 bytes can make it
allocate gigabytes, and instructions that fill objects can change the classes that it is given.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flairlite.errors import ModelFileError

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_LITERALS = frozenset((*_TEXTS, *_BYTES, "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list,
}  # fmt: skip
ORDERED_DICT: Mapping[str, Callable[..., Any]] = {"collections OrderedDict": lambda: {}}  # filled by instructions
_IGNORED = frozenset(("PROTO", "FRAME", "STOP"))
_MAX_DEPTH = 100  # of nested containers
_MAX_SHARED = 10  # values per instruction


class ArchiveError(ModelFileError):
    """A file is damaged, or holds more than it may."""


@dataclass(frozen=True)
class Name:
    """The name of a class or function, which is never imported.

    Attributes:
        name: The module and the qualified name, separated by a blank.
    """

    name: str

    def __str__(self) -> str:
        return self.name.replace(" ", ".")[:100]


@dataclass(eq=False)
class Instance:
    """An object of a class, as the values that it was pickled with.

    Attributes:
        kind: The class.
        arguments: What it was constructed with.
        state: What was set afterwards: its attributes, or what its class makes of the value.
    """

    kind: Name
    arguments: tuple[Any, ...]
    state: Any = None


class PickleReader:
    """The content of a pickle of protocol 2 to 5; sets are lists.

    Args:
        pickle: The pickle.
        names: The classes and functions that the pickle may name, as `module name`, with the function that is called
            in their place; None makes an `Instance`.
        read_record: Returns what a persistent id refers to; None if the pickle may have none.

    Raises:
        ArchiveError: If the pickle is damaged, names anything else, or has instructions that data does not need.
    """

    key_types: tuple[type, ...] = (str, int, bytes)

    def __init__(
        self,
        pickle: bytes,
        names: Mapping[str, Callable[..., Any] | None],
        read_record: Callable[[Any], Any] | None = None,
    ) -> None:
        self._names, self._read_record = names, read_record
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._attributes: list[Any] = []  # of dictionaries
        self.num_steps = 0
        try:
            for opcode, argument, _ in pickletools.genops(pickle):
                self._step(opcode.name, argument)
                self.num_steps += 1
            (self.content,) = self._stack
        except ArchiveError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArchiveError(f"its pickle is damaged: {str(error)[:100]}") from error

    def walk(self, content: Any) -> Iterator[Any]:
        """Yield a value of the pickle and all values in it, each as often as it occurs.

        A pickle of 200 bytes can hold lists of the same lists that have more values than any program can visit.

        Raises:
            ArchiveError: If containers are nested too deeply, or contain others too often, or themselves.
        """
        left, num_left = [(content, 0)], _MAX_SHARED * (self.num_steps + 1)
        while left:
            value, depth = left.pop()
            num_left -= 1
            if num_left < 0 or depth > _MAX_DEPTH:
                raise ArchiveError("its containers are nested too deeply, or contain each other too often")
            yield value
            if isinstance(value, Instance):
                left += [(value.arguments, depth + 1), (value.state, depth + 1)]
            elif isinstance(value, (dict, list, tuple)):
                left += [(item, depth + 1) for item in (value.values() if isinstance(value, dict) else value)]

    def _step(self, name: str, argument: Any) -> None:
        push = self._stack.append
        if name in _LITERALS:
            push(argument)
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name.endswith("GET"):
            push(self._memo[int(argument)])
        elif name.endswith("PUT"):
            self._memo[int(argument)] = self._stack[-1]
        elif name == "MARK":
            self._marks.append(len(self._stack))
        elif name not in _IGNORED:
            self._contain(name, argument)

    def _contain(self, name: str, argument: Any) -> None:
        """Create or fill a container."""
        if name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name == "TUPLE" or name in _TUPLES:
            self._stack.append(tuple(self._pop(_TUPLES.get(name))))
        elif name == "FROZENSET":
            self._stack.append(self._pop(None))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self._pop(1 if name == "APPEND" else None)
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._pop(2 if name == "SETITEM" else None)
            if any(type(key) not in self.key_types for key in items[::2]):
                raise ArchiveError("a dictionary key is neither a string nor an integer")
            self._top(dict).update(zip(items[::2], items[1::2], strict=True))
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """Name, create or fill an object."""
        push = self._stack.append
        if name == "GLOBAL":
            push(Name(argument))
        elif name == "STACK_GLOBAL":
            module, qualified = self._pop(2)
            if type(module) is not str or type(qualified) is not str:
                raise ArchiveError("a name in its pickle is not text")
            push(Name(f"{module} {qualified}"))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = self._pop(2)
            push(self._call(function, arguments))
        elif name == "BUILD":
            (state,) = self._pop(1)
            self._fill(self._stack[-1], state)
        elif name == "BINPERSID" and self._read_record is not None:
            push(self._read_record(self._stack.pop()))
        else:
            shown = f"{name} {argument}" if isinstance(argument, str) else name
            raise ArchiveError(f"it holds objects (pickle opcode {shown[:100]}), not only containers and tensors")

    def _call(self, function: Any, arguments: Any) -> Any:
        try:
            replacement = self._names[function.name if isinstance(function, Name) else ""]
        except KeyError:
            shown = function if isinstance(function, Name) else type(function).__name__
            raise ArchiveError(f"it calls {shown}, so it holds more than containers and tensors") from None
        if type(arguments) is not tuple:
            raise ArchiveError(f"it calls {function} without arguments")
        return Instance(function, arguments) if replacement is None else replacement(*arguments)

    def _fill(self, target: Any, state: Any) -> None:
        if isinstance(target, Instance):
            target.state = state
        elif type(target) is dict:
            self._attributes.append(state)
        else:
            raise ArchiveError(f"attributes are set on a {type(target).__name__}, which has none")

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
