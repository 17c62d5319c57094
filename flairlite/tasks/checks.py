"""Check the labels of a data set before a model learns them or is compared with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from flairlite.data import Sentence
from flairlite.data.dictionary import UNKNOWN
from flairlite.data.tag_schemes import OUTSIDE
from flairlite.errors import LabelError

if TYPE_CHECKING:
    from flairlite.tasks.task import Task

_SAMPLE_SIZE = 200  # sentences whose labels are inspected for scores


class LabelCheck:
    """Checks that there is something to learn, or to compare with, in one pass over the sentences of a data set.

    Args:
        task: The task of the model.
        name: Name of the data in messages, for example "the train split".
        size: The number of sentences.
        for_training: Whether the labels are learned; otherwise predictions are compared with them.
        label_type: The label type; default: the task's own.
        soft_type: The label type of distributions to learn besides the labels, or None.
        exclude: Labels that are left out of the comparison.
        may_lack: Whether data to compare with may have no label at all.

    Attributes:
        counts: How often each label occurs in the sentences that have been added.
    """

    def __init__(
        self,
        task: Task,
        name: str,
        *,
        size: int,
        for_training: bool = False,
        label_type: str | None = None,
        soft_type: str | None = None,
        exclude: Collection[str] = (),
        may_lack: bool = False,
    ) -> None:
        self._task, self._name, self._for_training = task, name, for_training
        self._soft_type, self._may_lack = soft_type, may_lack
        self._has_soft = False
        self._label_type, self._exclude = label_type or task.label_type, exclude
        self._step = max(1, size // _SAMPLE_SIZE)
        self._size = self._sampled = self._predicted = 0  # sentences
        self.counts: Counter[str] = Counter()
        self._omitted: Counter[str] = Counter()
        self._types: set[str] = set()  # all label types, until a label of the wanted type is found
        self._has_words = False

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Count the labels of the next sentences of the data set."""
        for index, sentence in enumerate(sentences, start=self._size):
            labels = self._task.labels_in(sentence, self._label_type)
            self.counts.update(labels)
            for kind, number in self._task.count_omitted(sentence, self._label_type, labels).items():
                if number:
                    self._omitted[kind] += number
            if labels and not self._for_training and index % self._step == 0:
                self._sampled += 1
                self._predicted += sentence.has_scores(self._label_type)
            if not self.counts:
                self._types.update(sentence.label_types())
            if self._soft_type is not None and not self._has_soft:
                self._has_soft = sentence.tag_distributions(self._soft_type) is not None
            self._has_words = self._has_words or bool(sentence.words)
        self._size += len(sentences)

    def finish(self) -> list[str]:
        """Return warnings about the data set, when all its sentences have been added.

        They are about missing labels, labels that the model does not know, units that are left out, and gold labels
        that look like predictions.

        Raises:
            LabelError: If there are no words or nothing to learn; or, for a comparison, if no word, or sentence with a
                single label, is labelled, or if other units than the task's have the labels. Spans may be absent.
        """
        task, name, label_type, counts = self._task, self._name, self._label_type, self.counts
        if self._soft_type is not None and self._for_training:
            if not self._has_soft:
                raise LabelError(
                    f"no sentence of {name} has distributions {self._soft_type!r}, which soft_labels names: attach "
                    f"them, as soft_labels.attach(sentences, {self._soft_type!r}), or learn from labels alone after "
                    "tagger.forget_soft_labels()"
                )
            if not counts:
                return []  # the distributions are enough
        if self._may_lack and not self._for_training and not counts:
            return [f"{name} has no {label_type!r} labels: predictions of this type are not evaluated"]
        warnings = []
        if self._predicted:
            warnings.append(
                f"{self._predicted} of {self._sampled} sampled sentences of {name} have {label_type!r} labels with "
                "scores other than 1, as predict writes them: if they are predictions, they have replaced the gold "
                "labels and are compared with themselves. Predict with label_name='predicted', or on copies"
            )
        if unused := [label for label in self._exclude if label not in (*counts, *task.label_names, OUTSIDE)]:
            warnings.append(f"excluded labels that neither {name} nor the model has: {', '.join(map(str, unused))}")
        if not counts:
            return [*warnings, self._describe_absence()]
        warnings += _describe_labels(task, counts, name, self._for_training)
        if set(counts) <= set(self._exclude):
            warnings.append(f"all labels of {name} are excluded: predictions are false alarms, and scores are 0")
        return warnings + [
            f"{self._omitted[kind]} {text.format(name=name, label_type=label_type)}"
            for kind, text in task.omissions(self._for_training).items()
            if self._omitted[kind]
        ]

    def _describe_absence(self) -> str:
        """Return the warning that the data has no label of the type, or raise it as an error."""
        task, name, label_type, types = self._task, self._name, self._label_type, sorted(self._types)
        if label_type not in types:
            message = f"no label type {label_type!r} in {name}; it has: {', '.join(types) or 'no labels at all'}"
        else:
            others = " or ".join(f"{unit}s" for unit in ("word", "span", "whole sentence") if unit != task.unit)
            message = (
                f"no {task.unit} of {name} has a label of the type {label_type!r}: {others} have, "
                f"and this model labels {task.unit}s"
            )
            if task.by_word:
                message += f". Make its dictionary with corpus.make_label_dictionary({label_type!r})"
        if self._for_training or label_type in types or not task.may_be_absent or not self._has_words:
            raise LabelError(message)
        return f"{message}. Its scores are 0, whatever is predicted for it"


def _describe_labels(task: Task, counts: Counter[str], name: str, for_training: bool) -> Iterator[str]:
    """Yield warnings about labels that the model does not know, and about a model that knows one label only."""
    unknown = [label for label in counts if label not in task.label_names and label != UNKNOWN]
    if for_training and len(unknown) == len(counts) and task.unknown is None:
        raise LabelError(
            f"the model knows none of the labels of {name}: it knows {', '.join(task.label_names[:20])}, "
            f"and {name} has {', '.join(unknown[:20])}. Make the dictionary from this corpus"
        )
    if unknown:
        effect = "teach the model nothing" if for_training else "count as misses"
        if task.unknown is not None:
            effect = f"are learned as {UNKNOWN}; in an evaluation they count as misses"
        shown = ", ".join(f"{label} ({counts[label]})" for label in unknown[:20])
        yield f"{len(unknown)} labels of {name} are not in the model's dictionary and {effect}: {shown}"
    if for_training and len(task.class_names) == 1 and not task.multi_label:
        yield (
            f"the model knows one label only, {task.label_names[0]!r}, and predicts it for every {task.unit} with the "
            f"score 1: give the other {task.unit}s a label of their own, such as 'other'"
        )
