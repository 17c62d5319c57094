"""Evaluate a model on data that is encoded already, as training does after each epoch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from flairlite.encoding import Dataset, copy_to
from flairlite.files import atomic_write
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.models.scoring import scored_batches
from flairlite.nn.mode import evaluating
from flairlite.tasks import Gold

if TYPE_CHECKING:
    from flairlite.models.model import Model


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
    predicted = model.task.blank(dataset.lengths, model.device)
    num_labels = 0
    with evaluating(model):
        for batch, scores in scored_batches(model, dataset, mini_batch_size):
            places = copy_to(model.task.places(batch), model.device)
            predicted[places] = model.decode(scores, batch, with_scores=False).numbers
            if with_loss:
                loss += model.loss(scores, batch)
            num_labels += batch.num_labels
    mean = float(loss) / max(1, num_labels)
    result = model.task.score(gold, predicted, loss=mean, main_metric=main_metric, exclude=exclude)
    if out_path is not None:
        with atomic_write(Path(out_path)) as file:
            file.writelines(row.encode("utf-8") for row in model.task.rows(gold, predicted))
    return result
