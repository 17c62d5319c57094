"""Evaluate a model on data that is encoded already, as training does after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches
from flairlite.data import Sentence
from flairlite.encoding import Dataset, copy_to
from flairlite.errors import LabelError
from flairlite.files import atomic_write
from flairlite.metrics import DEFAULT_METRIC, Confusion, Result, evaluate_confusion
from flairlite.nn.mode import evaluating

if TYPE_CHECKING:
    from flairlite.models.model import Model


@torch.inference_mode()
def evaluate_dataset(
    model: Model,
    dataset: Dataset,
    labels: Sequence[str],
    *,
    mini_batch_size: int = 64,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
    sentences: Sequence[Sentence] = (),
    out_path: str | Path | None = None,
) -> Result:
    """Compare the predictions of a model with gold labels.

    Args:
        model: The model.
        dataset: The encoded sentences, with the numbers of their labels.
        labels: The names of the labels, those of the model first; those behind them count as misses.
        mini_batch_size: Sentences computed at once.
        main_metric: Which figure is the main score.
        sentences: The sentences of the data set, for `out_path`.
        out_path: Where to write words, gold and predicted labels.

    Raises:
        LabelError: when no word has a gold label.
    """
    confusion = Confusion.empty(len(labels), model.device)
    loss = torch.zeros((), device=model.device)
    tags = torch.zeros(int(dataset.lengths.sum()) + 1, dtype=torch.int64, device=model.device)
    gold = torch.full_like(tags, -1)
    num_labels = 0
    with evaluating(model):
        for indices in bucketed_batches(dataset.lengths, mini_batch_size):
            batch = dataset.batch(indices)
            scores = model(batch)
            places = copy_to(batch.positions, model.device)
            tags[places] = model.decode(scores, batch, with_scores=False).tags
            if batch.targets is not None:
                gold[places] = copy_to(batch.targets, model.device)
            loss += model.loss(scores, batch)
            num_labels += batch.num_labels
    confusion = confusion.add(gold[:-1], tags[:-1])
    if not int(confusion.counts.sum()):
        raise LabelError("no word has a gold label: there is nothing to compare with")
    if out_path is not None:
        write_predictions(Path(out_path), sentences, gold[:-1], tags[:-1], labels)
    return evaluate_confusion(confusion, labels, loss=float(loss) / max(1, num_labels), main_metric=main_metric)


def write_predictions(
    path: Path, sentences: Sequence[Sentence], gold: Tensor, tags: Tensor, labels: Sequence[str]
) -> None:
    """Write a line a word, with the word, its gold label (`_` for none) and the predicted one; sentences lie apart."""
    names = ["_", *labels]
    golds = map(names.__getitem__, (gold + 1).tolist())
    predictions = map(names.__getitem__, (tags + 1).tolist())
    with atomic_write(path) as file:
        for sentence in sentences:
            rows = (f"{word}\t{next(golds)}\t{next(predictions)}\n" for word in sentence.words)
            file.write(("".join(rows) + "\n").encode("utf-8"))
