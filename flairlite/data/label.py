"""A label, and what everything that can carry labels has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

ARROW = " → "
Self = TypeVar("Self", bound="DataPoint")


class Label:
    """A value that a data point has for some label type, with a score between 0 and 1.

    Example:
        >>> from flairlite.data import Sentence
        >>> sentence = Sentence("I love Berlin")
        >>> sentence[2].add_label("upos", "PROPN", 0.9).get_label("upos")
        'Token[2]: "Berlin"'/'PROPN' (0.9)
    """

    __slots__ = ("_score", "_value", "data_point", "metadata", "typename")

    def __init__(
        self, data_point: DataPoint, value: str, score: float = 1.0, *, typename: str | None = None, **metadata: Any
    ) -> None:
        self.data_point = data_point
        self._value = value
        self._score = score
        self.typename = typename
        self.metadata = metadata

    @property
    def value(self) -> str:
        """The label itself, such as `NOUN`."""
        return self._value

    @property
    def score(self) -> float:
        """How sure the model is, between 0 and 1; 1 for gold labels."""
        return self._score

    @property
    def shortstring(self) -> str:
        """The data point's text and the label, as in `"Berlin"/PROPN`."""
        return f'"{self.data_point.text}"/{self.value}'

    @property
    def unlabeled_identifier(self) -> str:
        """The identifier of the data point."""
        return self.data_point.unlabeled_identifier

    @property
    def labeled_identifier(self) -> str:
        """The identifier of the data point, with the label."""
        return f"{self.unlabeled_identifier}/{self.value}"

    @property
    def metadata_str(self) -> str:
        """The metadata as `/key=value/...`, empty when there is none."""
        return "".join(f"/{key}={value}" for key, value in self.metadata.items())

    def to_dict(self) -> dict[str, Any]:
        """Return value and confidence as plain data."""
        return {"value": self.value, "confidence": self.score}

    def __str__(self) -> str:
        return f"{self.unlabeled_identifier}{ARROW}{self.value}{self.metadata_str} ({round(self.score, 4)})"

    def __repr__(self) -> str:
        return f"'{self.unlabeled_identifier}'/'{self.value}'{self.metadata_str} ({round(self.score, 4)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Label):
            return NotImplemented
        return self.value == other.value and self.score == other.score and self.data_point == other.data_point

    def __hash__(self) -> int:
        return hash((self.value, self.score, self.unlabeled_identifier))

    def __lt__(self, other: Label) -> bool:
        return self.data_point.start_position < other.data_point.start_position


class DataPoint(ABC):
    """What can carry labels: a sentence, a token or a span."""

    __slots__ = ()

    @property
    @abstractmethod
    def text(self) -> str:
        """The text of this data point."""

    @property
    @abstractmethod
    def start_position(self) -> int:
        """Offset of the first character."""

    @property
    @abstractmethod
    def end_position(self) -> int:
        """Offset behind the last character."""

    @property
    @abstractmethod
    def unlabeled_identifier(self) -> str:
        """A string that names this data point, without its labels."""

    @abstractmethod
    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return the labels of one type, or of all."""

    @abstractmethod
    def add_label(self: Self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Add a label beside those that are there, and return this data point."""

    @abstractmethod
    def remove_labels(self, label_type: str) -> None:
        """Remove all labels of one type."""

    def set_label(self: Self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Put a label in place of those of its type, and return this data point."""
        self.remove_labels(label_type)
        return self.add_label(label_type, value, score, **metadata)

    def get_label(self, label_type: str | None = None, zero_tag_value: str = "O") -> Label:
        """Return the first label of one type (or of all), or one of value `zero_tag_value` when there is none."""
        labels = self.get_labels(label_type)
        return labels[0] if labels else Label(self, zero_tag_value)

    def has_label(self, label_type: str) -> bool:
        """Tell whether there is a label of this type."""
        return bool(self.get_labels(label_type))

    @property
    def labels(self) -> list[Label]:
        """All labels."""
        return self.get_labels()

    @property
    def tag(self) -> str:
        """The value of the first label."""
        return self.get_label().value

    @property
    def score(self) -> float:
        """The score of the first label."""
        return self.get_label().score

    def _printed_labels(self, label_type: str | None = None, *, with_scores: bool = True) -> str:
        own: Iterator[Label] = (label for label in self.get_labels(label_type) if label.data_point == self)
        if with_scores:
            shown = "; ".join(f"{label.value}{label.metadata_str} ({label.score:.4f})" for label in own)
            return ARROW + shown if shown else ""
        return "".join(f"/{label.value}{label.metadata_str}" for label in own)

    def __str__(self) -> str:
        return self.unlabeled_identifier + self._printed_labels()

    def __repr__(self) -> str:
        return str(self)
