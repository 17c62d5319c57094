"""Labels, and the store that holds those of a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.data.label_values import check_score, check_type, check_value, feature_of
from flairlite.data.text_layout import Location, is_within
from flairlite.errors import SettingError

if TYPE_CHECKING:
    from flairlite.data.data_points import DataPoint, Token


ARROW = " → "
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Label:
    """A value that a data point has for a label type, with a score between 0 and 1.

    The first label of a token is stored in a column of its sentence. Its `Label` object is a copy that is made when it
    is read: `value` and `score` stay as they were read, while `set_value` and `metadata` change the stored label.

    Raises:
        LabelError: If the value is empty or missing, or the score is not a number between 0 and 1.
        SettingError: If `data_point` is not a sentence, token or span.

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
        if not hasattr(data_point, "unlabeled_identifier"):
            kind = type(data_point).__name__
            raise SettingError(f"a label belongs to a sentence, token or span, such as sentence[0], not to a {kind}")
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


Column = Sequence[str | None]
_Value = TypeVar("_Value")
_OF_PARTS = ""  # not a label type: the key of the metadata of tokens and spans themselves


class LabelStore:
    """The labels of a sentence, of its tokens and of its spans, by label type, and the metadata of tokens and spans.

    The first label of each token is a plain value in a column, beside which scores and metadata are kept where there
    are any. All other labels are objects, by location.

    Args:
        columns: Values of the tokens by label type. Types may share a tuple: it is replaced by a list when a value
            changes.
    """

    __slots__ = ("_columns", "_metadata", "_others", "_scores")

    def __init__(self, columns: Mapping[str, Column] | None = None) -> None:
        # A corpus has millions of stores: no table is allocated before something is put into it.
        self._columns: Mapping[str, Column] = _SharedNames(columns) if columns else EMPTY
        self._scores: Mapping[str, list[float]] = EMPTY  # only of types with a score other than 1
        self._metadata: Mapping[str, dict[Location, dict[str, Any]]] = EMPTY
        self._others: Mapping[str, dict[Location, list[Label]]] = EMPTY

    def __getstate__(self) -> tuple[dict[Any, Any], ...]:
        return tuple(dict(getattr(self, name)) for name in LabelStore.__slots__)

    def __setstate__(self, state: tuple[dict[Any, Any], ...]) -> None:
        for name, value in zip(LabelStore.__slots__, state, strict=True):
            setattr(self, name, value)

    def copy_for(self, point_at: Callable[[Location], DataPoint]) -> LabelStore:
        """Return a copy for a twin of the sentence, whose data points `point_at` returns."""
        twin = LabelStore({name: tuple(column) for name, column in self._columns.items()})
        twin._scores = {name: list(scores) for name, scores in self._scores.items()}
        twin._metadata = {
            name: {location: dict(known) for location, known in table.items()} for name, table in self._metadata.items()
        }
        for name, table in self._others.items():
            for location, labels in table.items():
                for label in labels:
                    twin._add_object(
                        point_at(location), name, label.value, label.score, dict(label._metadata_to_read())
                    )
        return twin

    def has_scores(self, label_type: str) -> bool:
        """Tell whether some label of a type has a score other than 1, without making objects."""
        pairs = zip(self._columns.get(label_type, ()), self._scores.get(label_type, ()), strict=False)
        if any(value is not None and score != 1 for value, score in pairs):
            return True
        return any(label._score != 1 for labels in self._others.get(label_type, {}).values() for label in labels)

    # Columns

    def column(self, label_type: str) -> Column | None:
        """Return the first label of each token, None where it has none; None if no token has a label of this type.

        A morphological feature of `feats`, such as `Number`, is a label type of its own, also in lower case.
        """
        column = self._columns.get(label_type)
        if column is None and (features := self._columns.get("feats")) is not None:
            column = [feature_of(value, label_type) for value in features]
        return column if column is not None and column.count(None) < len(column) else None

    def has_column(self, label_type: str) -> bool:
        """Tell whether a label type has a column of its own, with or without labels."""
        return label_type in self._columns

    def value(self, label_type: str, index: int) -> str | None:
        """Return the first label of a token."""
        if (column := self._columns.get(label_type)) is not None:
            return column[index]
        features = self._columns.get("feats")
        return None if features is None else feature_of(features[index], label_type)

    def set_column(self, label_type: str, values: list[str | None], scores: list[float] | None = None) -> None:
        """Replace the labels of this type of all tokens by one a token; the lists are kept, not copied."""
        if label_type in self._others:
            self.drop(label_type, lambda location: isinstance(location, int))
        self._columns = {**self._columns, label_type: values}
        if label_type in self._metadata:
            self._metadata = _without(self._metadata, label_type)
        if scores is not None:
            self._scores = {**self._scores, label_type: scores}
        elif label_type in self._scores:
            self._scores = _without(self._scores, label_type)

    def set_value(self, label_type: str, index: int, value: str, score: float) -> None:
        """Change the first label of a token, if it has one."""
        if self.value(label_type, index) is not None:
            self._put(label_type, self._own_column(label_type, 0), index, value, score)

    def token_metadata(self, label_type: str, index: int) -> Mapping[str, Any]:
        """Return the metadata of the first label of a token."""
        return self._metadata.get(label_type, {}).get(index, EMPTY)

    def set_token_metadata(self, label_type: str, index: int, metadata: dict[str, Any]) -> None:
        """Replace the metadata of the first label of a token, if it has one."""
        if self.value(label_type, index) is not None:
            self._metadata = {label_type: {}, **self._metadata}
            self._metadata[label_type][index] = metadata

    # Labels as objects

    def types(self) -> list[str]:
        """Return the label types in order of first use; a feature of `feats` only if it was set by its own name."""
        return list(dict.fromkeys((*self._columns, *self._others)))

    def labels_of(self, point: DataPoint, label_type: str | None) -> list[Label]:
        """Return the labels of the data point itself, of one type or of all."""
        labels: list[Label] = []
        location = point._location
        for name in self.types() if label_type is None else [label_type]:
            if isinstance(location, int) and (value := self.value(name, location)) is not None:
                labels.append(self._token_label(point, location, name, value))
            labels += self._others.get(name, {}).get(location, ())
        return labels

    def all_labels(self, tokens: Callable[[], Sequence[Token]], label_type: str | None) -> list[Label]:
        """Return the labels of the sentence, then those of tokens and spans by position, of one type or of all."""
        found: list[tuple[tuple[int, int], Label]] = []
        for name in self.types() if label_type is None else [label_type]:
            if (column := self.column(name)) is not None:
                points = tokens()
                found += [
                    ((index, 0), self._token_label(points[index], index, name, value))
                    for index, value in enumerate(column)
                    if value is not None
                ]
            for location, labels in self._others.get(name, {}).items():
                order = (-1, 0) if location is None else (location, 0) if isinstance(location, int) else location
                found += [(order, label) for label in labels]
        found.sort(key=lambda pair: pair[0])
        return [label for _, label in found]

    def others(self, label_type: str) -> Iterator[tuple[Location, Label]]:
        """Yield the labels of one type that are not in its column, with their locations."""
        for location, labels in self._others.get(label_type, {}).items():
            for label in labels:
                yield location, label

    def points(self, label_type: str | None) -> dict[Location, DataPoint]:
        """Return the data points with labels outside the columns, of one type or of any, by location."""
        names = self._others if label_type is None else [label_type]
        return {at: labels[0].data_point for name in names for at, labels in self._others.get(name, {}).items()}

    def point_at(self, location: Location) -> DataPoint | None:
        """Return the data point that has labels outside the columns at a location."""
        return next((labels[location][0].data_point for labels in self._others.values() if location in labels), None)

    def add(self, point: DataPoint, label_type: str, value: str, score: float, metadata: dict[str, Any]) -> None:
        """Add a label to those that the data point has."""
        label_type, value, score = check_type(label_type), check_value(value), check_score(score)
        location = point._location
        if isinstance(location, int):
            column = self._own_column(label_type, len(point._home))
            if column[location] is None:
                self._put(label_type, column, location, value, score)
                if metadata:
                    self.set_token_metadata(label_type, location, metadata)
                return
        self._add_object(point, label_type, value, score, metadata)

    def remove(self, location: Location, label_type: str) -> None:
        """Remove the labels of one type at a location."""
        if isinstance(location, int) and (column := self.column(label_type)) is not None:
            self._own_column(label_type, len(column))[location] = None
            self._metadata.get(label_type, {}).pop(location, None)
        if label_type in self._others:
            self.drop(label_type, lambda other: other == location)

    def remove_type(self, label_type: str) -> None:
        """Remove all labels of one type."""
        self._others = _without(self._others, label_type)
        if (column := self.column(label_type)) is not None:
            self.set_column(label_type, [None] * len(column))

    def drop(self, label_type: str, is_dropped: Callable[[Location], bool]) -> None:
        """Remove the labels of one type outside the columns at the locations for which `is_dropped` is true."""
        kept = {at: labels for at, labels in self._others.get(label_type, {}).items() if not is_dropped(at)}
        self._others = {**self._others, label_type: kept} if kept else _without(self._others, label_type)

    def keep_tokens(self, count: int) -> None:
        """Remove labels and metadata of all but the first `count` tokens, and of spans that end after them."""
        self._columns = {name: column[:count] for name, column in self._columns.items()}
        self._scores = {name: scores[:count] for name, scores in self._scores.items()}
        for name in list(self._others):
            self.drop(name, lambda location: not is_within(location, count))
        for table in self._metadata.values():
            for location in [location for location in table if not is_within(location, count)]:
                del table[location]

    def count_token_labels(self) -> int:
        """Return how many labels tokens have, over all types."""
        first = sum(len(column) - column.count(None) for column in self._columns.values())
        tables = self._others.values()
        return first + sum(len(labels) for table in tables for at, labels in table.items() if isinstance(at, int))

    # Metadata of tokens and spans

    def part_metadata(self, location: Location) -> Mapping[str, Any]:
        """Return the metadata of a token or span, to read."""
        return self._metadata.get(_OF_PARTS, {}).get(location, EMPTY)

    def add_part_metadata(self, location: Location, key: str, value: Any) -> None:
        """Set one entry of the metadata of a token or span."""
        self._metadata = {_OF_PARTS: {}, **self._metadata}
        self._metadata[_OF_PARTS].setdefault(location, {})[key] = value

    def _token_label(self, point: DataPoint, index: int, label_type: str, value: str) -> Label:
        scores = self._scores.get(label_type)
        label = TokenLabel._unchecked(point, value, 1.0 if scores is None else scores[index], label_type)
        if label_type in self._metadata:
            _ = label.metadata  # read now: it belongs to this value, which may be replaced later
        return label

    def _add_object(
        self, point: DataPoint, label_type: str, value: str, score: float, metadata: dict[str, Any]
    ) -> None:
        location = point._location
        label = Label._unchecked(self.point_at(location) or point, value, score, label_type)
        label._metadata = metadata or None
        if label_type not in self._others:
            self._others = {**self._others, label_type: {}}
        self._others[label_type].setdefault(location, []).append(label)

    def _own_column(self, label_type: str, length: int) -> list[str | None]:
        """Return the list of a label type; it is made from `feats` if the type is one of its features."""
        column = self._columns.get(label_type)
        if not isinstance(column, list):
            column = list(column or self.column(label_type) or [None] * length)
            self._columns = {**self._columns, label_type: column}
        return column

    def _put(self, label_type: str, column: list[str | None], index: int, value: str, score: float) -> None:
        column[index] = value
        if score != 1.0 and label_type not in self._scores:
            self._scores = {**self._scores, label_type: [1.0] * len(column)}
        if label_type in self._scores:
            self._scores[label_type][index] = score


class _SharedNames(Mapping[str, Column]):
    """A read-only table whose keys are shared by all tables with the same keys: half the memory of a dictionary."""

    __slots__ = ("_names", "_values")

    def __init__(self, table: Mapping[str, Column]) -> None:
        self._names, self._values = _shared(tuple(table)), tuple(table.values())

    def __getitem__(self, name: str) -> Column:
        if name in self._names:
            return self._values[self._names.index(name)]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _NoLabels(LabelStore):
    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError("this store is shared by all sentences without labels: give the sentence its own")
        super().__setattr__(name, value)


NO_LABELS = _NoLabels()  # of every sentence without labels


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def _without(table: Mapping[str, _Value], label_type: str) -> dict[str, _Value]:
    return {name: value for name, value in table.items() if name != label_type}
