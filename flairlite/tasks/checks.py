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


def check_labels(
    task: Task,
    sentences: Sequence[Sentence],
    name: str,
    for_training: bool,
    label_type: str,
    exclude: Collection[str],
) -> list[str]:
    """Check that there is something to learn, or to compare with, in one pass over the sentences.

    Args:
        task: The task of the model.
        sentences: The sentences.
        name: Name of the data in messages, for example "the train split".
        for_training: Whether the labels are learned; otherwise predictions are compared with them.
        label_type: The label type.
        exclude: Labels that are left out of the comparison.

    Returns:
        Warnings: missing labels, labels that the model does not know, units that are left out, and gold labels that
        look like predictions.

    Raises:
        LabelError: If there are no words or nothing to learn; or, for a comparison, if no word, or sentence with a
            single label, is labelled, or if other units than the task's have the labels. Spans may be absent.
    """
    counts: Counter[str] = Counter()
    omitted: Counter[str] = Counter()
    sampled, predicted = 0, 0
    step = max(1, len(sentences) // _SAMPLE_SIZE)
    for index, sentence in enumerate(sentences):
        labels = task.labels_in(sentence, label_type)
        counts.update(labels)
        for kind, number in task.count_omitted(sentence, label_type, labels).items():
            if number:
                omitted[kind] += number
        if labels and not for_training and index % step == 0:
            sampled += 1
            predicted += sentence.has_scores(label_type)
    warnings = []
    if predicted:
        warnings.append(
            f"{predicted} of {sampled} sampled sentences of {name} have {label_type!r} labels with scores other "
            "than 1, as predict writes them: if they are predictions, they have replaced the gold labels and are "
            "compared with themselves. Predict with label_name='predicted', or on copies"
        )
    if unused := [label for label in exclude if label not in (*counts, *task.label_names, OUTSIDE)]:
        warnings.append(f"excluded labels that neither {name} nor the model has: {', '.join(map(str, unused))}")
    if not counts:
        return [*warnings, _describe_absence(task, sentences, name, label_type, for_training)]
    warnings += _describe_labels(task, counts, name, for_training)
    if set(counts) <= set(exclude):
        warnings.append(f"all labels of {name} are excluded: predictions are false alarms, and scores are 0")
    return warnings + [
        f"{omitted[kind]} {text.format(name=name, label_type=label_type)}"
        for kind, text in task.omissions(for_training).items()
        if omitted[kind]
    ]


def _describe_absence(task: Task, sentences: Sequence[Sentence], name: str, label_type: str, for_training: bool) -> str:
    """Return the warning that data has no label of a type, or raise it as an error."""
    types = sorted({kind for sentence in sentences for kind in sentence.label_types()})
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
    has_words = any(sentence.words for sentence in sentences)
    if for_training or label_type in types or not task.may_be_absent or not has_words:
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
