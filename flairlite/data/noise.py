"""Labels made wrong on purpose, to see what a model makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from flairlite.data.sentence import Sentence
from flairlite.errors import LabelError, SettingError


def add_noise(
    sentences: Iterable[Sentence],
    label_type: str,
    weights: Mapping[str, Sequence[float]],
    generator: random.Random,
) -> tuple[int, int]:
    """Put another label in place of some, and keep the right one under `{label_type}_clean`.

    Args:
        sentences: The sentences to change.
        label_type: The label type to change.
        weights: For each label, how likely it becomes each of the labels, in the order of this mapping.
        generator: What is drawn from.

    Returns:
        How many labels were changed, and how many there are.

    Raises:
        LabelError: when a label occurs that has no weights.
    """
    changed = total = 0
    values = list(weights)
    for sentence in sentences:
        for label in sentence.get_labels(label_type):
            if label.value not in weights:
                raise LabelError(
                    f"{label.value!r} is not among the labels given: {', '.join(values)}. Give all of them"
                )
            noisy = generator.choices(values, weights[label.value])[0]
            label.data_point.set_label(label_type, noisy).add_label(f"{label_type}_clean", label.value)
            changed += noisy != label.value
            total += 1
    return changed, total


def uniform_noise(labels: Sequence[str], noise_share: float) -> dict[str, list[float]]:
    """Return the weights by which a share of all labels becomes one of the other labels.

    Raises:
        SettingError: when the share is none, or there is no other label.
    """
    if not 0 <= noise_share <= 1 or len(set(labels)) < 2:
        raise SettingError(f"give a noise_share from 0 to 1 and two labels or more, not {noise_share} and {labels}")
    other = noise_share / (len(labels) - 1)
    return {label: [1 - noise_share if value == label else other for value in labels] for label in labels}
