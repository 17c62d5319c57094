"""What a model labels: words, spans of them, or whole sentences."""

from flairlite.tasks.choice import labels_of, word_or_span_task
from flairlite.tasks.documents import DocumentTask
from flairlite.tasks.spans import SpanTask
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tasks.words import WordTask

__all__ = ["Decoded", "DocumentTask", "Gold", "SpanTask", "Task", "WordTask", "labels_of", "word_or_span_task"]
