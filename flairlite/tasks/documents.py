"""Labels of whole sentences or texts, such as topics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.data import Sentence
from flairlite.encoding import Targets
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import Matches
from flairlite.prediction.writing import write_sentences
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tasks.words import clean_cell, missing_label
from flairlite.tensors import UNLABELLED

DEFAULT = "default"  # key of the threshold for labels without one of their own


class DocumentTask(Task):
    """Each sentence has one of the labels, or any number of them; sentences without words are left out.

    Args:
        label_type: The label type.
        label_names: The K labels that the model can predict.
        multi_label: Whether a sentence can have several labels; no label then means that none applies.
        threshold: With several labels, the probability above which a label is predicted: one for all, or one for each
            label named and, under `default`, one for the others.

    Raises:
        SettingError: If a threshold is not between 0 and 1, or names an unknown label.
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
        self.threshold = _validate_thresholds(
            threshold if isinstance(threshold, Mapping) else {DEFAULT: threshold}, self.label_names
        )

    # From labels to class ids

    def labels_in(self, sentence: Sentence, label_type: str) -> Sequence[str]:
        """Return the distinct labels of a sentence that has words."""
        return list(dict.fromkeys(sentence.sentence_labels(label_type))) if sentence.words else ()

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Convert the labels of S sentences to integers: (S,), -1 for none, or (S, L) of 0 and 1."""
        label_type = label_type or self.label_type
        id_of = {label: index for index, label in enumerate(labels)}
        try:
            rows = [[id_of[label] for label in self.labels_in(sentence, label_type)] for sentence in sentences]
        except KeyError as error:
            raise missing_label(error.args[0], label_type, labels) from error
        if self.multi_label:
            table = torch.zeros(len(sentences), len(labels), dtype=torch.bool)  # (S, L)
            row_ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
            table[torch.from_numpy(row_ids), [column for row in rows for column in row]] = True
            return Targets(table, torch.ones(len(sentences), dtype=torch.int64), by_word=False)
        _check_single(sentences, rows, label_type)
        ids = torch.tensor([row[0] if row else UNLABELLED for row in rows], dtype=torch.int64)  # (S,)
        return Targets(ids, ((ids >= 0) & (ids < len(self.label_names))).long(), by_word=False)

    def mask_unknown(self, targets: Tensor) -> Tensor:
        """Return targets without the labels that the model does not know: (B,), or (B, K) of 0 and 1."""
        return targets[:, : len(self.label_names)] if self.multi_label else super().mask_unknown(targets)

    def count_omitted(self, sentence: Sentence, label_type: str, labels: Sequence[str]) -> Mapping[str, int]:
        """Count labelled sentences without words, and sentences without a label where each should have one."""
        return {
            "empty": int(not sentence.words and bool(sentence.sentence_labels(label_type))),
            "unlabelled": int(bool(sentence.words) and not labels and not self.multi_label),
        }

    def omissions(self, for_training: bool) -> dict[str, str]:
        """Return the messages about empty and unlabelled sentences."""
        effect = (
            "teach the model nothing, and it will predict a label for such sentences too. Label them, or use "
            "multi_label=True if no label may apply"
            if for_training
            else "are not compared"
        )
        return {
            "empty": "labelled sentences of {name} have no words and are left out",
            "unlabelled": f"sentences of {{name}} have no {{label_type!r}} label: they {effect}",
        }

    # From class ids to labels

    def decode(self, scores: Tensor, *, with_probabilities: bool = False) -> Decoded:
        """Choose labels by scores (B, K): the best one, or all whose probability exceeds their threshold."""
        if not self.multi_label:
            return super().decode(scores, with_probabilities=with_probabilities)
        probabilities = scores.sigmoid()
        default = self.threshold.get(DEFAULT, 0.5)
        thresholds = probabilities.new_tensor([self.threshold.get(name, default) for name in self.label_names])  # (K,)
        return Decoded(probabilities > thresholds, probabilities, probabilities if with_probabilities else None)

    def empty_predictions(self, lengths: Tensor, device: torch.device) -> Tensor:
        """Return class ids to fill for a data set: no label yet, (S,) or (S, K)."""
        if self.multi_label:
            return torch.zeros(len(lengths), len(self.label_names), dtype=torch.bool, device=device)
        return super().empty_predictions(lengths, device)

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write labels onto each sentence, most probable first; with `probabilities`, all labels."""
        scores = decoded.scores if decoded.probabilities is None else decoded.probabilities
        if scores is None:
            scores = torch.ones_like(decoded.class_ids, dtype=torch.float32)
        arrays = (decoded.class_ids.cpu().numpy(), scores.cpu().numpy())
        with_all = decoded.probabilities is not None
        write_sentences(sentences, *arrays, self.label_names, label_name, with_all=with_all)

    # Evaluation

    def match(self, gold: Gold, predicted: Tensor, exclude: Collection[str]) -> Matches:
        """Count correct, predicted and gold labels, sentence by sentence; sentences without words are left out."""
        if not self.multi_label:
            return super().match(gold, predicted, exclude)
        ids, predicted = gold.targets.class_ids.cpu(), predicted.bool().cpu()  # (S, L), (S, K)
        is_kept = torch.tensor([label not in exclude for label in gold.labels])  # (L,)
        has_words = torch.tensor([bool(sentence.words) for sentence in gold.sentences], dtype=torch.bool)
        is_compared = has_words & ((ids & is_kept).any(1) | ~ids.any(1))  # (S,)
        predicted = nn.functional.pad(predicted, (0, ids.shape[1] - predicted.shape[1]))  # (S, L)
        return Matches.of_sets(ids[is_compared] & is_kept, predicted[is_compared] & is_kept)

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line per sentence: its gold labels (`_` for none), the predicted ones, and its text."""
        pairs = zip(self._names(gold.targets.class_ids, gold.labels), self._names(predicted, gold.labels), strict=True)
        for sentence, (golds, predictions) in zip(gold.sentences, pairs, strict=True):
            yield f"{golds}\t{predictions}\t{' '.join(sentence.text.split())}\n"

    def _names(self, class_ids: Tensor, labels: Sequence[str]) -> Iterator[str]:
        """Yield the labels of each sentence as one string."""
        labels = [clean_cell(label) for label in labels]
        for row in class_ids.tolist():
            if self.multi_label:
                yield ", ".join(label for label, is_given in zip(labels, row, strict=False) if is_given) or "_"
            else:
                yield labels[row] if row >= 0 else "_"


def _check_single(sentences: Sequence[Sentence], rows: Sequence[Sequence[int]], label_type: str) -> None:
    several = [sentence for sentence, row in zip(sentences, rows, strict=True) if len(row) > 1]
    if several:
        labels = ", ".join(several[0].sentence_labels(label_type))
        raise LabelError(
            f"{len(several)} sentences have more than one {label_type!r} label, as {several[0].text[:60]!r} has "
            f"{labels}, but this model predicts one: make it with multi_label=True, or leave one label on each"
        )


def _validate_thresholds(threshold: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    if unknown := sorted(map(str, set(threshold) - {DEFAULT, *names})):
        raise SettingError(f"thresholds name {', '.join(unknown)}, but the labels are {', '.join(names)}")
    if wrong := [
        value
        for value in threshold.values()
        if isinstance(value, bool) or not (isinstance(value, Real) and 0 <= value <= 1)
    ]:
        raise SettingError(f"a threshold is a probability, between 0 and 1, not {wrong[0]!r}")
    return {name: float(value) for name, value in threshold.items()}
