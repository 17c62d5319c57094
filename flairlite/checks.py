"""Checks of the values that callers pass as settings: each returns the value as a plain Python type."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.errors import SettingError

Check = Callable[[str, Any], Any]  # of the setting's name and its value


def whole_number(*, least: int, below: int = 2**63, optional: bool = False) -> Check:
    """Return a check that takes an integer from `least` to below `below`, Python's, NumPy's or torch's, and no bool."""

    def check(name: str, value: Any) -> int | None:
        if optional and value is None:
            return None
        plain = _unwrap(value)
        if isinstance(plain, bool) or not isinstance(plain, numbers.Integral):
            raise SettingError(f"{name} must be a whole number{_or_none(optional)}; it is {shown(value)}")
        found = int(plain)
        if found < least:
            raise SettingError(f"{name} must be at least {least}; it is {shown(found)}")
        if found >= below:
            raise SettingError(f"{name} must be below {below}; it is {shown(found)}")
        return found

    return check


def number(
    *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf, optional: bool = False
) -> Check:
    """Return a check that takes a finite number within the limits, Python's, NumPy's or torch's, and no bool.

    Integers stay integers.
    """

    def check(name: str, value: Any) -> float | None:
        if optional and value is None:
            return None
        plain = _unwrap(value)
        if isinstance(plain, bool) or not isinstance(plain, numbers.Real):
            raise SettingError(f"{name} must be a number{_or_none(optional)}; it is {shown(value)}")
        try:
            plain = int(plain) if isinstance(plain, numbers.Integral) else float(plain)
            is_finite = math.isfinite(plain)
        except OverflowError:  # of an integer
            is_finite = False
        if not (is_finite and plain >= least and above < plain < below):
            limits = [f"at least {least}" if least > -math.inf else "", f"above {above}" if above > -math.inf else ""]
            limits.append(f"below {below}" if below < math.inf else "")
            wanted = " and ".join(filter(None, limits)) or "finite"
            raise SettingError(f"{name} must be {wanted}; it is {shown(value)}")
        return plain  # type: ignore[no-any-return]

    return check


def number_or_numbers(*, least: float) -> Check:
    """Return a check that takes a number, or a sequence of numbers as a tuple."""
    check_one = number(least=least)

    def check(name: str, value: Any) -> float | tuple[float, ...]:
        if getattr(value, "ndim", 0) == 1:
            value = value.tolist()
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value):
            return tuple(check_one(f"{name}[{index}]", item) for index, item in enumerate(value))
        if not isinstance(value, numbers.Number):
            raise SettingError(f"{name} must be a number or a sequence of numbers; it is {shown(value)}")
        return check_one(name, value)  # type: ignore[no-any-return]

    return check


def flag(name: str, value: Any) -> bool:
    """Take True or False.

    Raises:
        SettingError: If the value is anything else; numbers and texts such as "False" are not read as flags.
    """
    plain = _unwrap(value)
    if not isinstance(plain, bool):
        raise SettingError(f"{name} must be True or False; it is {shown(value)}")
    return plain


def one_of(*choices: str) -> Check:
    """Return a check that takes one of the given strings, in upper or lower case, and returns it as given here."""

    def check(name: str, value: Any) -> str:
        for choice in choices:
            if isinstance(value, str) and value.upper() == choice.upper():
                return choice
        raise SettingError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}")

    return check


def strings(*, count: int | None = None, allow_one: bool = False) -> Check:
    """Return a check that takes several strings as a tuple; None is the empty tuple.

    Args:
        count: The number of strings; None for any number.
        allow_one: Whether to take a single string too.
    """
    wanted = f"{count} strings" if count else "a list of strings"

    def check(name: str, value: Any) -> tuple[str, ...]:
        values = () if value is None and not count else (value,) if allow_one and isinstance(value, str) else value
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise SettingError(f"{name} must be {wanted}; it is {shown(value)}")
        found = tuple(values)
        if not all(isinstance(item, str) for item in found) or len(found) != (count or len(found)):
            raise SettingError(f"{name} must be {wanted}; it is {shown(value)}")
        return tuple(map(str, found))

    return check


def seed(name: str, value: Any) -> int | None:
    """Take a seed that torch accepts, or None.

    Raises:
        SettingError: If the value is not an integer of 64 bits.
    """
    return whole_number(least=-(2**63), below=2**64, optional=True)(name, value)  # type: ignore[no-any-return]


def file_path(name: str, value: Any) -> Path:
    """Take the path of a file, given as `str`, `bytes` or `os.PathLike`; `~` is the home folder.

    Raises:
        SettingError: If the value is not a path, or an empty one.
    """
    return _path(name, value, "file")


def folder_path(name: str, value: Any) -> Path:
    """Take the path of a folder; see `file_path`.

    Raises:
        SettingError: If the value is not a path, or an empty one.
    """
    return _path(name, value, "folder")


def _path(name: str, value: Any, kind: str) -> Path:
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = ""
    if not text or not can_be_path(text) or max(len(part) for part in os.fsencode(text).split(b"/")) > 255:
        raise SettingError(f"{name} must be the path of a {kind}; it is {shown(value)}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SettingError(f"{name} is in the home folder of an unknown user: {text}") from error


def can_be_path(text: str) -> bool:
    """Return whether a file can have this name: without NUL, and without a surrogate that encodes no byte."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def positions(name: str, values: Iterable[Any], size: int) -> list[int]:
    """Take positions in a sequence of `size` items.

    Raises:
        SettingError: If an item is not an integer from 0 to below `size`, or is a bool, as in a mask.
    """
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    if any(type(item).__name__ in ("bool", "bool_") for item in items):  # also NumPy's, without importing NumPy
        raise SettingError(f"{name} must yield positions, which are whole numbers; it yields bools")
    try:
        found = list(map(operator.index, items))
    except TypeError as error:
        raise SettingError(f"{name} must yield positions, which are whole numbers: {error}") from error
    if found and not (min(found) >= 0 and max(found) < size):
        wrong = min(found) if min(found) < 0 else max(found)
        raise SettingError(f"{name} must yield positions from 0 to {size - 1}; one is {wrong}")
    return found


def shown(value: Any) -> str:
    """Return a value for a message, cut to a length that fits into one."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unwrap(value: Any) -> Any:
    """Return the scalar that a scalar or an array without dimensions of NumPy or torch holds; other values as given."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _or_none(optional: bool) -> str:
    return " or None" if optional else ""
