"""Labels and vectors of all tokens and spans of a sentence at once, as plain lists and matrices."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from flairlite.data.data_points import DataPoint, Span
from flairlite.data.label_values import check_scores, check_type, check_type_or_all, check_values, parse_features
from flairlite.data.labels import NO_LABELS, Label, LabelStore
from flairlite.data.text_layout import Location
from flairlite.data.vectors import TagDistributions, Vectors
from flairlite.errors import LabelError, SettingError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from flairlite.data.data_points import Token
    from flairlite.data.sentence import Sentence


class SentenceAnnotations(DataPoint):
    """The part of a sentence that stores labels and vectors of the sentence, its tokens and its spans.

    Readers and models handle all labels of a type at once, as lists of strings. `Token`, `Span` and `Label` objects are
    made when they are read.
    """

    __slots__ = ()

    _labels: LabelStore
    _vectors: Vectors | None

    @property
    @abstractmethod
    def words(self) -> list[str]:
        """The words, in order."""

    @property
    @abstractmethod
    def tokens(self) -> list[Token]:
        """The tokens, in order."""

    # Labels as plain values

    def token_labels(self, label_type: str) -> list[str | None] | None:
        """Return the label of every token, None for tokens without one; None if no token has a label of this type.

        A morphological feature, such as `Number`, is a label type of its own if the sentence has `feats`. It can also
        be named in lower case, as in Flair.
        """
        column = self._labels.column(check_type(label_type))
        return None if column is None else list(column)

    def set_token_labels(
        self, label_type: str, values: Sequence[str | None], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Replace the labels of this type of all tokens.

        Args:
            label_type: The label type, such as `upos`.
            values: One label a token; None for a token without a label.
            scores: One score a token; 1 if None.

        Raises:
            SettingError: If there is not one value and one score a token, or the label type is not a string.
            LabelError: If a value is empty, or a score is not a number between 0 and 1.
        """
        column, column_scores = check_values(values), None if scores is None else check_scores(scores)
        for name, given in (("values", column), ("scores", column_scores)):
            if given is not None and len(given) != len(self.words):
                raise SettingError(f"{name} must be one a token, {len(self.words)}, but there are {len(given)}")
        self.store_token_labels(check_type(label_type), column, column_scores)
        return cast("Sentence", self)

    def store_token_labels(self, label_type: str, values: list[str | None], scores: list[float] | None) -> None:
        """Replace the labels as `set_token_labels` does, by lists that are known to be valid: nothing is checked."""
        self._own_labels().set_column(label_type, values, scores)

    def has_scores(self, label_type: str) -> bool:
        """Tell whether some label of this type has a score other than 1, as predicted labels have."""
        return self._labels.has_scores(label_type)

    def span_labels(self, label_type: str) -> list[tuple[int, int, str]]:
        """Return (start, end, value) of each label of this type of a span; `end` is exclusive."""
        others = self._labels.others(check_type(label_type))
        return [(*location, label.value) for location, label in others if isinstance(location, tuple)]

    def set_span_labels(
        self, label_type: str, spans: Sequence[tuple[int, int, str]], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Replace the labels of this type of all spans.

        Args:
            label_type: The label type, such as `ner`.
            spans: The (start, end, value) of each label, in tokens; `end` is exclusive.
            scores: One score a span; 1 if None.

        Raises:
            SettingError: If a span is empty or not within the sentence, or there is not one score a label.
            LabelError: If a value is empty, or a score is not a number between 0 and 1.
        """
        try:
            listed = [(self.get_span(start, stop), value) for start, stop, value in spans]
        except (TypeError, ValueError) as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(f"spans must be a list of (start, end, value), not {spans!r:.60}") from error
        points, values = [span for span, _ in listed], [value for _, value in listed]
        return self._replace(label_type, points, values, scores, lambda location: isinstance(location, tuple))

    def sentence_labels(self, label_type: str) -> list[str]:
        """Return the values of the labels of this type of the sentence itself."""
        return [label.value for location, label in self._labels.others(check_type(label_type)) if location is None]

    def set_sentence_labels(
        self, label_type: str, values: Sequence[str], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Replace the labels of this type of the sentence itself.

        Args:
            label_type: The label type, such as `topic`.
            values: The labels.
            scores: One score a label; 1 if None.

        Raises:
            SettingError: If there is not one score a label.
            LabelError: If a value is empty, or a score is not a number between 0 and 1.
        """
        listed = check_values(values)
        return self._replace(label_type, [self] * len(listed), listed, scores, lambda location: location is None)

    def label_types(self) -> list[str]:
        """Return the label types of which the sentence, a token or a span has a label."""
        types = dict.fromkeys(name for name in self._labels.types() if self.has_label(name))
        for value in self._labels.column("feats") or ():
            types.update(dict.fromkeys(name for name in parse_features(value) if not self._labels.has_column(name)))
        return list(types)

    # Labels as objects

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return the labels of the sentence, then those of its tokens and spans by position.

        They are of one label type, or of all; among all, the morphological features in `feats` are one label a token.
        """
        return self._labels.all_labels(lambda: self.tokens, check_type_or_all(label_type))

    def remove_labels(self, typename: str) -> None:
        """Remove all labels of one type, including those of tokens and spans."""
        self._own_labels().remove_type(check_type(typename))

    def has_label(self, label_type: str) -> bool:
        """Tell whether the sentence, a token or a span has a label of this type."""
        name = check_type(label_type)
        if self._labels is NO_LABELS:  # as before most predictions
            return False
        return any(self._labels.others(name)) or self._labels.column(name) is not None

    def get_spans(self, label_type: str | None = None) -> list[Span]:
        """Return the spans with a label of one type, or of any, by position."""
        spans = [
            point for point in self._labels.points(check_type_or_all(label_type)).values() if isinstance(point, Span)
        ]
        return sorted(spans, key=lambda span: (span.start, span.stop))

    def get_span(self, start: int, stop: int) -> Span:
        """Return the span of tokens `start` to `stop` (0-based, exclusive).

        Raises:
            SettingError: If it is empty or not within the sentence.
        """
        try:
            first, end = operator.index(start), operator.index(stop)  # NumPy's integers become int
        except TypeError:
            first, end = 0, 0
        if not 0 <= first < end <= len(self.words):
            raise SettingError(f"a span must be within the {len(self.words)} tokens, not from {start!r} to {stop!r}")
        known = self._labels.point_at((first, end))
        return known if isinstance(known, Span) else Span._view(cast("Sentence", self), first, end)

    def _repr_html_(self) -> str:
        from flairlite.markup import sentence_html

        return sentence_html(cast("Sentence", self))

    def _own_labels(self) -> LabelStore:
        """Return the store of labels, which is made at the first change."""
        if self._labels is NO_LABELS:
            self._labels = LabelStore()  # type: ignore[misc]  # a slot of Sentence
        return self._labels

    def _replace(
        self,
        label_type: str,
        points: Sequence[DataPoint],
        values: Sequence[str | None],
        scores: Sequence[float] | None,
        is_dropped: Callable[[Location], bool],
    ) -> Sentence:
        checked = check_values(values)
        column_scores = [1.0] * len(checked) if scores is None else check_scores(scores)
        if len(column_scores) != len(points):
            raise SettingError(f"scores must be one a label, {len(points)}, but there are {len(column_scores)}")
        if None in checked:
            raise LabelError(f"a label must have a value, but among the values is None: {list(values)}")
        store = self._own_labels()
        store.drop(check_type(label_type), is_dropped)
        for point, value, score in zip(points, checked, column_scores, strict=True):
            store.add(point, label_type, cast(str, value), score, {})
        return cast("Sentence", self)

    # Vectors and class probabilities

    def set_token_embeddings(self, name: str, matrix: torch.Tensor) -> None:
        """Store the vectors of all tokens: `matrix` is (T, D)."""
        self._own_vectors().set_matrix(name, matrix)

    def get_token_embeddings(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the vectors (T, D) of the embeddings named, or of all, concatenated in the order of their names.

        Raises:
            LabelError: If there are no such vectors.
        """
        import torch

        selected = [] if self._vectors is None else self._vectors.matrices(names)
        if not selected:
            known = [] if self._vectors is None else self._vectors.names()
            raise LabelError(f"no such embeddings here: call embed(sentence) first; there are {known}")
        return selected[0] if len(selected) == 1 else torch.cat(selected, dim=1)

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Remove the vectors of the embeddings named, or all, of the sentence, its tokens and its spans."""
        if self._vectors is not None:
            self._vectors.clear_all(embedding_names)

    def to(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move the vectors of the sentence, its tokens and its spans to a device; see `DataPoint.to`."""
        if self._vectors is not None:
            self._vectors.move_all(device, pin_memory)

    def set_tag_distributions(
        self,
        label_type: str,
        names: Sequence[str],
        probabilities: np.ndarray[Any, np.dtype[np.floating[Any]]],
        class_ids: np.ndarray[Any, np.dtype[np.integer[Any]]] | None = None,
    ) -> None:
        """Store the probabilities of classes for each token, for `token.get_tags_proba_dist` and for distillation.

        Args:
            label_type: The label type.
            names: The K classes.
            probabilities: (T, C) probabilities of C classes; of all K classes in their order without `class_ids`.
            class_ids: (T, C) which classes these are.
        """
        vectors = self._own_vectors()
        vectors.probabilities[label_type] = TagDistributions(tuple(names), probabilities, class_ids)
        vectors.distributions = {key: tags for key, tags in vectors.distributions.items() if key[0] != label_type}

    def tag_distributions(self, label_type: str) -> TagDistributions | None:
        """Return what `set_tag_distributions` stored for a label type, or None."""
        return None if self._vectors is None else self._vectors.probabilities.get(label_type)

    def _own_vectors(self) -> Vectors:
        """Return the store of vectors, which is made at the first change."""
        if self._vectors is None:
            self._vectors = Vectors()  # type: ignore[misc]  # a slot of Sentence
        return self._vectors
