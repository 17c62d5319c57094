"""Which task a dictionary is for."""

from __future__ import annotations

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.errors import LabelError
from flairlite.tasks.spans import SpanTask
from flairlite.tasks.task import Task
from flairlite.tasks.words import WordTask


def labels_of(dictionary: Dictionary, *, with_unknown: bool = False) -> list[str]:
    """Return the labels of a dictionary: without `<unk>`, or with it in front, where it is to be learned.

    Raises:
        LabelError: when there is no other.
    """
    names = [item for item in dictionary.get_items() if item != UNKNOWN]
    if not names:
        raise LabelError("the dictionary has no label besides <unk>: make it with corpus.make_label_dictionary")
    return [UNKNOWN, *names] if with_unknown else names


def word_or_span_task(dictionary: Dictionary, label_type: str, tag_format: str, *, with_unknown: bool = False) -> Task:
    """Return the task of words, or of spans where the dictionary was made of such labels; see `labels_of`."""
    names = labels_of(dictionary, with_unknown=with_unknown)
    if dictionary.span_labels:
        return SpanTask(label_type, names, tag_format=tag_format)
    return WordTask(label_type, names)
