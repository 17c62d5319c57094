"""Metrics recorded during training, with name, value and step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


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

    def __init__(self, name: str | Iterable[str]) -> None:
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

    def __add__(self, other: str | Iterable[str]) -> MetricName:
        return MetricName((*self.parts, *([other] if isinstance(other, str) else other)))

    def __radd__(self, other: str | Iterable[str]) -> MetricName:
        return MetricName((*([other] if isinstance(other, str) else other), *self.parts))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, MetricName, tuple, list)):
            return self.parts == _to_parts(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.parts)


def _to_parts(name: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(name.split("/") if isinstance(name, str) else name)


@dataclass
class MetricRecord:
    """A recorded metric.

    Attributes:
        name: The name; a string or a tuple is converted.
        value: The value.
        global_step: The epoch, or the batch, counted over all epochs, for metrics of batches.
        typ: The type of the value.
        walltime: The time in seconds since 1970.
    """

    name: MetricName
    value: Any
    global_step: int
    typ: RecordType
    walltime: float = field(default_factory=time.time, kw_only=True)

    def __post_init__(self) -> None:
        self.name = MetricName(self.name)

    @property
    def joined_name(self) -> str:
        """The name as a string."""
        return str(self.name)

    @classmethod
    def scalar(
        cls, name: str | Iterable[str], value: Any, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Return a record of a number."""
        return cls._make(RecordType.scalar, name, value, global_step, walltime)

    @classmethod
    def scalar_list(
        cls, name: str | Iterable[str], value: list[Any], global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Return a record of several numbers."""
        return cls._make(RecordType.scalar_list, name, value, global_step, walltime)

    @classmethod
    def string(
        cls, name: str | Iterable[str], value: str, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Return a record of a string."""
        return cls._make(RecordType.string, name, value, global_step, walltime)

    @classmethod
    def histogram(
        cls, name: str | Iterable[str], value: Any, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Return a record of a distribution."""
        return cls._make(RecordType.histogram, name, value, global_step, walltime)

    @classmethod
    def _make(
        cls, typ: RecordType, name: str | Iterable[str], value: Any, global_step: int, walltime: float | None
    ) -> MetricRecord:
        seconds = time.time() if walltime is None else walltime
        return cls(MetricName(name), value, global_step, typ, walltime=seconds)

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
