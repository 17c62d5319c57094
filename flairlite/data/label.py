"""A label: a value that a sentence, a token or a span has for some label type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flairlite.data.data_point import DataPoint

ARROW = " → "


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

    def set_value(self, value: str, score: float = 1.0) -> None:
        """Change value and score, also where the data point keeps them."""
        self._value, self._score = value, score

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
        return self.data_point < other.data_point
