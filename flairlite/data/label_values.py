"""Checks of label types, values, scores and counts, and the features that a label value may hold."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from functools import lru_cache
from numbers import Real
from typing import Any

from flairlite.errors import LabelError, SettingError

_PLAIN = frozenset((str, type(None)))
_MAX_SCORE = 1.0001  # rounding lifts some float32 probabilities slightly above 1


def to_plain_str(value: Any) -> str | None:
    """Return a string, also one of NumPy or of an enumeration, as a plain `str`; None for any other type."""
    value = value.value if isinstance(value, Enum) else value
    return value if type(value) is str else str.__str__(value) if isinstance(value, str) else None


def check_value(value: Any) -> str:
    """Return a label value as a plain string: the text of strings, of enumerations of strings and of numbers.

    Raises:
        LabelError: If the value is empty or missing (None, NaN, NA), or has another type.
    """
    if type(value) is str and value:
        return value
    text = to_plain_str(value)
    if text is None and not isinstance(value, Enum) and is_number(value):
        text = str(value)
    if not text:
        raise LabelError(
            f"a label value must be a string that is not empty, not {value!r:.60} ({type(value).__name__}). Give a "
            "string; to leave a data point without a label, add none"
        )
    return text


def check_values(values: Sequence[Any]) -> list[str | None]:
    """Return the label values of all tokens as a list of plain strings, with None for tokens without a label.

    Raises:
        LabelError: As `check_value`, or if `values` is not a list.
    """
    listed = values if type(values) is list else _to_list(values, "values")
    if not _PLAIN.issuperset(map(type, listed)) or (not all(listed) and "" in listed):
        return [None if value is None else check_value(value) for value in listed]
    return list(listed)


def check_type(label_type: Any) -> str:
    """Return a label type as a plain string.

    Raises:
        SettingError: If it is not a string, or empty.
    """
    if type(label_type) is str and label_type:
        return label_type
    name = to_plain_str(label_type)
    if not name:
        raise SettingError(f"a label type must be a string that is not empty, such as 'upos', not {label_type!r:.60}")
    return name


def check_type_or_all(label_type: Any) -> str | None:
    """Return a label type as `check_type` does, or None, which means all types."""
    return None if label_type is None else check_type(label_type)


def check_score(score: Any) -> float:
    """Return a score as a `float`.

    Raises:
        LabelError: If it is not a number between 0 and 1.
    """
    if type(score) is float and 0 <= score <= _MAX_SCORE:
        return score
    try:
        number = -1.0 if isinstance(score, (str, bytes, bool)) else float(score)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= _MAX_SCORE:
        raise LabelError(f"the score of a label must be a number between 0 and 1, not {score!r:.60}")
    return number


def check_scores(scores: Sequence[Any]) -> list[float]:
    """Return scores as a list of `float`, see `check_score`."""
    listed = scores if type(scores) is list else _to_list(scores, "scores")
    try:
        total = sum(listed)  # of type float if all are, and NaN if one of them is
        if type(total) is float and total == total and min(listed) >= 0 and max(listed) <= _MAX_SCORE:
            return list(listed)
    except TypeError:
        pass
    return list(map(check_score, listed))


def _to_list(values: Any, name: str) -> list[Any]:
    if isinstance(values, (str, bytes)):
        raise LabelError(f"label {name} must be a list, not the single value {values!r:.60}: give [{values!r:.60}]")
    if isinstance(values, (Set, Mapping)) or not isinstance(values, Iterable):  # a set has no order
        raise LabelError(f"label {name} must be a list, not {values!r:.60} ({type(values).__name__})")
    return list(values)


def check_count(value: Any, name: str) -> int:
    """Return an integer of 0 or more as an `int`.

    Raises:
        SettingError: If `value` is anything else.
    """
    if hasattr(value, "__index__") and not isinstance(value, bool) and value >= 0:
        return int(operator.index(value))
    raise SettingError(f"{name} must be an integer of 0 or more, not {value!r:.60}")


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite real number or a boolean, also one of NumPy."""
    if isinstance(value, Real):
        return bool(value - value == 0)  # NaN for NaN and infinity
    return type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy"


def is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN (which does not equal itself) or pandas' NA or NaT."""
    return (
        value is None or (isinstance(value, Real) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


@lru_cache(maxsize=65536)  # a treebank repeats a few hundred feature sets
def parse_features(features: str | None) -> dict[str, str]:
    """Return the morphological features of Universal Dependencies by name; the result is shared, do not change it.

    Example:
        >>> parse_features("Mood=Ind|Number=Sing")
        {'Mood': 'Ind', 'Number': 'Sing'}
    """
    if not features:
        return {}
    from conllu.parser import parse_dict_value

    return {name: value for name, value in (parse_dict_value(features) or {}).items() if value is not None}


@lru_cache(maxsize=65536)
def _lower_features(features: str | None) -> dict[str, str]:
    """Return the features under lower-case names, as Flair has them."""
    return {name.lower(): value for name, value in parse_features(features).items()}


def feature_of(features: str | None, name: str) -> str | None:
    """Return the value of a morphological feature, which may be named in lower case, or None."""
    value = parse_features(features).get(name)
    return _lower_features(features).get(name) if value is None and name.islower() else value
