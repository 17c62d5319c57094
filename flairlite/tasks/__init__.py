"""What a model labels: words, spans of words, or whole sentences."""

from flairlite.tasks.documents import DocumentTask
from flairlite.tasks.spans import SpanTask, word_or_span_task
from flairlite.tasks.task import Decoded, Gold, Task, labels_of
from flairlite.tasks.words import WordTask

__all__ = ["Decoded", "DocumentTask", "Gold", "SpanTask", "Task", "WordTask", "labels_of", "word_or_span_task"]
