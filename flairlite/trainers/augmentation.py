"""Augmentation: training sentences in other case, or without their final punctuation, drawn anew for each epoch."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Variants, Variation
from flairlite.runtime import get_seed
from flairlite.tasks import Task

if TYPE_CHECKING:
    from flairlite.trainers.settings import TrainingSettings
    from flairlite.trainers.splits import Split


def to_title(word: str) -> str:
    """Return a word with its first character in upper case; the others stay, as those of `NASA` in a headline."""
    return word[:1].upper() + word[1:]


CASES: Variants = (str.lower, str.upper, to_title)


class Augmentation:
    """Draws how the training sentences vary in an epoch.

    What is drawn for an epoch depends only on the seed and the epoch, so that there is no state to save.

    Args:
        settings: The settings of the run.
        tasks: The tasks of the model.
        split: The training data, encoded for augmentation.
    """

    def __init__(self, settings: TrainingSettings, tasks: Sequence[Task], split: Split) -> None:
        cases = (settings.augment_lowercase, settings.augment_uppercase, settings.augment_titlecase)
        self._bounds = torch.tensor(cases, dtype=torch.float64).cumsum(0)  # (V,)
        self._drop, self._seed, self._split = settings.augment_nopunct, get_seed(settings.seed), split
        self._can_drop = split.can_drop  # (S,)
        targets = split.gold.targets
        # (P, S) labels, and distributions, of the last words
        self._last_labels, self._last_soft = torch.zeros(2, len(tasks), len(split.can_drop), dtype=torch.int64)
        last = split.dataset.lengths.cumsum(0) - 1  # (S,)
        for index, (task, part) in enumerate(zip(tasks, targets.types, strict=True)):
            if part.by_word:
                self._last_labels[index] = task.mask_unknown(part.class_ids)[last] >= 0
            if part.soft is not None:
                self._last_soft[index] = (part.soft.probabilities[last] > 0).any(dim=1)

    def draw(self, epoch: int) -> Split:
        """Return the training data of an epoch, from 1."""
        generator = torch.Generator().manual_seed(self._seed)
        seeds = torch.randint(2**62, (epoch,), generator=generator)
        generator.manual_seed(int(seeds[-1]))
        cases, drops = torch.rand(2, len(self._can_drop), dtype=torch.float64, generator=generator)  # (S,) each
        variants = (cases.unsqueeze(1) >= self._bounds).sum(1)  # (S,) from 0; V for no other case
        variants = torch.where(variants < len(CASES), variants + 1, 0)
        is_dropped = self._can_drop & (drops < self._drop)
        counts = (self._last_labels * is_dropped, self._last_soft * is_dropped)
        variation = Variation(variants, is_dropped.long(), *counts)
        return replace(self._split, dataset=self._split.dataset.vary(variation))


def find_droppable(sentences: Sequence[Sentence]) -> Tensor:
    """Return which sentences may lose their last word, (S,).

    It is punctuation (by its characters' categories in Unicode), it is not the only word, and no span has it besides
    other words.
    """
    return torch.tensor(list(map(_is_droppable, sentences)), dtype=torch.bool)


def _is_droppable(sentence: Sentence) -> bool:
    words = sentence.words
    if len(words) < 2 or {unicodedata.category(character)[0] for character in words[-1]} != {"P"}:
        return False
    spans = (span for label_type in sentence.label_types() for span in sentence.span_labels(label_type))
    return not any(end == len(words) and end - start > 1 for start, end, _ in spans)
