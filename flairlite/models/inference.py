"""Run a model over a data set without training it, for prediction, evaluation and n-best decoding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches
from flairlite.checks import file_path
from flairlite.data import Sentence
from flairlite.encoding import Batch, Dataset, EncodedDataset, LazyDataset
from flairlite.metrics import AVERAGES, DEFAULT_METRIC, Result, join_results
from flairlite.models.inputs import STORAGE_MODES as STORAGE_MODES
from flairlite.nn.functional import evaluating
from flairlite.prediction.label_types import names_to_write
from flairlite.prediction.sentences import (
    SentenceReader,
    check_count,
    check_flags,
    nan_error,
    read_chunks,
)
from flairlite.storage.atomic import atomic_write
from flairlite.tasks import Decoded, Gold, Task, encode_labels
from flairlite.tensors import copy_to, start_copies

if TYPE_CHECKING:
    from flairlite.models.model import Model

ASYNCHRONOUS = ("cuda",)  # types of devices that compute while the program goes on, best with many sentences at once
_GROUP_TOKENS = 8192  # words and padding whose scores are decoded together
_GROUP_SCORES = 1 << 20  # their scores: decoding needs up to 80 bytes for each

Item = TypeVar("Item")


@dataclass(frozen=True)
class Inference:
    """The result of running a model over a data set, for one label type.

    Attributes:
        decoded: The predictions for all N words or S sentences.
        loss: () the summed loss of the gold labels, 0 unless requested.
        num_labels: The number of words or sentences that the loss is summed over.
        index: The position of the label type in `model.label_types`.
        others: The results of the other label types.
    """

    decoded: Decoded
    loss: Tensor
    num_labels: int
    index: int = 0
    others: tuple[Inference, ...] = ()

    @property
    def types(self) -> tuple[Inference, ...]:
        """The results of all label types."""
        return (self, *self.others)


@torch.inference_mode()
def decode_dataset(
    model: Model,
    dataset: Dataset,
    mini_batch_size: int,
    *,
    types: Sequence[int] = (0,),
    with_scores: bool = True,
    with_probabilities: bool = False,
    with_loss: bool = False,
    share: slice = slice(None),
) -> Inference:
    """Predict the classes of all words, or sentences, of a data set.

    Args:
        model: The model.
        dataset: The encoded sentences; some may be empty. For a loss, they must be encoded with labels.
        mini_batch_size: Number of sentences in a batch.
        types: The positions of label types in `model.label_types`, at least one.
        with_scores: Whether to compute the scores of the predicted classes.
        with_probabilities: Whether to keep the probabilities of all classes.
        with_loss: Whether to compute the loss.
        share: Which of the groups of sentences that `score_batches` yields are computed; by default all.

    Returns:
        The result of the first of these label types, with those of the others. Without a prediction, words and
        sentences have class -1 (no class, in multi-label classification), and scores are 0.
    """
    tables = [_Predictions(model.tasks[index], dataset.lengths, model.device) for index in types]
    losses = [torch.zeros((), device=model.device) for _ in types]
    counts = [0] * len(types)
    with evaluating(model):
        for batch, scores in score_batches(model, dataset, mini_batch_size, share):
            for table, decoded in zip(
                tables,
                model.decode_types(
                    scores, batch, types, with_scores=with_scores, with_probabilities=with_probabilities
                ),
                strict=True,
            ):
                table.add(batch, decoded, with_scores=with_scores)
            batch_losses = model.losses(scores, batch) if with_loss else []
            for row, index in enumerate(types):
                if batch_losses:
                    losses[row] += batch_losses[index]
                counts[row] += batch.labels[index].num_labels if batch.labels else 0
    first, *others = [
        Inference(table.join(), loss, count, index)
        for table, loss, count, index in zip(tables, losses, counts, types, strict=True)
    ]
    return replace(first, others=tuple(others))


def join_inferences(parts: Sequence[Inference]) -> Inference:
    """Join the results of `decode_dataset` for different shares of a data set into that for all of them."""
    first = parts[0]
    names = [name for name in vars(first.decoded) if any(getattr(part.decoded, name) is not None for part in parts)]
    tables = {
        name: torch.stack([table for part in parts if (table := getattr(part.decoded, name)) is not None]).amax(0)
        for name in names
    }
    return Inference(
        Decoded(**tables),
        torch.stack([part.loss for part in parts]).sum(),
        sum(part.num_labels for part in parts),
        first.index,
        tuple(map(join_inferences, zip(*(part.others for part in parts), strict=True))),
    )


class _Predictions:
    """Collects the predictions of batches in tables for a whole data set.

    Args:
        task: The task.
        lengths: (S,) words per sentence.
        device: The device of the tables.
    """

    def __init__(self, task: Task, lengths: Tensor, device: torch.device) -> None:
        self._task, self._device = task, device
        self._class_ids = task.empty_predictions(lengths, device)
        self._tables: dict[str, Tensor] = {}

    def add(self, batch: Batch, decoded: Decoded, *, with_scores: bool) -> None:
        """Add the predictions for a batch."""
        positions = copy_to(self._task.positions(batch), self._device)
        self._class_ids[positions] = decoded.class_ids
        for name in ("scores", "probabilities", "span_scores") if with_scores else ():
            if (values := getattr(decoded, name)) is not None:
                if name not in self._tables:
                    shape = (len(self._class_ids), *values.shape[positions.dim() :])
                    self._tables[name] = torch.zeros(shape, device=self._device)
                self._tables[name][positions] = values.to(torch.float32)

    def join(self) -> Decoded:
        """Return the predictions for the data set."""
        return Decoded(self._class_ids, **self._tables)


def predict_chunks(
    model: Model,
    sentences: Any,
    mini_batch_size: int,
    label_name: str | None,
    *,
    with_probabilities: bool = False,
    as_classes: bool = False,
    with_loss: bool = False,
    label_types: str | Iterable[str] | None = None,
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
        label_types: The label types to predict, of those of the model; all if None.

    Returns:
        An iterator over the sentences of each chunk, in their order, and what was predicted for them; `num_labels` of
        the first type is that of all of them together.

    Raises:
        SettingError: If an argument is invalid.
    """
    check_flags(
        return_probabilities_for_all_classes=with_probabilities,
        force_token_predictions=as_classes,
        return_loss=with_loss,
    )
    batch_size = check_count("mini_batch_size", mini_batch_size)
    types = model.type_indices("label_types", label_types)
    names = names_to_write([model.label_types[index] for index in types], label_name)
    chunks = read_chunks(sentences, SentenceReader(model.tokenizer, names))

    def start() -> Iterator[tuple[list[Sentence], Inference, Callable[[], None]]]:
        for chunk in chunks:
            targets = None
            if with_loss:
                targets = encode_labels([source.extend(chunk) for source in model.label_sources()], chunk)
            encoded = model.encode(chunk, targets=targets)
            inference = decode_dataset(
                model,
                encoded,
                batch_size,
                types=types,
                with_probabilities=with_probabilities,
                with_loss=with_loss,
            )
            if targets is not None:  # each sentence counts with the type of which it has the most, as in training
                counts = torch.stack([targets.types[index].counts for index in types])  # (P, S)
                inference = replace(inference, num_labels=int(counts.amax(0).sum()))
            yield chunk, *_start_copies(inference)

    def predict() -> Iterator[tuple[list[Sentence], Inference]]:
        # on a GPU, which computes a chunk while the next one is read and encoded, nothing waits before that
        started = _one_ahead(start()) if model.device.type in ASYNCHRONOUS else start()
        for chunk, inference, wait in started:
            wait()
            for part, name in zip(inference.types, names, strict=True):
                check_finite(part.decoded.scores)
                task = model.tasks[part.index]
                (task.write_classes if as_classes else task.write)(chunk, part.decoded, name)
            yield chunk, inference

    return predict()


def _start_copies(inference: Inference) -> tuple[Inference, Callable[[], None]]:
    """Start to copy predictions to the CPU, and return the copies, with a function that waits for them."""
    copies, wait = start_copies([values for part in inference.types for values in _tables(part).values()])
    following = iter(copies)
    parts = [
        replace(part, decoded=Decoded(**{name: next(following) for name in _tables(part)}), others=())
        for part in inference.types
    ]
    return replace(parts[0], others=tuple(parts[1:])), wait


def _tables(inference: Inference) -> dict[str, Tensor]:
    return {name: values for name, values in vars(inference.decoded).items() if values is not None}


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items when the next one is there too, or has failed; such an error is raised after the item before it."""
    item = next(items, None)
    while item is not None:
        following, error = None, None
        try:
            following = next(items, None)
        except Exception as problem:  # of the caller's iterator, or the sentences that it yields
            error = problem
        yield item
        if error is not None:
            raise error
        item = following


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
    take_decoded: Callable[[Decoded], None] | None = None,
    decode: Callable[..., Inference] = decode_dataset,
) -> Result:
    """Compare the predictions of a model with gold labels.

    Args:
        model: The model.
        dataset: The encoded sentences, with their targets.
        gold: Their gold labels; labels that the model does not know count as misses.
        mini_batch_size: Number of sentences in a batch.
        main_metric: The metric of the main score; of the main type, if it is that of a label.
        out_path: The file to write gold and predicted labels to, or None.
        exclude: Labels of the main type to leave out of the metrics, with words or sentences that have no other
            gold label.
        with_loss: Whether to compute the loss; otherwise it is 0.
        take_decoded: Called with the predictions, which have scores then.
        decode: Called like `decode_dataset`, in its place.

    Raises:
        FileWriteError: If `out_path` cannot be written.
    """
    types = [index for index, part in enumerate(gold.types) if part is not None]
    with_scores = take_decoded is not None
    inference = decode(model, dataset, mini_batch_size, types=types, with_scores=with_scores, with_loss=with_loss)
    results: dict[str, Result] = {}
    rows = []
    for part in inference.types:
        task, own_gold, predicted = model.tasks[part.index], gold.types[part.index], part.decoded.class_ids
        assert own_gold is not None
        results[task.label_type] = task.score(
            own_gold,
            predicted,
            loss=float(part.loss) / max(1, part.num_labels),
            main_metric=main_metric if part.index == 0 or main_metric[0] in AVERAGES else DEFAULT_METRIC,
            exclude=exclude if part.index == 0 else (),
        )
        rows.append(task.rows(own_gold, predicted))
    if out_path is not None:
        with atomic_write(file_path("out_path", out_path)) as file:
            file.writelines(row.encode("utf-8") for row in join_rows(rows))
    if take_decoded is not None:
        take_decoded(inference.types[0].decoded)
    return join_results(results)


def join_rows(rows: Sequence[Iterator[str]]) -> Iterator[str]:
    """Yield the lines of each sentence with the gold and predicted labels of all label types side by side.

    Args:
        rows: The lines of each label type, as `Task.rows` yields them. In all of them, a line begins with its word.
    """
    if len(rows) == 1:
        yield from rows[0]
        return
    for parts in zip(*rows, strict=True):
        for cells in zip(*(part.split("\n")[:-1] for part in parts), strict=True):
            yield "\t".join((cells[0], *(cell.partition("\t")[2] for cell in cells[1:] if cell))) + "\n"


def score_batches(
    model: Model, dataset: Dataset, mini_batch_size: int, share: slice = slice(None)
) -> Iterator[tuple[Batch, Tensor]]:
    """Compute the scores of all sentences that have words.

    A network is fastest with batches that fit into the cache of the processor. Decoding takes a few small operations
    per word position, which cost about the same for few sentences as for many. Several batches of about the same length
    are therefore encoded and decoded together, but pass through the network one by one. On a GPU, they pass together,
    unless the embeddings read context, which can need much memory.

    Args:
        model: The model, in evaluation mode.
        dataset: The encoded sentences.
        mini_batch_size: Number of sentences that pass through the network at once.
        share: Which of the groups of batches to compute.

    Yields:
        A batch of one or several times `mini_batch_size` sentences, and what `model.forward` returns for it.
    """
    if model.embeddings.has_memory:
        dataset = _remember(model, dataset)
    if isinstance(dataset, EncodedDataset):  # otherwise each batch has a table of its own
        dataset = replace(dataset, table=model.embeddings.precompute(dataset.table))
    batches = bucketed_batches(dataset.sizes, mini_batch_size)
    is_joined = model.device.type in ASYNCHRONOUS and not model.embeddings.is_contextual
    num_scores = sum(len(task.class_names) for task in model.tasks)  # of a word
    max_tokens = min(_GROUP_TOKENS, _GROUP_SCORES // num_scores)
    for group in list(_group(batches, dataset.lengths, max_tokens))[share]:
        joined = dataset.batch(torch.cat(group))
        if len(group) == 1 or is_joined:
            yield joined, model(joined)
        else:
            yield joined, _join_scores([model(part) for part in _split(joined, list(map(len, group)))])


def _remember(model: Model, dataset: Dataset) -> Dataset:
    """Let embeddings with a memory take up all words before any is scored, so that scores do not depend on batches."""
    if isinstance(dataset, LazyDataset):
        for part in dataset.parts():
            model.embeddings.remember(part)
        return dataset
    assert isinstance(dataset, EncodedDataset)
    return replace(dataset, table=model.embeddings.remember(dataset))


def _group(batches: Sequence[Tensor], lengths: Tensor, max_tokens: int) -> Iterator[list[Tensor]]:
    """Group batches of similar length up to a number of words and padding."""
    group: list[Tensor] = []
    size = longest = 0
    for batch in batches:
        length = int(lengths[batch].max())
        size, longest = size + len(batch), max(longest, length)
        if group and size * longest > max_tokens:
            yield group
            group, size, longest = [], len(batch), length
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
            labels=(),
            num_labels=0,
            context=None if batch.context is None else batch.context[start:end],
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
