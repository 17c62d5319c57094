"""Metrics recorded during training, with name, value and step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

_Name = str | Iterable[str]


class RecordType(Enum):
    """The type of the value of a record."""

    scalar = "scalar"
    image = "image"
    histogram = "histogram"
    string = "string"
    scalar_list = "scalar_list"


class MetricName:
    """The name of a metric, equal to the tuple of its parts and to the string that joins them by slashes.

    Args:
        name: The parts, or the joined string.
    """

    def __init__(self, name: _Name) -> None:
        self.parts: tuple[str, ...] = _to_parts(name)

    def __str__(self) -> str:
        return "/".join(self.parts)

    __repr__ = __str__

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int | slice) -> str | MetricName:
        return MetricName(self.parts[index]) if isinstance(index, slice) else self.parts[index]

    def __add__(self, other: _Name) -> MetricName:
        return MetricName((*self.parts, *([other] if isinstance(other, str) else other)))

    def __radd__(self, other: _Name) -> MetricName:
        return MetricName((*([other] if isinstance(other, str) else other), *self.parts))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, MetricName, tuple, list)):
            return self.parts == _to_parts(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.parts)


def _to_parts(name: _Name) -> tuple[str, ...]:
    return tuple(name.split("/") if isinstance(name, str) else name)


@dataclass(init=False)
class MetricRecord:
    """A recorded metric.

    Attributes:
        name: The name; a string or a tuple is converted.
        value: The value.
        global_step: The epoch; for metrics of batches, the number of batches over all epochs.
        typ: The type of the value.
        walltime: The time in seconds since 1970; by default now.
    """

    name: MetricName
    value: Any
    global_step: int
    typ: RecordType
    walltime: float

    def __init__(
        self, name: _Name, value: Any, global_step: int, typ: RecordType, *, walltime: float | None = None
    ) -> None:
        self.name, self.value, self.global_step, self.typ = MetricName(name), value, global_step, typ
        self.walltime = time.time() if walltime is None else walltime

    @property
    def joined_name(self) -> str:
        """The name as a string."""
        return str(self.name)

    @classmethod
    def scalar(cls, name: _Name, value: Any, global_step: int, *, walltime: float | None = None) -> MetricRecord:
        """Return a record of a number."""
        return cls(name, value, global_step, RecordType.scalar, walltime=walltime)

    @classmethod
    def scalar_list(
        cls, name: _Name, value: list[Any], global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Return a record of several numbers."""
        return cls(name, value, global_step, RecordType.scalar_list, walltime=walltime)

    @classmethod
    def string(cls, name: _Name, value: str, global_step: int, *, walltime: float | None = None) -> MetricRecord:
        """Return a record of a string."""
        return cls(name, value, global_step, RecordType.string, walltime=walltime)

    @classmethod
    def histogram(cls, name: _Name, value: Any, global_step: int, *, walltime: float | None = None) -> MetricRecord:
        """Return a record of a distribution."""
        return cls(name, value, global_step, RecordType.histogram, walltime=walltime)

    @property
    def is_scalar(self) -> bool:
        """Whether the value is a number."""
        return self.typ is RecordType.scalar

    @property
    def is_scalar_list(self) -> bool:
        """Whether the value is a list of numbers."""
        return self.typ is RecordType.scalar_list

    @property
    def is_string(self) -> bool:
        """Whether the value is a string."""
        return self.typ is RecordType.string

    @property
    def is_histogram(self) -> bool:
        """Whether the value is a distribution."""
        return self.typ is RecordType.histogram

    def is_type(self, typ: RecordType) -> bool:
        """Tell whether the value has the given type."""
        return self.typ is typ
