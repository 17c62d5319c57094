"""What a model labels: words, spans of words, or whole sentences."""

from flairlite.tasks.documents import DocumentTask
from flairlite.tasks.label_source import LabelSource, encode_labels, leave_out_parts, make_gold
from flairlite.tasks.spans import SpanTask, word_or_span_task
from flairlite.tasks.task import Decoded, Gold, Task, labels_of
from flairlite.tasks.words import WordTask

__all__ = [
    "Decoded",
    "DocumentTask",
    "Gold",
    "LabelSource",
    "SpanTask",
    "Task",
    "WordTask",
    "encode_labels",
    "labels_of",
    "leave_out_parts",
    "make_gold",
    "word_or_span_task",
]
