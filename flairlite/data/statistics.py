"""Counts of labels and words, and noise in labels."""

from __future__ import annotations

import difflib
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from flairlite.data.data_points import Token
from flairlite.data.dictionary import UNKNOWN
from flairlite.data.label_values import is_number
from flairlite.data.labels import Label
from flairlite.data.sentence import Sentence
from flairlite.errors import LabelError, SettingError


@dataclass
class LabelCounts:
    """The labels of one type in some sentences.

    Attributes:
        counts: How often each value occurs.
        has_spans: Whether spans have such labels.
        has_several: Whether a sentence itself has more than one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    has_spans: bool = False
    has_several: bool = False


def count_labels(sentences: Iterable[Sentence], label_type: str) -> LabelCounts:
    """Count the labels of one type, in one pass over the sentences."""
    found, counts = LabelCounts(), Counter[Any]()
    for sentence in sentences:
        counts.update(sentence.token_labels(label_type) or ())
        for location, label in sentence._labels.others(label_type):
            counts[label.value] += 1
            found.has_spans = found.has_spans or isinstance(location, tuple)
        found.has_several = found.has_several or len(sentence.sentence_labels(label_type)) > 1
    counts.pop(None, None)  # of tokens without a label
    found.counts = counts
    return found


def describe_missing_type(missing: str, types: Mapping[str, int]) -> str:
    """Return the message for a label type without labels in a split.

    Args:
        missing: The label type.
        types: The label types of the corpus, with their numbers of sentences.
    """
    if missing in types or any(missing == name.lower() for name in types):
        return f"label type {missing!r} is in dev or test, but not in train: pass add_dev_test=True to use those"

    def rank(item: tuple[str, int]) -> tuple[float, int]:
        asked, name = missing.lower(), item[0].lower()
        ratio = difflib.SequenceMatcher(None, asked, name).ratio()
        return 0 if ratio < 0.6 and asked not in name else -ratio, -item[1]

    nearest_first = sorted(types.items(), key=rank)
    known = ", ".join(f"{name} ({count:,} sentences)" for name, count in nearest_first) or "no labels at all"
    return f"no label type {missing!r} in this corpus; it has: {known}"


def statistics_of(sentences: Sequence[Sentence] | None, name: str, label_type: str | None) -> dict[str, Any]:
    """Return the counts of a split under Flair's names; empty for a split without sentences."""
    if not sentences:
        return {}
    per_class: Counter[str] = Counter()
    per_tag: Counter[str] = Counter()
    lengths = []
    for sentence in sentences:
        labels = sentence.get_labels(label_type)
        per_class.update(label.value for label in labels)
        per_tag.update(label.value for label in _first_labels_of_tokens(labels))
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


def _first_labels_of_tokens(labels: Iterable[Label]) -> list[Label]:
    first: dict[tuple[int, str | None], Label] = {}
    for label in labels:
        if isinstance(label.data_point, Token):
            first.setdefault((label.data_point.idx, label.typename), label)
    return list(first.values())


def add_noise(
    sentences: Sequence[Sentence],
    label_type: str,
    weights: Mapping[str, Sequence[float]],
    generator: random.Random,
) -> tuple[int, int]:
    """Replace labels by random ones; the original labels are kept as labels of the type `{label_type}_clean`.

    Noise that is added a second time keeps the original labels of the first time.

    Args:
        sentences: The sentences to change.
        label_type: The label type to change.
        weights: For each label, the weights with which it becomes each of the labels, in the order of this mapping.
        generator: The random generator.

    Returns:
        The number of labels that changed, and of all labels.

    Raises:
        LabelError: If a label has no weights; no sentence is changed then.
    """
    values = list(weights)
    for sentence in sentences:
        for label in sentence.get_labels(label_type):
            if label.value not in weights:
                raise LabelError(f"{label.value!r} is not among the labels given: {', '.join(values)}. Give all labels")
    changed = total = 0
    clean_type = f"{label_type}_clean"
    for sentence in sentences:
        labels = sentence.get_labels(label_type)
        # Decided before any label is added: a data point with several labels keeps all of them.
        is_first = [not label.data_point._home._labels.labels_of(label.data_point, clean_type) for label in labels]
        for label, is_original in zip(labels, is_first, strict=True):
            value = label.value
            noisy = generator.choices(values, weights[value])[0]
            label.set_value(noisy)
            if is_original:
                label.data_point.add_label(clean_type, value)
            changed += noisy != value
            total += 1
    return changed, total


def uniform_noise(labels: Sequence[str], noise_share: float) -> dict[str, list[float]]:
    """Return the weights with which a share of all labels becomes one of the other labels, all equally likely.

    Raises:
        SettingError: If the share is not between 0 and 1, or there are fewer than two labels.
    """
    if not is_number(noise_share) or not 0 <= noise_share <= 1 or len(set(labels)) < 2:
        raise SettingError(f"give a noise_share from 0 to 1 and two labels or more, not {noise_share!r} and {labels}")
    other = noise_share / (len(labels) - 1)
    return {label: [1 - noise_share if value == label else other for value in labels] for label in labels}


def check_noise_labels(labels: Any) -> None:
    """Check that labels are different strings.

    Raises:
        SettingError: If they are not, or `<unk>` is among them.
    """
    is_list = isinstance(labels, Iterable) and not isinstance(labels, (str, bytes, Mapping, Set))
    if not is_list or len(set(map(str, labels))) < len(list(labels)):
        raise SettingError(f"labels must be a list of different labels, not {labels!r:.60}")
    if UNKNOWN in labels:
        raise SettingError(f"{UNKNOWN} is not a label: make the list with make_label_dictionary(..., add_unk=False)")


def check_noise_weights(weights: Any, labels: Sequence[str]) -> None:
    """Check that there is a row of weights for each label, with a weight for each label.

    Raises:
        SettingError: If there is not, or a row has a negative weight or no positive one.
    """
    if not isinstance(weights, Mapping) or set(weights) != set(labels):
        raise SettingError("the noise_transition_matrix must have a row for each of the labels, by label")
    for label, row in weights.items():
        if len(row) != len(labels) or not all(is_number(weight) and weight >= 0 for weight in row):
            raise SettingError(
                f"the noise_transition_matrix must have a row for each of the labels, with a weight of 0 or more for "
                f"each of the {len(labels)} labels; the row of {label!r} is {list(row)}"
            )
        if not math.fsum(row):
            raise SettingError(f"the row of {label!r} in the noise_transition_matrix has no weight above 0")
