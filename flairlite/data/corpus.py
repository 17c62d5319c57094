"""A corpus: sentences in a training, a development and a test split."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from flairlite.data.dictionary import Dictionary
from flairlite.data.sentence import Sentence
from flairlite.data.span import Span
from flairlite.errors import LabelError, SettingError
from flairlite.runtime import get_seed

log = logging.getLogger("flairlite")

SPLITS = ("train", "dev", "test")


class Corpus:
    """Sentences in up to three splits.

    Args:
        train: The training split.
        dev: The development split, or None.
        test: The test split, or None.
        name: What to call the corpus.
        sample_missing_splits: Take a tenth of the training split for each of dev and test that is missing. Flair does
            so without being asked; here a split is only sampled on request, and the log says it.
        random_seed: Seed of the sampling; the process's default seed when None.

    Example:
        >>> print(Corpus([Sentence(["Hello"])], name="tiny"))
        Corpus: 1 train + 0 dev + 0 test sentences
    """

    def __init__(
        self,
        train: Sequence[Sentence] | None = None,
        dev: Sequence[Sentence] | None = None,
        test: Sequence[Sentence] | None = None,
        name: str = "corpus",
        *,
        sample_missing_splits: bool = False,
        random_seed: int | None = None,
    ) -> None:
        self.name = name
        self.train: Sequence[Sentence] | None = train
        self.dev: Sequence[Sentence] | None = dev
        self.test: Sequence[Sentence] | None = test
        if sample_missing_splits:
            self._sample_missing(random_seed)

    def downsample(
        self,
        percentage: float = 0.1,
        downsample_train: bool = True,
        downsample_dev: bool = True,
        downsample_test: bool = True,
        random_seed: int | None = None,
    ) -> Corpus:
        """Keep a random part of each split, in the order it had, and return this corpus.

        Args:
            percentage: The part to keep, between 0 and 1.
            downsample_train: Whether the training split is made smaller.
            downsample_dev: Whether the development split is.
            downsample_test: Whether the test split is.
            random_seed: Decides which sentences are kept; the same for the same seed, always. The process's default
                seed (see `flairlite.set_seed`) when None.

        Raises:
            SettingError: when percentage is not in (0, 1].
        """
        if not 0 < percentage <= 1:
            raise SettingError(f"percentage must be above 0 and at most 1, as 0.1 for a tenth; it is {percentage}")
        chosen = zip(SPLITS, (downsample_train, downsample_dev, downsample_test), strict=True)
        for split in (name for name, is_chosen in chosen if is_chosen):
            sentences = getattr(self, split)
            if sentences:
                kept, _ = _sampled(sentences, round(len(sentences) * percentage), get_seed(random_seed))
                setattr(self, split, kept)
        return self

    def get_all_sentences(self) -> list[Sentence]:
        """Return the sentences of all splits."""
        return [*(self.train or ()), *(self.dev or ()), *(self.test or ())]

    def get_label_types(self) -> dict[str, int]:
        """Return in how many sentences each label type occurs."""
        return dict(Counter(chain.from_iterable(sentence.label_types() for sentence in self.get_all_sentences())))

    def make_label_dictionary(
        self,
        label_type: str,
        min_count: int = 1,
        add_unk: bool = True,
        add_dev_test: bool = False,
    ) -> Dictionary:
        """Collect the label values of the training split, the most frequent first.

        Args:
            label_type: The label type, such as `upos`.
            min_count: Leave out values that occur less often.
            add_unk: Start with `<unk>`, for values that a model has not seen.
            add_dev_test: Collect from the other splits too.

        Raises:
            LabelError: when no sentence has a label of this type; the error names the types that there are.
        """
        sentences = self.get_all_sentences() if add_dev_test else self.train or ()
        counts, has_spans = count_labels(sentences, label_type)
        if not counts:
            raise LabelError(self._no_label_type(label_type))
        dictionary = Dictionary(add_unk=add_unk)
        dictionary.span_labels = has_spans
        for value, count in counts.most_common():
            if count >= min_count:
                dictionary.add_item(value)
        rare = [value for value, count in counts.items() if count < min_count]
        if rare:
            log.info("%d labels occur less than %d times and are left out: %s", len(rare), min_count, ", ".join(rare))
        return dictionary

    def _no_label_type(self, label_type: str) -> str:
        types = self.get_label_types()
        if label_type in types:
            return f"label type {label_type!r} is in dev or test, but not in train: pass add_dev_test=True to use those"
        by_count = sorted(types.items(), key=lambda item: -item[1])
        known = ", ".join(f"{name} ({count:,} sentences)" for name, count in by_count) or "no labels at all"
        return f"no label type {label_type!r} in this corpus; it has: {known}"

    def _sample_missing(self, random_seed: int | None) -> None:
        for split in ("dev", "test"):
            if getattr(self, split) is None and self.train:
                size = max(1, round(len(self.train) * 0.1))
                sampled, self.train = _sampled(self.train, size, get_seed(random_seed))
                setattr(self, split, sampled)
                log.info("No %s split: %d of the training sentences were taken for it, as asked", split, size)

    def __str__(self) -> str:
        sizes = " + ".join(f"{len(getattr(self, split) or ())} {split}" for split in SPLITS)
        return f"Corpus: {sizes} sentences"

    __repr__ = __str__


def count_labels(sentences: Iterable[Sentence], label_type: str) -> tuple[Counter[str], bool]:
    """Count the values of a label type, and tell whether spans carry them."""
    counts: Counter[str] = Counter()
    has_spans = False
    for sentence in sentences:
        column = sentence.token_labels(label_type)
        if column is not None:
            counts.update(column)  # type: ignore[arg-type]  # None is taken out below
        for label in sentence._rich.get(label_type, ()):
            counts[label.value] += 1
            has_spans = has_spans or isinstance(label.data_point, Span)
    counts.pop(None, None)  # type: ignore[call-overload]
    return counts, has_spans


def _sampled(sentences: Sequence[Sentence], size: int, seed: int) -> tuple[list[Sentence], list[Sentence]]:
    """Return `size` sentences drawn at random and the others, both in their order."""
    drawn = set(random.Random(seed).sample(range(len(sentences)), size))
    kept = [sentence for index, sentence in enumerate(sentences) if index in drawn]
    return kept, [sentence for index, sentence in enumerate(sentences) if index not in drawn]
