"""Write predicted classes onto sentences as labels of words, of spans and of whole sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.data import Sentence
from flairlite.data.tag_schemes import OUTSIDE

Ids = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
NO_CLASS = -1


@dataclass(frozen=True)
class Spans:
    """Spans of a data set, as columns: word positions `starts` and `ends` (exclusive), and label ids."""

    starts: Ids
    ends: Ids
    labels: Ids

    def keys(self, num_labels: int, num_positions: int) -> Ids:
        """Return one integer per distinct span and label; divided by L, those of one span are equal."""
        return np.unique((self.starts * num_positions + self.ends) * num_labels + self.labels)


@dataclass(frozen=True)
class SpanTags:
    """How K tags describe spans: the first is `O`, and the others are in groups of equal size, one for each label.

    Attributes:
        begins: (K,) whether a tag begins a span.
        continues: (K,) whether a tag continues a span.
        num_per_label: Tags of each label.
    """

    begins: NDArray[np.bool_]
    continues: NDArray[np.bool_]
    num_per_label: int

    def find(self, tags: Ids) -> Spans:
        """Return the spans of valid tags of N words, (N,): as many begin as end, each before the next."""
        begins, continues = self.begins[tags], self.continues[tags]  # (N,)
        is_last = (begins | continues) & ~np.append(continues[1:], False)
        starts = np.flatnonzero(begins)
        return Spans(starts, np.flatnonzero(is_last) + 1, (tags[starts] - 1) // self.num_per_label)


def write_words(
    sentences: Sequence[Sentence], class_ids: Ids, scores: Floats | None, names: Sequence[str | None], label_name: str
) -> None:
    """Write the class of each of N words onto it.

    Args:
        sentences: The sentences.
        class_ids: (N,), or more for padding.
        scores: The score of each class, in the same shape; None to write no scores.
        names: The K classes; None writes no label.
        label_name: The label type to write.
    """
    values = list(map(names.__getitem__, class_ids.tolist()))
    listed = None if scores is None else scores.tolist()
    end = 0
    for sentence in sentences:
        start, end = end, end + len(sentence.words)
        sentence.store_token_labels(label_name, values[start:end], None if listed is None else listed[start:end])


def write_tags(
    sentences: Sequence[Sentence], class_ids: Ids, scores: Floats | None, names: Sequence[str], label_name: str
) -> None:
    """Write the tags of spans onto words, none for `O`, in place of spans; see `write_words`."""
    for sentence in sentences:
        sentence.set_span_labels(label_name, ())
    write_words(sentences, class_ids, scores, [None if name == OUTSIDE else name for name in names], label_name)


def write_probabilities(
    sentences: Sequence[Sentence], probabilities: NDArray[np.float32], names: Sequence[str], label_name: str
) -> None:
    """Store the probability (N, K) of each class with each word."""
    end = 0
    for sentence in sentences:
        start, end = end, end + len(sentence.words)
        sentence.set_tag_distributions(label_name, names, probabilities[start:end])


def write_spans(
    sentences: Sequence[Sentence], found: Spans, scores: Floats | None, names: Sequence[str], label_name: str
) -> None:
    """Write spans of N words.

    Args:
        sentences: The sentences.
        found: The spans, in their order.
        scores: (N,), or more for padding: the score of the span that begins at each word; None to write no scores.
        names: The labels.
        label_name: The label type to write.
    """
    by_span = None if scores is None else scores[found.starts].tolist()
    lengths = np.array([len(sentence.words) for sentence in sentences], dtype=np.int64)
    ends = lengths.cumsum()
    shifts = np.repeat(ends - lengths, np.diff(np.searchsorted(found.starts, ends), prepend=0))
    values = map(names.__getitem__, found.labels.tolist())
    spans = list(zip((found.starts - shifts).tolist(), (found.ends - shifts).tolist(), values, strict=True))
    start = 0
    for sentence, end in zip(sentences, np.searchsorted(found.starts, ends).tolist(), strict=True):
        if sentence.token_labels(label_name) is not None:
            sentence.set_token_labels(label_name, [None] * len(sentence.words))
        sentence.set_span_labels(label_name, spans[start:end], None if by_span is None else by_span[start:end])
        start = end


def write_sentences(
    sentences: Sequence[Sentence],
    class_ids: NDArray[Any],
    scores: Floats,
    names: Sequence[str],
    label_name: str,
    *,
    with_all: bool = False,
) -> None:
    """Write labels onto S sentences, most probable first; none onto a sentence without words.

    Args:
        sentences: The sentences.
        class_ids: (S,) the class of each sentence, or (S, K) whether it has each of the labels.
        scores: (S,) the score of the class, or (S, K) that of each label.
        names: The K labels.
        label_name: The label type to write.
        with_all: Write all labels with their scores (S, K), whether predicted or not.
    """
    if scores.ndim == 1:
        columns, scores = class_ids[:, None], scores[:, None]  # (S, 1)
    else:
        columns = np.argsort(-scores, axis=1, kind="stable")  # (S, K)
        scores = np.take_along_axis(scores, columns, axis=1)
        if not with_all:
            columns = np.where(np.take_along_axis(class_ids, columns, axis=1), columns, NO_CLASS)
    for sentence, ids, values in zip(sentences, columns.tolist(), scores.tolist(), strict=True):
        pairs = zip(ids, values, strict=True) if sentence.words else ()
        kept = [(names[index], score) for index, score in pairs if index >= 0]
        sentence.set_sentence_labels(label_name, [label for label, _ in kept], [score for _, score in kept])
