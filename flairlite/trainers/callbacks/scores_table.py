"""test-scores.tsv: the score of each prediction, and which words the training data have."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import repeat
from pathlib import Path

import torch

from flairlite.storage.atomic import atomic_write
from flairlite.tasks import Decoded, Gold


def write_scores(path: Path, gold: Gold, decoded: Decoded, vocabulary: Container[str]) -> None:
    """Write a line for each line of the table with the labels, which stays as other programs expect it.

    For a word, the line has the score of its prediction and 1 if the training data have the word, otherwise 0. The
    score of the first word of a predicted span is that of the span. For a sentence, the line has the score of the
    predicted label, or of each one, separated by a comma and a space, or `_` for none.

    Args:
        path: The file.
        gold: The gold labels.
        decoded: The predictions with their scores.
        vocabulary: The words of the training data.

    Raises:
        FileWriteError: If the file cannot be written.
    """
    lines = _word_lines(gold, decoded, vocabulary) if gold.targets.by_word else _sentence_lines(decoded)
    with atomic_write(path) as file:
        file.writelines(line.encode() for line in lines)


def _word_lines(gold: Gold, decoded: Decoded, vocabulary: Container[str]) -> Iterator[str]:
    scores = decoded.scores
    if scores is not None and decoded.span_scores is not None:
        scores = torch.where(decoded.span_scores > 0, decoded.span_scores, scores)  # (N + 1,)
    values = repeat(1.0) if scores is None else iter(scores.tolist())
    for sentence in gold.sentences:
        yield "".join([f"{next(values):.4f}\t{int(word in vocabulary)}\n" for word in sentence.words]) + "\n"


def _sentence_lines(decoded: Decoded) -> Iterator[str]:
    scores = torch.ones(decoded.class_ids.shape) if decoded.scores is None else decoded.scores
    if scores.dim() == 1:
        yield from (f"{score:.4f}\n" for score in scores.tolist())
        return
    for ids, row in zip(decoded.class_ids.tolist(), scores.tolist(), strict=True):
        yield (", ".join(f"{score:.4f}" for is_given, score in zip(ids, row, strict=True) if is_given) or "_") + "\n"
