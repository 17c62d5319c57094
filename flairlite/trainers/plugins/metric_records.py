"""A figure that was measured in training, with its name and its moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class RecordType(Enum):
    """What kind of value a record has."""

    scalar = "scalar"
    image = "image"
    histogram = "histogram"
    string = "string"
    scalar_list = "scalar_list"


class MetricName:
    """The name of a figure, in parts; equal to a tuple of these parts, and to a text with slashes between them.

    Args:
        name: The parts, or the text.
    """

    def __init__(self, name: str | Iterable[str]) -> None:
        self.parts: tuple[str, ...] = _parts(name)

    def __str__(self) -> str:
        return "/".join(self.parts)

    __repr__ = __str__

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int | slice) -> str | MetricName:
        return MetricName(self.parts[place]) if isinstance(place, slice) else self.parts[place]

    def __add__(self, other: str | Iterable[str]) -> MetricName:
        return MetricName((*self.parts, *([other] if isinstance(other, str) else other)))

    def __radd__(self, other: str | Iterable[str]) -> MetricName:
        return MetricName((*([other] if isinstance(other, str) else other), *self.parts))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, MetricName, tuple, list)):
            return self.parts == _parts(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.parts)


def _parts(name: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(name.split("/") if isinstance(name, str) else name)


@dataclass
class MetricRecord:
    """A figure that was measured.

    Attributes:
        name: Its name; a text or a tuple is made a `MetricName`.
        value: Its value.
        global_step: When: the number of the epoch, or of the batch, for figures of batches.
        typ: What kind of value it is.
        walltime: When, in seconds since 1970.
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
        """The name as one text."""
        return str(self.name)

    @classmethod
    def scalar(
        cls, name: str | Iterable[str], value: Any, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Record a number."""
        return cls._of(RecordType.scalar, name, value, global_step, walltime)

    @classmethod
    def scalar_list(
        cls, name: str | Iterable[str], value: list[Any], global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Record several numbers."""
        return cls._of(RecordType.scalar_list, name, value, global_step, walltime)

    @classmethod
    def string(
        cls, name: str | Iterable[str], value: str, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Record a text."""
        return cls._of(RecordType.string, name, value, global_step, walltime)

    @classmethod
    def histogram(
        cls, name: str | Iterable[str], value: Any, global_step: int, *, walltime: float | None = None
    ) -> MetricRecord:
        """Record a distribution."""
        return cls._of(RecordType.histogram, name, value, global_step, walltime)

    @classmethod
    def _of(
        cls, typ: RecordType, name: str | Iterable[str], value: Any, global_step: int, walltime: float | None
    ) -> MetricRecord:
        moment = time.time() if walltime is None else walltime
        return cls(MetricName(name), value, global_step, typ, walltime=moment)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a number."""
        return self.typ is RecordType.scalar

    @property
    def is_scalar_list(self) -> bool:
        """Whether it is several numbers."""
        return self.typ is RecordType.scalar_list

    @property
    def is_string(self) -> bool:
        """Whether it is a text."""
        return self.typ is RecordType.string

    @property
    def is_histogram(self) -> bool:
        """Whether it is a distribution."""
        return self.typ is RecordType.histogram

    def is_type(self, typ: RecordType) -> bool:
        """Tell whether it is of a kind."""
        return self.typ is typ
