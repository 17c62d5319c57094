"""How often labels, words and lengths occur in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from flairlite.data.label import Label
from flairlite.data.sentence import Sentence
from flairlite.data.token import Token


def count_labels(sentences: Iterable[Sentence], label_type: str) -> tuple[Counter[str], bool]:
    """Count the values of a label type, and tell whether spans carry them."""
    counts: Counter[str] = Counter()
    has_spans = False
    for sentence in sentences:
        column = sentence.token_labels(label_type)
        if column is not None:
            counts.update(column)  # type: ignore[arg-type]  # None is taken out below
        for place, label in sentence._labels.others(label_type):
            counts[label.value] += 1
            has_spans = has_spans or isinstance(place, tuple)
    counts.pop(None, None)  # type: ignore[call-overload]
    return counts, has_spans


def has_several_labels(sentences: Iterable[Sentence], label_type: str) -> bool:
    """Tell whether a sentence, not only its words or spans, has more than one label of a type."""
    return any(len(sentence.sentence_labels(label_type)) > 1 for sentence in sentences)


def statistics_of(sentences: Sequence[Sentence] | None, name: str, label_type: str | None) -> dict[str, Any]:
    """Return the figures of a split under Flair's names; nothing for a split without sentences."""
    if not sentences:
        return {}
    per_class: Counter[str] = Counter()
    per_tag: Counter[str] = Counter()
    lengths = []
    for sentence in sentences:
        labels = sentence.get_labels(label_type)
        per_class.update(label.value for label in labels)
        per_tag.update(label.value for label in _first_of_tokens(labels))
        lengths.append(len(sentence.words))
    total = sum(lengths)
    return {
        "dataset": name,
        "total_number_of_documents": len(lengths),
        "number_of_documents_per_class": dict(per_class),
        "number_of_tokens_per_tag": dict(per_tag),
        "number_of_tokens": {
            "total": total,
            "min": min(lengths),
            "max": max(lengths),
            "avg": total / len(lengths),
        },
    }


def _first_of_tokens(labels: Iterable[Label]) -> list[Label]:
    first: dict[tuple[int, str | None], Label] = {}
    for label in labels:
        if isinstance(label.data_point, Token):
            first.setdefault((label.data_point.idx, label.typename), label)
    return list(first.values())
