"""Predict for sentences that were given, in batches of their own; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import copy_to
from flairlite.models.scoring import scored_batches
from flairlite.nn.mode import evaluating
from flairlite.tasks import Decoded

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
    with_chances: bool = False,
    loss: LossSum | None = None,
) -> Decoded:
    """Predict classes of all words, or sentences, with their scores.

    Args:
        model: The model.
        sentences: The sentences; empty ones may be among them.
        mini_batch_size: Sentences computed at once.
        with_chances: Whether to keep the probabilities of all classes.
        loss: Where to add the loss of the gold labels that the sentences have, or None.
    """
    if loss is None:
        encoded = model.encode(sentences)
    else:
        labels = model.task.all_labels(sentences)
        encoded = model.encode(sentences, label_type=model.label_type, labels=labels)
    numbers = model.task.blank(encoded.lengths, model.device)
    tables: dict[str, Tensor] = {}
    with evaluating(model):
        for batch, scores in scored_batches(model, encoded, mini_batch_size):
            decoded = model.decode(scores, batch, with_chances=with_chances)
            places = copy_to(model.task.places(batch), model.device)
            numbers[places] = decoded.numbers
            for name in ("scores", "chances", "span_scores"):
                if (values := getattr(decoded, name)) is not None:
                    if name not in tables:
                        shape = (len(numbers), *values.shape[places.dim() :])
                        tables[name] = torch.zeros(shape, device=model.device)
                    tables[name][places] = values.to(torch.float32)
            if loss is not None:
                loss.total += model.loss(scores, batch)
                loss.num_labels += batch.num_labels
    return Decoded(numbers, **tables)
