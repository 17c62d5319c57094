"""From the scores of a network to labels: of words, of spans, and of sentences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.prediction.chains import Chain, SpanTables, label_chains
from flairlite.prediction.n_best import Hypothesis, best_paths, make_hypothesis
from flairlite.prediction.sentences import nan_error
from flairlite.prediction.writing import (
    SpanTags,
    write_probabilities,
    write_sentences,
    write_spans,
    write_tags,
    write_words,
)

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Write = Callable[[Sequence[Sentence], "Predictions", str], None]


@dataclass(frozen=True)
class Predictions:
    """Predictions for a data set; see `flairlite.tasks.Decoded`."""

    class_ids: NDArray[Any]
    scores: Floats
    probabilities: Floats | None
    span_scores: Floats | None = None


class Labeler(ABC):
    """Chooses the classes of one label type by the scores of a network, and writes them.

    Args:
        label_type: The label type.
        class_names: The K classes.

    Attributes:
        unit: What has the labels: `word`, `span` or `sentence`.
        label_names: The labels.
    """

    unit: str
    label_names: tuple[str, ...]

    def __init__(self, label_type: str, class_names: tuple[str, ...]) -> None:
        self.label_type, self.class_names = label_type, class_names

    @abstractmethod
    def begin(self, lengths: Ids, *, with_probabilities: bool) -> Collector:
        """Return what collects the predictions for sentences with `lengths` (S,)."""

    def n_best(self, emissions: Floats, n: int) -> list[Hypothesis]:
        """Return the n most probable labelings of a sentence by the scores (T, K) of its words.

        Raises:
            SettingError: If sentences have labels, not words.
        """
        raise SettingError("n_best is for models that label words or spans, not whole sentences")

    @abstractmethod
    def writer(self, *, as_classes: bool) -> Write:
        """Return the function that writes predictions onto sentences.

        Raises:
            SettingError: If `as_classes` asks for classes of words, and there are none.
        """


class Collector(ABC):
    """Collects the predictions for a data set, batch by batch."""

    @abstractmethod
    def add(self, indices: Ids, scores: Sequence[Floats]) -> None:
        """Choose the classes of the sentences of several batches.

        Args:
            indices: The sentences of all batches, the longest first.
            scores: The scores of each batch: (T, B, K) of words, or (B, K) of sentences.
        """

    @abstractmethod
    def finish(self) -> Predictions:
        """Return the predictions, in the order of the data set.

        Raises:
            LabelError: If a score is not a number.
        """


def make_labelers(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[Labeler]:
    """Return a labeler for each label type that the settings of an exported model describe, the main one first.

    The arrays of the label type at index n, from 1, begin with `type n.`.
    """
    labelers = [_make_labeler(settings, arrays)]
    for index, other in enumerate(settings.get("other_types", ()), start=1):
        prefix = f"type {index}."
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        labelers.append(_make_labeler(other, own))
    return labelers


def _make_labeler(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Labeler:
    label_type, names = str(settings["label_type"]), tuple(map(str, settings["label_names"]))
    if settings["unit"] == "sentence":
        return SentenceLabeler(label_type, names, arrays["thresholds"] if settings["multi_label"] else None)
    chain = Chain(arrays["transitions"], arrays["start"], arrays["end"]) if settings["has_chain"] else None
    if settings["unit"] == "word":
        return WordLabeler(label_type, names, names, chain)
    tables = SpanTables(arrays["begins"], arrays["continues"], arrays["extensions"])
    return WordLabeler(label_type, names, tuple(map(str, settings["class_names"])), chain, tables)


class WordLabeler(Labeler):
    """Labels words, or spans if there are tables of tags.

    Args:
        label_type: The label type.
        label_names: The L labels.
        class_names: The K classes of words.
        chain: The scores of transitions between classes; None if classes are independent.
        tables: What classes mean for spans; None if words have labels.
    """

    def __init__(
        self,
        label_type: str,
        label_names: tuple[str, ...],
        class_names: tuple[str, ...],
        chain: Chain | None,
        tables: SpanTables | None = None,
    ) -> None:
        super().__init__(label_type, class_names)
        self.unit, self.label_names = "word" if tables is None else "span", label_names
        self.chain, self.tables = chain, tables
        if tables is not None:
            num_per_label = (len(class_names) - 1) // len(label_names)
            self._tags = SpanTags(tables.begins, tables.continues, num_per_label)

    def begin(self, lengths: Ids, *, with_probabilities: bool) -> Collector:
        """Return what collects the predictions for N words."""
        return _WordCollector(self, lengths, with_probabilities)

    def n_best(self, emissions: Floats, n: int) -> list[Hypothesis]:
        """Return the n most probable labelings of a sentence, or all that are possible."""
        num_tags = len(self.class_names)
        chain = self.chain or Chain(
            *(np.zeros(shape, np.float32) for shape in ((num_tags, num_tags), num_tags, num_tags))
        )
        paths = zip(*(found.tolist() for found in best_paths(emissions, chain, n)), strict=True)
        return [
            make_hypothesis(probability, [self.class_names[tag] for tag in tags], is_spans=self.tables is not None)
            for tags, probability in paths
            if probability > 0
        ]

    def writer(self, *, as_classes: bool) -> Write:
        """Return the function that writes labels, tags or spans."""
        if self.tables is None:
            return self._write_words
        return self._write_tags if as_classes else self._write_spans

    def _write_words(self, sentences: Sequence[Sentence], found: Predictions, label_name: str) -> None:
        write_words(sentences, found.class_ids, found.scores, self.class_names, label_name)
        self._write_probabilities(sentences, found, label_name)

    def _write_tags(self, sentences: Sequence[Sentence], found: Predictions, label_name: str) -> None:
        write_tags(sentences, found.class_ids, found.scores, self.class_names, label_name)
        self._write_probabilities(sentences, found, label_name)

    def _write_spans(self, sentences: Sequence[Sentence], found: Predictions, label_name: str) -> None:
        write_spans(sentences, self._tags.find(found.class_ids), found.span_scores, self.label_names, label_name)
        self._write_probabilities(sentences, found, label_name)

    def _write_probabilities(self, sentences: Sequence[Sentence], found: Predictions, label_name: str) -> None:
        if found.probabilities is not None:
            write_probabilities(sentences, found.probabilities, self.class_names, label_name)


class _WordCollector(Collector):
    def __init__(self, labeler: WordLabeler, lengths: Ids, with_probabilities: bool) -> None:
        self._labeler, self._lengths = labeler, lengths
        self._offsets = np.cumsum(lengths) - lengths
        num_words = int(lengths.sum())
        self._class_ids = np.zeros(num_words, np.int64)
        self._scores = np.zeros(num_words, np.float32)
        self._span_scores = None if labeler.tables is None else np.zeros(num_words, np.float32)
        shape = (num_words, len(labeler.class_names))
        self._probabilities = np.zeros(shape, np.float32) if with_probabilities else None

    def add(self, indices: Ids, scores: Sequence[Floats]) -> None:
        """Choose the classes of words."""
        emissions, lengths = _join(scores), self._lengths[indices]
        span_scores: NDArray[Any] | None
        probabilities: NDArray[Any] | None
        if self._labeler.chain is None:
            probabilities = _softmax(emissions)  # (T, B, K)
            tags = probabilities.argmax(axis=2)
            best: NDArray[Any] = np.take_along_axis(probabilities, tags[..., None], axis=2)[..., 0]
            span_scores = None
        else:
            found = label_chains(
                emissions,
                lengths,
                self._labeler.chain,
                self._labeler.tables,
                with_probabilities=self._probabilities is not None,
            )
            tags, best = found.tags, found.scores
            probabilities, span_scores = found.probabilities, found.span_scores
        steps = np.arange(len(emissions))[:, None]  # (T, 1)
        is_word = steps < lengths  # (T, B)
        positions = (self._offsets[indices] + steps)[is_word]
        self._class_ids[positions] = tags[is_word]
        self._scores[positions] = best[is_word]
        if self._probabilities is not None and probabilities is not None:
            self._probabilities[positions] = probabilities[is_word]
        if self._span_scores is not None and span_scores is not None:
            self._span_scores[positions] = span_scores[is_word]

    def finish(self) -> Predictions:
        """Return the predictions for N words."""
        _check_finite(self._scores)
        return Predictions(self._class_ids, self._scores, self._probabilities, self._span_scores)


class SentenceLabeler(Labeler):
    """Labels whole sentences.

    Args:
        label_type: The label type.
        label_names: The K labels.
        thresholds: (K,) where a sentence can have several labels, the probability above which each is predicted.
    """

    unit = "sentence"

    def __init__(self, label_type: str, label_names: tuple[str, ...], thresholds: Floats | None) -> None:
        super().__init__(label_type, label_names)
        self.label_names, self.thresholds = label_names, thresholds

    def begin(self, lengths: Ids, *, with_probabilities: bool) -> Collector:
        """Return what collects the predictions for S sentences."""
        return _SentenceCollector(self, len(lengths), with_probabilities)

    def writer(self, *, as_classes: bool) -> Write:
        """Return the function that writes labels of sentences."""
        if as_classes:
            raise SettingError("force_token_predictions is for models that label words, not whole sentences")
        return self._write

    def _write(self, sentences: Sequence[Sentence], found: Predictions, label_name: str) -> None:
        with_all = found.probabilities is not None
        scores = found.scores if found.probabilities is None else found.probabilities
        write_sentences(sentences, found.class_ids, scores, self.label_names, label_name, with_all=with_all)


class _SentenceCollector(Collector):
    def __init__(self, labeler: SentenceLabeler, num_sentences: int, with_probabilities: bool) -> None:
        self._labeler, self._with_probabilities = labeler, with_probabilities
        self._probabilities = np.zeros((num_sentences, len(labeler.label_names)), np.float32)

    def add(self, indices: Ids, scores: Sequence[Floats]) -> None:
        """Compute the probabilities of the labels."""
        joined = np.concatenate(scores)  # (B, K)
        is_multi_label = self._labeler.thresholds is not None
        self._probabilities[indices] = _sigmoid(joined) if is_multi_label else _softmax(joined)

    def finish(self) -> Predictions:
        """Return the predictions for S sentences."""
        probabilities = self._probabilities
        _check_finite(probabilities)
        kept = probabilities if self._with_probabilities else None
        if self._labeler.thresholds is not None:
            return Predictions(probabilities > self._labeler.thresholds, probabilities, kept)
        best = probabilities.argmax(axis=1)
        return Predictions(best, np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0], kept)


def _join(scores: Sequence[Floats]) -> Floats:
    """Join scores (T, B, K) of batches, each padded with zeros to the longest, which is the first."""
    if len(scores) == 1:
        return scores[0]
    shape = (len(scores[0]), sum(part.shape[1] for part in scores), scores[0].shape[2])
    joined = np.zeros(shape, np.float32)
    end = 0
    for part in scores:
        start, end = end, end + part.shape[1]
        joined[: len(part), start:end] = part
    return joined


def _softmax(scores: Floats) -> Floats:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probabilities: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities


def _sigmoid(scores: Floats) -> Floats:
    with np.errstate(over="ignore"):  # the exponential of a large number is infinity, and the result 0
        return (1 / (1 + np.exp(-scores))).astype(np.float32)


def _check_finite(scores: Floats) -> None:
    if np.isnan(scores).any():
        raise nan_error()
