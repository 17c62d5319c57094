"""Labels of data points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flairlite.data.label_values import check_score, check_value

if TYPE_CHECKING:
    from flairlite.data.data_points import DataPoint
    from flairlite.data.label_store import LabelStore

ARROW = " → "
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Label:
    """A value that a data point has for a label type, with a score between 0 and 1.

    The first label of a token is stored in a column of its sentence. Its `Label` object is a copy that is made when it
    is read: `value` and `score` stay as they were read, while `set_value` and `metadata` change the stored label.

    Raises:
        LabelError: If the value is empty or missing, or the score is not a number between 0 and 1.

    Example:
        >>> from flairlite.data import Sentence
        >>> sentence = Sentence("I love Berlin")
        >>> sentence[2].add_label("upos", "PROPN", 0.9).get_label("upos")
        'Token[2]: "Berlin"'/'PROPN' (0.9)
    """

    __slots__ = ("_metadata", "_score", "_value", "data_point", "typename")

    _metadata: dict[str, Any] | None

    def __init__(
        self, data_point: DataPoint, value: str, score: float = 1.0, *, typename: str | None = None, **metadata: Any
    ) -> None:
        self.data_point = data_point
        self._value, self._score = check_value(value), check_score(score)
        self.typename = typename
        self._metadata = metadata or None

    @classmethod
    def _unchecked(cls, data_point: DataPoint, value: str, score: float = 1.0, typename: str | None = None) -> Label:
        label = cls.__new__(cls)
        label.data_point, label._value, label._score, label.typename = data_point, value, score, typename
        label._metadata = None
        return label

    @property
    def value(self) -> str:
        """The label itself, such as `NOUN`."""
        return self._value

    @property
    def score(self) -> float:
        """The probability of the label, between 0 and 1; 1 for gold labels."""
        return self._score

    @property
    def metadata(self) -> dict[str, Any]:
        """Further properties of the label, by name."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    def _metadata_to_read(self) -> Mapping[str, Any]:
        return self._metadata or EMPTY

    def set_value(self, value: str, score: float = 1.0) -> None:
        """Change value and score, here and in the sentence."""
        self._value, self._score = check_value(value), check_score(score)

    @property
    def shortstring(self) -> str:
        """Text of the data point and label, as in `"Berlin"/PROPN`."""
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
        """The metadata as `/key=value/...`; empty without metadata."""
        return "".join(f"/{key}={value}" for key, value in self._metadata_to_read().items())

    def to_dict(self) -> dict[str, Any]:
        """Return value and score as plain data."""
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


class TokenLabel(Label):
    """The first label of a token, read from its column; changes are written to the store."""

    __slots__ = ()

    @property
    def metadata(self) -> dict[str, Any]:
        """Further properties of the label, by name."""
        if self._metadata is None:
            self._metadata = _TokenMetadata(self, self._store.token_metadata(*self._key))
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._store.set_token_metadata(*self._key, metadata)
        self._metadata = metadata

    def _metadata_to_read(self) -> Mapping[str, Any]:
        return self._store.token_metadata(*self._key) if self._metadata is None else self._metadata

    def set_value(self, value: str, score: float = 1.0) -> None:
        """Change value and score, here and in the sentence."""
        super().set_value(value, score)
        self._store.set_value(*self._key, self._value, self._score)

    @property
    def _store(self) -> LabelStore:
        return self.data_point._home._labels

    @property
    def _key(self) -> tuple[str, Any]:
        return str(self.typename), self.data_point._location


class _TokenMetadata(dict[str, Any]):
    """A copy of the metadata of a token's label that writes each change to the store; reading stores nothing."""

    __slots__ = ("_label",)

    def __init__(self, label: TokenLabel, stored: Mapping[str, Any]) -> None:
        super().__init__(stored)
        self._label = label

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _then_write(name: str) -> Callable[..., Any]:
    """Return a method of `dict` that also makes its change in the store, where other entries may have changed since."""
    change = getattr(dict, name)

    def method(self: _TokenMetadata, *args: Any, **kwargs: Any) -> Any:
        before = dict(self)
        result = change(self, *args, **kwargs)
        store, key = self._label._store, self._label._key
        kept = {name: value for name, value in store.token_metadata(*key).items() if name in self or name not in before}
        changed = {name: value for name, value in self.items() if name not in before or before[name] is not value}
        store.set_token_metadata(*key, kept | changed)
        return result

    return method


for _name in ("__setitem__", "__delitem__", "__ior__", "update", "setdefault", "pop", "popitem", "clear"):
    setattr(_TokenMetadata, _name, _then_write(_name))
