"""Labels of whole sentences or texts: topics, say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.data import Sentence
from flairlite.encoding import Targets
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import DEFAULT_METRIC, Matches, Result, evaluate_matches
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tensors import UNLABELLED, copy_to

DEFAULT = "default"  # names the threshold of the labels that have none of their own


class DocumentTask(Task):
    """Each sentence has one of the labels, or any number of them; one without words has none.

    Args:
        label_type: The label type.
        label_names: The K labels that the model can predict.
        multi_label: Whether a sentence can have several labels; one without a label is then one that none fits.
        threshold: With several, the probability above which a label is given: one for all, or one for each label named
            and, under `default`, one for the others.

    Raises:
        SettingError: when a threshold is not between 0 and 1, or names a label that there is not.
    """

    unit = "whole sentence"
    by_word = False

    def __init__(
        self,
        label_type: str,
        label_names: Sequence[str],
        *,
        multi_label: bool = False,
        threshold: float | Mapping[str, float] = 0.5,
    ) -> None:
        super().__init__(label_type, label_names)
        self.multi_label = multi_label
        self.threshold = dict(threshold) if isinstance(threshold, Mapping) else {DEFAULT: threshold}
        _check_thresholds(self.threshold, self.label_names)

    # From labels to numbers

    def count(self, sentences: Iterable[Sentence], label_type: str | None = None) -> Counter[str]:
        """Count the labels of the sentences that have words."""
        counts: Counter[str] = Counter()
        for sentence in sentences:
            if sentence.words:
                counts.update(dict.fromkeys(sentence.sentence_labels(label_type or self.label_type), 1))
        return counts

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Turn the labels of S sentences into integers: (S,), -1 for none, or (S, L) of 0 and 1."""
        label_type = label_type or self.label_type
        number = {label: place for place, label in enumerate(labels)}
        try:
            places = [
                [number[label] for label in dict.fromkeys(sentence.sentence_labels(label_type))]
                if sentence.words
                else []
                for sentence in sentences
            ]
        except KeyError as error:
            raise self._not_given(error.args[0], label_type, labels) from error
        if self.multi_label:
            table = torch.zeros(len(sentences), len(labels), dtype=torch.bool)  # (S, L)
            rows = np.repeat(np.arange(len(places)), [len(row) for row in places])
            table[torch.from_numpy(rows), [column for row in places for column in row]] = True
            return Targets(table, torch.ones(len(sentences), dtype=torch.int64), by_word=False)
        _check_single(sentences, places, label_type)
        numbers = torch.tensor([row[0] if row else UNLABELLED for row in places], dtype=torch.int64)  # (S,)
        return Targets(numbers, ((numbers >= 0) & (numbers < len(self.label_names))).long(), by_word=False)

    def learnable(self, targets: Tensor) -> Tensor:
        """Return targets without the labels that the model does not know: (B,), or (B, K) of 0 and 1."""
        return targets[:, : len(self.label_names)] if self.multi_label else super().learnable(targets)

    def check(self, sentences: Sequence[Sentence], place: str, effect: str) -> list[str]:
        """Check that there is something to learn or to compare with, and say what is left out."""
        said = super().check(sentences, place, effect)
        empty = sum(not sentence.words and bool(sentence.sentence_labels(self.label_type)) for sentence in sentences)
        if empty:
            said.append(f"{empty} labelled sentences of {place} have no words and are left out")
        return said

    # From numbers to labels

    def decode(self, scores: Tensor, *, with_probabilities: bool = False) -> Decoded:
        """Choose labels by scores (B, K): the best one, or all whose probability is above their threshold."""
        if not self.multi_label:
            return super().decode(scores, with_probabilities=with_probabilities)
        probabilities = scores.sigmoid()
        common = self.threshold.get(DEFAULT, 0.5)
        limits = probabilities.new_tensor([self.threshold.get(name, common) for name in self.label_names])  # (K,)
        return Decoded(probabilities > limits, probabilities, probabilities if with_probabilities else None)

    def empty_predictions(self, lengths: Tensor, device: torch.device) -> Tensor:
        """Return room for the labels of a data set: none yet, (S,) or (S, K)."""
        if self.multi_label:
            return torch.zeros(len(lengths), len(self.label_names), dtype=torch.bool, device=device)
        return super().empty_predictions(lengths, device)

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write labels onto each sentence, the surest first; with `probabilities` all labels, however unlikely."""
        scores = decoded.scores if decoded.probabilities is None else decoded.probabilities
        if scores is None:
            scores = torch.ones_like(decoded.class_ids, dtype=torch.float32)
        if scores.dim() == 1:
            scores, columns = scores.unsqueeze(1), decoded.class_ids.unsqueeze(1)  # (S, 1)
        else:
            scores, columns = scores.sort(dim=1, descending=True, stable=True)  # (S, K)
        if self.multi_label and decoded.probabilities is None:
            columns = columns.masked_fill(~decoded.class_ids.gather(1, columns), UNLABELLED)
        for sentence, row, own in zip(sentences, columns.tolist(), scores.tolist(), strict=True):
            kept = [(self.label_names[number], score) for number, score in zip(row, own, strict=True) if number >= 0]
            kept = kept if sentence.words else []
            sentence.set_sentence_labels(label_name, [label for label, _ in kept], [score for _, score in kept])

    # Comparison

    def score(
        self,
        gold: Gold,
        predicted: Tensor,
        *,
        loss: float = 0.0,
        main_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude: Collection[str] = (),
    ) -> Result:
        """Compare sentence by sentence; sentences without words are left out."""
        if not self.multi_label:
            return self._score_single(gold, predicted, loss=loss, main_metric=main_metric, exclude=exclude)
        numbers = copy_to(gold.targets.class_ids, predicted.device)
        is_kept = torch.tensor([label not in exclude for label in gold.labels], device=predicted.device)  # (L,)
        has_words = torch.tensor([bool(one.words) for one in gold.sentences], dtype=torch.bool, device=predicted.device)
        is_compared = has_words & ((numbers & is_kept).any(1) | ~numbers.any(1))  # (S,)
        if not bool((numbers & is_kept).any()):
            raise self._nothing_to_compare()
        predicted = nn.functional.pad(predicted.bool(), (0, numbers.shape[1] - predicted.shape[1]))  # (S, L)
        matches = Matches.of_sets(numbers[is_compared] & is_kept, predicted[is_compared] & is_kept)
        return evaluate_matches(matches, gold.labels, loss=loss, main_metric=main_metric)

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line a sentence: its gold labels (`_` for none), the predicted ones, and its text."""
        pairs = zip(self._names(gold.targets.class_ids, gold.labels), self._names(predicted, gold.labels), strict=True)
        for sentence, (golds, predictions) in zip(gold.sentences, pairs, strict=True):
            yield f"{golds}\t{predictions}\t{' '.join(sentence.text.split())}\n"

    def _names(self, numbers: Tensor, labels: Sequence[str]) -> Iterator[str]:
        """Yield the labels of each sentence, in one string."""
        for row in numbers.tolist():
            if self.multi_label:
                yield ", ".join(label for label, is_given in zip(labels, row, strict=False) if is_given) or "_"
            else:
                yield labels[row] if row >= 0 else "_"

    def _not_given(self, label: str, label_type: str, labels: Sequence[str]) -> LabelError:
        return LabelError(
            f"the {label_type!r} label {label!r} is not among the labels given, {', '.join(labels) or 'none'}: "
            "give all that occur, as all_labels lists them"
        )


def _check_single(sentences: Sequence[Sentence], places: Sequence[Sequence[int]], label_type: str) -> None:
    several = [sentence for sentence, row in zip(sentences, places, strict=True) if len(row) > 1]
    if several:
        labels = ", ".join(several[0].sentence_labels(label_type))
        raise LabelError(
            f"{len(several)} sentences have more than one {label_type!r} label, as {several[0].text[:60]!r} has "
            f"{labels}, but this model gives one: make it with multi_label=True, or leave one label on each"
        )


def _check_thresholds(threshold: Mapping[str, float], names: Sequence[str]) -> None:
    if unknown := sorted(set(threshold) - {DEFAULT, *names}):
        raise SettingError(f"thresholds name {', '.join(unknown)}, but the labels are {', '.join(names)}")
    if wrong := [value for value in threshold.values() if not 0 <= value <= 1]:
        raise SettingError(f"a threshold is a probability, between 0 and 1, not {wrong[0]}")
