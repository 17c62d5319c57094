"""Where a sentence keeps its labels: a list a label type for the tokens, objects for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.data.features import parse_features
from flairlite.data.label import Label
from flairlite.data.place import is_within

if TYPE_CHECKING:
    from flairlite.data.data_point import DataPoint
    from flairlite.data.place import Place
    from flairlite.data.token import Token

Values = list[str | None]
Column = Sequence[str | None]
_Value = TypeVar("_Value")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class LabelStore:
    """The labels of a sentence, of its tokens and of its spans, by label type.

    A token's first label of a type is a plain value in a column, with one value a token, beside it the scores and
    metadata of those that have some. All others, few as they are, lie as objects under their place.

    Args:
        columns: Values of the tokens by label type. A tuple may stand for several types: it is replaced by a list when
            one of its values changes.
    """

    __slots__ = ("_columns", "_metadata", "_others", "_scores")

    def __init__(self, columns: Mapping[str, Column] | None = None) -> None:
        # there may be millions of sentences: they have no tables of their own before something is put into them
        self._columns: Mapping[str, Column] = _SharedNames(columns) if columns else _NOTHING
        self._scores: Mapping[str, list[float]] = _NOTHING  # where one is not 1
        self._metadata: Mapping[str, dict[int, dict[str, Any]]] = _NOTHING
        self._others: Mapping[str, dict[Place, list[Label]]] = _NOTHING

    def __getstate__(self) -> tuple[dict[str, Any], ...]:
        return tuple(dict(getattr(self, name)) for name in LabelStore.__slots__)

    def __setstate__(self, state: tuple[dict[str, Any], ...]) -> None:
        for name, value in zip(LabelStore.__slots__, state, strict=True):
            setattr(self, name, value)

    # Columns

    def column(self, label_type: str) -> Column | None:
        """Return the first label of each token, None where it has none; None when no token has any.

        A morphological feature, such as `Number`, is a label type of its own where there are `feats`.
        """
        column = self._columns.get(label_type)
        if column is None and (features := self._columns.get("feats")) is not None:
            column = [parse_features(value).get(label_type) for value in features]
        return column if column is not None and _has_labels(column) else None

    def has_column(self, label_type: str) -> bool:
        """Tell whether a label type has a column of its own, with or without labels."""
        return label_type in self._columns

    def value(self, label_type: str, index: int) -> str | None:
        """Return the first label of a token."""
        if (column := self._columns.get(label_type)) is not None:
            return column[index]
        features = self._columns.get("feats")
        return None if features is None else parse_features(features[index]).get(label_type)

    def set_column(self, label_type: str, values: Values, scores: list[float] | None = None) -> None:
        """Put one label on each token in place of all that tokens have of this type; the lists are kept."""
        if label_type in self._others:
            self.drop(label_type, lambda place: isinstance(place, int))
        self._columns = {**self._columns, label_type: values}
        if label_type in self._metadata:
            self._metadata = _without(self._metadata, label_type)
        if scores is not None:
            self._scores = {**self._scores, label_type: scores}
        elif label_type in self._scores:
            self._scores = _without(self._scores, label_type)

    # Labels as objects

    def types(self) -> list[str]:
        """Return the label types in the order in which they came; a feature is one only when it was set by name."""
        return list(dict.fromkeys((*self._columns, *self._others)))

    def labels_of(self, point: DataPoint, label_type: str | None) -> list[Label]:
        """Return the labels that a data point has itself, of one type or of all."""
        labels: list[Label] = []
        place = point._place
        for name in self.types() if label_type is None else [label_type]:
            if isinstance(place, int) and (value := self.value(name, place)) is not None:
                labels.append(self._column_label(point, place, name, value))
            labels += self._others.get(name, {}).get(place, ())
        return labels

    def all_labels(self, tokens: Callable[[], Sequence[Token]], label_type: str | None) -> list[Label]:
        """Return the labels of the sentence, then those of tokens and spans by position, of one type or of all."""
        placed: list[tuple[tuple[int, int], Label]] = []
        for name in self.types() if label_type is None else [label_type]:
            if (column := self.column(name)) is not None:
                points = tokens()
                placed += [
                    ((index, 0), self._column_label(points[index], index, name, value))
                    for index, value in enumerate(column)
                    if value is not None
                ]
            for place, labels in self._others.get(name, {}).items():
                order = (-1, 0) if place is None else (place, 0) if isinstance(place, int) else place
                placed += [(order, label) for label in labels]
        placed.sort(key=lambda pair: pair[0])
        return [label for _, label in placed]

    def others(self, label_type: str) -> Iterator[tuple[Place, Label]]:
        """Yield the labels of one type that are not in its column, with their places."""
        for place, labels in self._others.get(label_type, {}).items():
            for label in labels:
                yield place, label

    def points(self, label_type: str | None) -> dict[Place, DataPoint]:
        """Return what has labels outside the columns, of one type or of any, by place."""
        names = self._others if label_type is None else [label_type]
        return {place: labels[0].data_point for name in names for place, labels in self._others.get(name, {}).items()}

    def point_at(self, place: Place) -> DataPoint | None:
        """Return what has labels at a place outside the columns."""
        return next((labels[place][0].data_point for labels in self._others.values() if place in labels), None)

    def add(self, point: DataPoint, label_type: str, value: str, score: float, metadata: dict[str, Any]) -> None:
        """Add a label beside those that are there."""
        place = point._place
        if isinstance(place, int):
            column = self._own_column(label_type, len(point._home))
            if column[place] is None:
                self._put(label_type, place, value, score)
                if metadata:
                    self._metadata = {label_type: {}, **self._metadata}
                    self._metadata[label_type][place] = metadata
                return
        label = Label(self.point_at(place) or point, value, score, typename=label_type)
        label.metadata = metadata
        if label_type not in self._others:
            self._others = {**self._others, label_type: {}}
        self._others[label_type].setdefault(place, []).append(label)

    def remove(self, place: Place, label_type: str) -> None:
        """Remove the labels of one type that are at a place."""
        if isinstance(place, int) and (column := self.column(label_type)) is not None:
            self._own_column(label_type, len(column))[place] = None
            self._metadata.get(label_type, {}).pop(place, None)
        if label_type in self._others:
            self.drop(label_type, lambda other: other == place)

    def remove_type(self, label_type: str) -> None:
        """Remove all labels of one type."""
        self._others = _without(self._others, label_type)
        if (column := self.column(label_type)) is not None:
            self.set_column(label_type, [None] * len(column))

    def drop(self, label_type: str, is_dropped: Callable[[Place], bool]) -> None:
        """Remove the labels of one type outside the columns whose places `is_dropped` names."""
        kept = {place: labels for place, labels in self._others.get(label_type, {}).items() if not is_dropped(place)}
        self._others = {**self._others, label_type: kept} if kept else _without(self._others, label_type)

    def keep_tokens(self, number: int) -> None:
        """Remove the labels of all tokens behind the first ones, and of spans that reach beyond them."""
        self._columns = {name: column[:number] for name, column in self._columns.items()}
        self._scores = {name: scores[:number] for name, scores in self._scores.items()}
        for name in list(self._others):
            self.drop(name, lambda place: not is_within(place, number))
        for kept in self._metadata.values():
            for index in [index for index in kept if index >= number]:
                del kept[index]

    def _column_label(self, point: DataPoint, index: int, label_type: str, value: str) -> Label:
        scores = self._scores.get(label_type)
        label = _ColumnLabel(point, value, 1.0 if scores is None else scores[index], typename=label_type)
        if label_type in self._metadata:
            label.metadata = self._metadata[label_type].get(index, label.metadata)
        return label

    def _own_column(self, label_type: str, length: int) -> Values:
        """Return the list that stores a label type, made from the morphological features where it is one of them."""
        column = self._columns.get(label_type)
        if not isinstance(column, list):
            column = list(column or self.column(label_type) or [None] * length)
            self._columns = {**self._columns, label_type: column}
        return column

    def _put(self, label_type: str, index: int, value: str, score: float) -> None:
        column = self._own_column(label_type, 0)
        column[index] = value
        if score != 1.0 and label_type not in self._scores:
            self._scores = {**self._scores, label_type: [1.0] * len(column)}
        if label_type in self._scores:
            self._scores[label_type][index] = score


class _ColumnLabel(Label):
    """A label whose value lies in a column, and is changed there."""

    __slots__ = ()

    def set_value(self, value: str, score: float = 1.0) -> None:
        store, index, label_type = self.data_point._home._labels, self.data_point._place, str(self.typename)
        if isinstance(index, int) and store.value(label_type, index) == self.value:
            store._own_column(label_type, len(self.data_point._home))
            store._put(label_type, index, value, score)
        super().set_value(value, score)


def _has_labels(column: Column) -> bool:
    return column.count(None) < len(column)


class _SharedNames(Mapping[str, Column]):
    """A table that cannot be changed; all with the same names have them in common, and take half a dictionary's memory.

    It is small: a name is looked for from the first to the last.
    """

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


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def _without(table: Mapping[str, _Value], label_type: str) -> dict[str, _Value]:
    return {name: value for name, value in table.items() if name != label_type}


class _NoLabels(LabelStore):
    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError("this is shared by all sentences without labels: give the sentence a store of its own")
        super().__setattr__(name, value)


NO_LABELS = _NoLabels()  # of every sentence that has none yet
