"""Find the n most probable labelings of sentences."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from flairlite.data import Sentence
from flairlite.models.inference import score_batches
from flairlite.models.model import Model
from flairlite.nn import LinearChainCRF
from flairlite.nn.crf_paths import best_paths
from flairlite.nn.functional import evaluating
from flairlite.prediction.n_best import Hypothesis as Hypothesis
from flairlite.prediction.n_best import make_hypothesis
from flairlite.tasks import SpanTask


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
            for sentence, (class_ids, probabilities, length) in zip(batch.indices.tolist(), rows, strict=True):
                hypotheses[sentence] = [
                    make_hypothesis(probability, [names[class_id] for class_id in path[:length]], is_spans=is_spans)
                    for path, probability in zip(class_ids, probabilities, strict=True)
                    if probability > 0
                ]
    return hypotheses
