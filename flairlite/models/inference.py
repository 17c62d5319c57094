"""Run a model over a data set without training it: predict, evaluate, and the loop that both share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches
from flairlite.data import Sentence
from flairlite.encoding import Batch, Dataset
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.nn.functional import evaluating
from flairlite.storage.atomic import atomic_write
from flairlite.tasks import Decoded, Gold
from flairlite.tensors import copy_to

if TYPE_CHECKING:
    from flairlite.models.model import Model

STORAGE_MODES = ("cpu", "gpu", "none")


@dataclass
class LossSum:
    """The loss of predictions that were made so far.

    Attributes:
        total: Its sum, a tensor ().
        num_labels: Of how many labelled words, or sentences.
    """

    total: Tensor
    num_labels: int = 0


@torch.inference_mode()
def predict_sentences(
    model: Model,
    sentences: Sequence[Sentence],
    mini_batch_size: int,
    *,
    with_probabilities: bool = False,
    loss: LossSum | None = None,
) -> Decoded:
    """Predict classes of all words, or sentences, with their scores.

    Args:
        model: The model.
        sentences: The sentences; empty ones may be among them.
        mini_batch_size: Sentences computed at once.
        with_probabilities: Whether to keep the probabilities of all classes.
        loss: Where to add the loss of the gold labels that the sentences have, or None.
    """
    if loss is None:
        encoded = model.encode(sentences)
    else:
        labels = model.task.all_labels(sentences)
        encoded = model.encode(sentences, label_type=model.label_type, labels=labels)
    numbers = model.task.empty_predictions(encoded.lengths, model.device)
    tables: dict[str, Tensor] = {}
    with evaluating(model):
        for batch, scores in scored_batches(model, encoded, mini_batch_size):
            decoded = model.decode(scores, batch, with_probabilities=with_probabilities)
            places = copy_to(model.task.positions(batch), model.device)
            numbers[places] = decoded.class_ids
            for name in ("scores", "probabilities", "span_scores"):
                if (values := getattr(decoded, name)) is not None:
                    if name not in tables:
                        shape = (len(numbers), *values.shape[places.dim() :])
                        tables[name] = torch.zeros(shape, device=model.device)
                    tables[name][places] = values.to(torch.float32)
            if loss is not None:
                loss.total += model.loss(scores, batch)
                loss.num_labels += batch.num_labels
    return Decoded(numbers, **tables)


@torch.inference_mode()
def evaluate_dataset(
    model: Model,
    dataset: Dataset,
    gold: Gold,
    *,
    mini_batch_size: int = 64,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
    out_path: str | Path | None = None,
    exclude: Collection[str] = (),
    with_loss: bool = True,
) -> Result:
    """Compare the predictions of a model with gold labels.

    Args:
        model: The model.
        dataset: The encoded sentences, with their targets.
        gold: Their gold labels; labels that the model does not know count as misses.
        mini_batch_size: Sentences computed at once.
        main_metric: Which figure is the main score.
        out_path: Where to write gold and predicted labels.
        exclude: Labels to leave out of the figures, with what has only these as gold labels.
        with_loss: Compute the loss too; else it is 0.

    Raises:
        LabelError: when there is no gold label.
    """
    loss = torch.zeros((), device=model.device)
    predicted = model.task.empty_predictions(dataset.lengths, model.device)
    num_labels = 0
    with evaluating(model):
        for batch, scores in scored_batches(model, dataset, mini_batch_size):
            places = copy_to(model.task.positions(batch), model.device)
            predicted[places] = model.decode(scores, batch, with_scores=False).class_ids
            if with_loss:
                loss += model.loss(scores, batch)
            num_labels += batch.num_labels
    mean = float(loss) / max(1, num_labels)
    result = model.task.score(gold, predicted, loss=mean, main_metric=main_metric, exclude=exclude)
    if out_path is not None:
        with atomic_write(Path(out_path)) as file:
            file.writelines(row.encode("utf-8") for row in model.task.rows(gold, predicted))
    return result


_GROUP_TOKENS = 8192  # words and padding whose scores are handed on together


def scored_batches(model: Model, dataset: Dataset, mini_batch_size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Compute the scores of all sentences that have words.

    A network is fastest with batches that fit into the processor's cache. What follows, such as the search for the best
    labels, takes a few small operations a word, which cost about the same for many sentences as for few. So the scores
    of several batches of about the same length are joined.

    Args:
        model: The model, in evaluation mode.
        dataset: The encoded sentences.
        mini_batch_size: Sentences computed at once.

    Yields:
        A batch, of at least `mini_batch_size` sentences if there are so many, and what `model.forward` returns for it.
    """
    batches = bucketed_batches(dataset.lengths, mini_batch_size)
    for group in _groups(batches, dataset.lengths):
        scored = [(batch, model(batch)) for batch in map(dataset.batch, group)]
        yield (
            scored[0] if len(scored) == 1 else (dataset.batch(torch.cat(group)), _joined([part for _, part in scored]))
        )


def _groups(batches: Sequence[Tensor], lengths: Tensor) -> Iterator[list[Tensor]]:
    """Put batches, sorted by length, together while they are small enough."""
    group: list[Tensor] = []
    size = 0
    for batch in batches:
        size += len(batch)
        if group and size * int(lengths[batch].max()) > _GROUP_TOKENS:
            yield group
            group, size = [], len(batch)
        group.append(batch)
    if group:
        yield group


def _joined(scores: Sequence[Tensor]) -> Tensor:
    """Join scores (B, T, K), each padded to the longest with zeros, or (B, K)."""
    if scores[0].dim() == 2:
        return torch.cat(list(scores))
    shape = (sum(map(len, scores)), max(part.shape[1] for part in scores), scores[0].shape[2])
    joined = scores[0].new_zeros(shape)
    for place, part in zip(torch.split(joined, list(map(len, scores))), scores, strict=True):
        place[:, : part.shape[1]] = part
    return joined
