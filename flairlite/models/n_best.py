"""Find the n most probable labelings of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from flairlite.data import Sentence
from flairlite.data.tag_schemes import TagSpan, spans_of
from flairlite.models.inference import score_batches
from flairlite.models.model import Model
from flairlite.nn import LinearChainCRF
from flairlite.nn.crf_paths import best_paths
from flairlite.nn.functional import evaluating
from flairlite.tasks import SpanTask


@dataclass(frozen=True)
class Hypothesis:
    """A labeling of a sentence.

    Attributes:
        probability: Its probability among all labelings.
        tags: The label of each word, or its tag, such as `B-PER`, if the model labels spans.
        spans: (start, end, label) of each span that the tags describe; `end` is exclusive.
    """

    probability: float
    tags: tuple[str, ...]
    spans: tuple[TagSpan, ...] = ()


@torch.inference_mode()
def find_n_best(
    model: Model, index: int, chain: LinearChainCRF, sentences: Sequence[Sentence], n: int, mini_batch_size: int
) -> list[list[Hypothesis]]:
    """Find the n most probable labelings of each sentence, in descending order, or all if there are fewer.

    Args:
        model: A model of words.
        index: The position of the label type in `model.label_types`.
        chain: The scores of transitions between classes.
        sentences: The sentences; an empty one has one labeling.
        n: The number of labelings.
        mini_batch_size: Number of sentences in a batch.
    """
    encoded = model.encode(sentences)
    hypotheses: list[list[Hypothesis]] = [[Hypothesis(1.0, ())] for _ in sentences]
    task = model.tasks[index]
    names, is_spans = task.class_names, isinstance(task, SpanTask)
    with evaluating(model):
        for batch, all_scores in score_batches(model, encoded, mini_batch_size):
            scores = model.split_scores(all_scores)[index]  # (B, T, K)
            num_labelings = len(names) ** scores.shape[1]  # of the longest sentence; more are not allocated
            paths = best_paths(chain, scores, batch.lengths, min(n, num_labelings))
            rows = zip(paths.tags.tolist(), paths.probabilities.tolist(), batch.lengths.tolist(), strict=True)
            for index, (class_ids, probabilities, length) in zip(batch.indices.tolist(), rows, strict=True):
                hypotheses[index] = [
                    _make_hypothesis(probability, [names[class_id] for class_id in path[:length]], is_spans)
                    for path, probability in zip(class_ids, probabilities, strict=True)
                    if probability > 0
                ]
    return hypotheses


def _make_hypothesis(probability: float, tags: list[str], is_spans: bool) -> Hypothesis:
    return Hypothesis(probability, tuple(tags), tuple(spans_of(tags)) if is_spans else ())
