"""All labels in a sentence: of one type at a time as plain values, or as objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from flairlite.data.data_point import DataPoint
from flairlite.data.features import parse_features
from flairlite.data.label import Label
from flairlite.data.label_store import LabelStore
from flairlite.data.place import Place
from flairlite.data.span import Span
from flairlite.errors import SettingError

if TYPE_CHECKING:
    from flairlite.data.sentence import Sentence
    from flairlite.data.token import Token


class SentenceLabels(DataPoint):
    """A sentence as the place where its own labels and those of its tokens and spans are.

    Reading, encoding and predicting handle the labels of a type at once, as lists of values. `Token`, `Span` and
    `Label` objects are made when somebody asks for them.
    """

    __slots__ = ()

    _labels: LabelStore

    @property
    @abstractmethod
    def words(self) -> list[str]:
        """The words, in order."""

    @property
    @abstractmethod
    def tokens(self) -> list[Token]:
        """The tokens, in order."""

    # Plain values

    def token_labels(self, label_type: str) -> list[str | None] | None:
        """Return the label of every token, None where it has none, or None when no token has a label of this type.

        A morphological feature, such as `Number`, is a label type of its own where the sentence has `feats`.
        """
        column = self._labels.column(label_type)
        return None if column is None else list(column)

    def set_token_labels(
        self, label_type: str, values: Sequence[str | None], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put one label on every token, in place of its labels of this type; None leaves a token without.

        Args:
            label_type: The label type, such as `upos`.
            values: A label a token.
            scores: A score a token; 1 when not given.

        Raises:
            SettingError: when there is not one value and one score a token.
        """
        for name, given in (("values", values), ("scores", scores)):
            if given is not None and len(given) != len(self.words):
                raise SettingError(f"{name} must be one a token, {len(self.words)}, but there are {len(given)}")
        self._labels_to_change().set_column(label_type, list(values), None if scores is None else list(scores))
        return cast("Sentence", self)

    def span_labels(self, label_type: str) -> list[tuple[int, int, str]]:
        """Return first token, the one behind the last, and value of each label that spans have of this type."""
        others = self._labels.others(label_type)
        return [(*place, label.value) for place, label in others if isinstance(place, tuple)]

    def set_span_labels(
        self, label_type: str, spans: Sequence[tuple[int, int, str]], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put labels on spans, in place of all that spans have of this type.

        Args:
            label_type: The label type, such as `ner`.
            spans: First token, the one behind the last, and label of each.
            scores: A score a span; 1 when not given.

        Raises:
            SettingError: when a span has no token or leads out of the sentence, or there is not one score a span.
        """
        for start, stop, _ in spans:
            if not 0 <= start < stop <= len(self.words):
                raise SettingError(f"a span of {len(self.words)} tokens lies within them, not from {start} to {stop}")
        points = [self._span(start, stop) for start, stop, _ in spans]
        values = [value for _, _, value in spans]
        return self._replace(label_type, points, values, scores, lambda place: isinstance(place, tuple))

    def sentence_labels(self, label_type: str) -> list[str]:
        """Return the values of the labels that the whole sentence has of this type."""
        return [label.value for place, label in self._labels.others(label_type) if place is None]

    def set_sentence_labels(
        self, label_type: str, values: Sequence[str], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put labels on the whole sentence, in place of all that it has itself of this type.

        Args:
            label_type: The label type, such as `topic`.
            values: The labels.
            scores: A score a label; 1 when not given.

        Raises:
            SettingError: when there is not one score a label.
        """
        return self._replace(label_type, [self] * len(values), values, scores, lambda place: place is None)

    def label_types(self) -> list[str]:
        """Return the label types that something in this sentence has a label of."""
        types = dict.fromkeys(name for name in self._labels.types() if self.has_label(name))
        for value in self._labels.column("feats") or ():
            types.update(dict.fromkeys(name for name in parse_features(value) if not self._labels.has_column(name)))
        return list(types)

    # Objects

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return the labels of the sentence, then those of its tokens and spans by position.

        They are of one label type, or of all; among all, the morphological features in `feats` are one label a token.
        """
        return self._labels.all_labels(lambda: self.tokens, label_type)

    def remove_labels(self, label_type: str) -> None:
        """Remove all labels of one type, those of tokens and spans too."""
        self._labels_to_change().remove_type(label_type)

    def has_label(self, label_type: str) -> bool:
        """Tell whether the sentence, a token or a span has a label of this type."""
        return any(self._labels.others(label_type)) or self._labels.column(label_type) is not None

    def get_spans(self, label_type: str | None = None) -> list[Span]:
        """Return the spans that have a label of one type, or of any, by position."""
        spans = [point for point in self._labels.points(label_type).values() if isinstance(point, Span)]
        return sorted(spans, key=lambda span: (span.start, span.stop))

    def _span(self, start: int, stop: int) -> Span:
        """Return the span of some tokens: the one that has labels already, where there is one."""
        known = self._labels.point_at((start, stop))
        return known if isinstance(known, Span) else Span._of(cast("Sentence", self), start, stop)

    @abstractmethod
    def _labels_to_change(self) -> LabelStore: ...

    def _replace(
        self,
        label_type: str,
        points: Sequence[DataPoint],
        values: Sequence[str],
        scores: Sequence[float] | None,
        is_dropped: Callable[[Place], bool],
    ) -> Sentence:
        if scores is not None and len(scores) != len(points):
            raise SettingError(f"scores must be one a label, {len(points)}, but there are {len(scores)}")
        store = self._labels_to_change()
        store.drop(label_type, is_dropped)
        for point, value, score in zip(points, values, scores or [1.0] * len(points), strict=True):
            store.add(point, label_type, value, score, {})
        return cast("Sentence", self)
