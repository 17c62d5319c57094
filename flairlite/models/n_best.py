"""The best labellings of a sentence, not only the very best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from flairlite.data import Sentence
from flairlite.data.tag_schemes import TagSpan, spans_of
from flairlite.models.inference import scored_batches
from flairlite.models.model import Model
from flairlite.nn import LinearChainCRF
from flairlite.nn.crf_paths import best_paths
from flairlite.nn.functional import evaluating
from flairlite.tasks import SpanTask


@dataclass(frozen=True)
class Hypothesis:
    """One way to label a sentence.

    Attributes:
        probability: How probable it is among all ways.
        tags: The label of each word, or its tag, such as `B-PER`, where spans are labelled.
        spans: The spans that the tags name: first word, the one behind the last, and label of each.
    """

    probability: float
    tags: tuple[str, ...]
    spans: tuple[TagSpan, ...] = ()


@torch.inference_mode()
def find_n_best(
    model: Model, chain: LinearChainCRF, sentences: Sequence[Sentence], n: int, mini_batch_size: int
) -> list[list[Hypothesis]]:
    """Find the n best labellings of each sentence, the best first; fewer where there are fewer.

    Args:
        model: A model of words.
        chain: How it scores pairs of neighbouring classes.
        sentences: The sentences; empty ones have one labelling.
        n: How many.
        mini_batch_size: Sentences computed at once.

    Raises:
        SettingError: when n is less than 1.
    """
    encoded = model.encode(sentences)
    found: list[list[Hypothesis]] = [[Hypothesis(1.0, ())] for _ in sentences]
    names, is_spans = model.task.class_names, isinstance(model.task, SpanTask)
    with evaluating(model):
        for batch, scores in scored_batches(model, encoded, mini_batch_size):
            paths = best_paths(chain, scores, batch.lengths, n)
            rows = zip(paths.tags.tolist(), paths.probabilities.tolist(), batch.lengths.tolist(), strict=True)
            for index, (ways, probabilities, length) in zip(batch.indices.tolist(), rows, strict=True):
                found[index] = [
                    _hypothesis(chance, [names[number] for number in way[:length]], is_spans)
                    for way, chance in zip(ways, probabilities, strict=True)
                    if chance > 0
                ]
    return found


def _hypothesis(probability: float, tags: list[str], is_spans: bool) -> Hypothesis:
    return Hypothesis(probability, tuple(tags), tuple(spans_of(tags)) if is_spans else ())
