"""Run a model over a data set without training it, for prediction, evaluation and n-best decoding."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches
from flairlite.checks import file_path
from flairlite.data import Sentence
from flairlite.encoding import Batch, Dataset
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.models.inputs import STORAGE_MODES as STORAGE_MODES
from flairlite.nn.functional import evaluating
from flairlite.prediction.sentences import (
    SentenceReader,
    check_count,
    check_flags,
    check_name,
    nan_error,
    read_chunks,
)
from flairlite.storage.atomic import atomic_write
from flairlite.tasks import Decoded, Gold
from flairlite.tensors import copy_to

if TYPE_CHECKING:
    from flairlite.models.model import Model

_GROUP_TOKENS = 8192  # words and padding whose scores are decoded together


@dataclass(frozen=True)
class Inference:
    """The result of running a model over a data set.

    Attributes:
        decoded: The predictions for all N words or S sentences.
        loss: () the summed loss of the gold labels, 0 unless requested.
        num_labels: The number of words or sentences that the loss is summed over.
    """

    decoded: Decoded
    loss: Tensor
    num_labels: int


@torch.inference_mode()
def decode_dataset(
    model: Model,
    dataset: Dataset,
    mini_batch_size: int,
    *,
    with_scores: bool = True,
    with_probabilities: bool = False,
    with_loss: bool = False,
) -> Inference:
    """Predict the classes of all words, or sentences, of a data set.

    Args:
        model: The model.
        dataset: The encoded sentences; some may be empty. For a loss, they must be encoded with labels.
        mini_batch_size: Number of sentences in a batch.
        with_scores: Whether to compute the scores of the predicted classes.
        with_probabilities: Whether to keep the probabilities of all classes.
        with_loss: Whether to compute the loss.
    """
    class_ids = model.task.empty_predictions(dataset.lengths, model.device)
    tables: dict[str, Tensor] = {}
    loss = torch.zeros((), device=model.device)
    num_labels = 0
    with evaluating(model):
        for batch, scores in score_batches(model, dataset, mini_batch_size):
            decoded = model.decode(scores, batch, with_scores=with_scores, with_probabilities=with_probabilities)
            positions = copy_to(model.task.positions(batch), model.device)
            class_ids[positions] = decoded.class_ids
            for name in ("scores", "probabilities", "span_scores") if with_scores else ():
                if (values := getattr(decoded, name)) is not None:
                    if name not in tables:
                        shape = (len(class_ids), *values.shape[positions.dim() :])
                        tables[name] = torch.zeros(shape, device=model.device)
                    tables[name][positions] = values.to(torch.float32)
            if with_loss:
                loss += model.loss(scores, batch)
            num_labels += batch.num_labels
    return Inference(Decoded(class_ids, **tables), loss, num_labels)


def predict_chunks(
    model: Model,
    sentences: Any,
    mini_batch_size: int,
    label_name: str | None,
    *,
    with_probabilities: bool = False,
    as_classes: bool = False,
    with_loss: bool = False,
) -> Iterator[tuple[list[Sentence], Inference]]:
    """Check the arguments of `Model.predict`; then predict labels and write them, one chunk of the input at a time.

    Args:
        model: The model.
        sentences: A sentence or a text, or an iterable of them.
        mini_batch_size: Number of sentences in a batch.
        label_name: The label type to write; by default the one that the model learned.
        with_probabilities: Whether to write the probabilities of all classes.
        as_classes: Whether to write the classes of words, such as `B-PER`, instead of spans.
        with_loss: Whether to compute the loss of the gold labels that the sentences have before.

    Returns:
        An iterator over the sentences of each chunk, in their order, and what was predicted for them.

    Raises:
        SettingError: If an argument is invalid.
    """
    check_flags(
        return_probabilities_for_all_classes=with_probabilities,
        force_token_predictions=as_classes,
        return_loss=with_loss,
    )
    batch_size = check_count("mini_batch_size", mini_batch_size)
    label_name = model.label_type if label_name is None else check_name("label_name", label_name)
    reader = SentenceReader(model.tokenizer, label_name)
    chunks = read_chunks(sentences, reader)
    write = model.task.write_classes if as_classes else model.task.write

    def predict() -> Iterator[tuple[list[Sentence], Inference]]:
        for chunk in chunks:
            if with_loss:
                encoded = model.encode(chunk, label_type=model.label_type, labels=model.task.all_labels(chunk))
            else:
                encoded = model.encode(chunk)
            inference = decode_dataset(
                model, encoded, batch_size, with_probabilities=with_probabilities, with_loss=with_loss
            )
            check_finite(inference.decoded.scores)
            write(chunk, inference.decoded, label_name)
            yield chunk, inference

    return predict()


def check_finite(values: Tensor | None) -> None:
    """Check the scores of predictions, or a loss.

    Raises:
        LabelError: If one of the values is not a number.
    """
    if values is not None and bool(values.isnan().any()):
        raise nan_error()


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
        mini_batch_size: Number of sentences in a batch.
        main_metric: The metric of the main score.
        out_path: The file to write gold and predicted labels to, or None.
        exclude: Labels to leave out of the metrics, with words or sentences that have no other gold label.
        with_loss: Whether to compute the loss; otherwise it is 0.

    Raises:
        FileWriteError: If `out_path` cannot be written.
    """
    inference = decode_dataset(model, dataset, mini_batch_size, with_scores=False, with_loss=with_loss)
    mean_loss = float(inference.loss) / max(1, inference.num_labels)
    predicted = inference.decoded.class_ids
    result = model.task.score(gold, predicted, loss=mean_loss, main_metric=main_metric, exclude=exclude)
    if out_path is not None:
        with atomic_write(file_path("out_path", out_path)) as file:
            file.writelines(row.encode("utf-8") for row in model.task.rows(gold, predicted))
    return result


def score_batches(model: Model, dataset: Dataset, mini_batch_size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Compute the scores of all sentences that have words.

    A network is fastest with batches that fit into the cache of the processor. Decoding takes a few small operations
    per word position, which cost about the same for few sentences as for many. Several batches of about the same length
    are therefore encoded and decoded together, but pass through the network one by one.

    Args:
        model: The model, in evaluation mode.
        dataset: The encoded sentences.
        mini_batch_size: Number of sentences that pass through the network at once.

    Yields:
        A batch of one or several times `mini_batch_size` sentences, and what `model.forward` returns for it.
    """
    batches = bucketed_batches(dataset.lengths, mini_batch_size)
    for group in _group(batches, dataset.lengths):
        joined = dataset.batch(torch.cat(group))
        if len(group) == 1:
            yield joined, model(joined)
        else:
            yield joined, _join_scores([model(part) for part in _split(joined, list(map(len, group)))])


def _group(batches: Sequence[Tensor], lengths: Tensor) -> Iterator[list[Tensor]]:
    """Group batches, which are sorted by length, up to the limit of words and padding."""
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


def _split(batch: Batch, sizes: Sequence[int]) -> Iterator[Batch]:
    """Split a batch into consecutive parts without targets, each padded to its own longest sentence."""
    end = 0
    for size in sizes:
        start, end = end, end + size
        lengths = batch.lengths[start:end]
        width = int(lengths.max())
        mask, positions, word_ids = (
            tensor[start:end, :width].contiguous() for tensor in (batch.mask, batch.positions, batch.word_ids)
        )
        yield replace(
            batch,
            indices=batch.indices[start:end],
            lengths=lengths,
            mask=mask,
            positions=positions,
            word_ids=word_ids,
            targets=None,
            num_labels=0,
            is_partial=True,
        )


def _join_scores(scores: Sequence[Tensor]) -> Tensor:
    """Join scores (B, T, K), each padded to the longest with zeros, or (B, K)."""
    if scores[0].dim() == 2:
        return torch.cat(list(scores))
    shape = (sum(map(len, scores)), max(part.shape[1] for part in scores), scores[0].shape[2])
    joined = scores[0].new_zeros(shape)
    for target, part in zip(torch.split(joined, list(map(len, scores))), scores, strict=True):
        target[:, : part.shape[1]] = part
    return joined
