"""The splits of a corpus as training uses them: checked and encoded once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from flairlite.data import ConcatDataset, Corpus, Sentence
from flairlite.data.dataset import Subset, is_in_memory
from flairlite.embeddings.oov_report import describe_unknown_words
from flairlite.encoding import Dataset, EncodedDataset, LazyDataset, Targets, index_words
from flairlite.errors import SettingError, TrainingError
from flairlite.models import Model
from flairlite.runtime import get_seed
from flairlite.tasks import Gold

if TYPE_CHECKING:
    from flairlite.trainers.settings import TrainingSettings

log = logging.getLogger("flairlite")

_CHUNK = 1024  # sentences in memory at once


@dataclass(frozen=True)
class Split:
    """An encoded split.

    Attributes:
        name: train, dev, test or train_sample.
        dataset: Its sentences as integers.
        gold: Their gold labels.
        sha256: The hash of words, gold labels and of the token labels that the embeddings read.
    """

    name: str
    dataset: Dataset
    gold: Gold
    sha256: str

    @property
    def sentences(self) -> Sequence[Sentence]:
        """The sentences."""
        return self.gold.sentences

    def describe(self) -> dict[str, Any]:
        """Return the numbers of sentences and words, and the hash."""
        return {"sentences": len(self.sentences), "words": int(self.dataset.lengths.sum()), "sha256": self.sha256}


def encode_split(
    model: Model,
    name: str,
    sentences: Sequence[Sentence] | None,
    storage_mode: str,
    *,
    exclude: Collection[str] = (),
) -> Split:
    """Check the labels of a split and encode it.

    Sentences that are not in memory are read once for the check and once for all else.

    Args:
        model: The model.
        name: The name of the split.
        sentences: The sentences.
        storage_mode: `cpu` keeps integers and vectors on the host, `gpu` on the device, and `none` encodes each batch
            when it is needed.
        exclude: Labels that evaluations leave out.

    Raises:
        TrainingError: If the split has no sentence with a word.
        LabelError: If there is nothing to learn, or to compare with; see `Task.check`.
    """
    if not sentences or not any(sentence.words for sentence in sentences):
        raise TrainingError(f"the {name} split is empty: give the corpus sentences for it, or None in its place")
    is_trained_on = name == "train"
    for message in model.task.check(sentences, f"the {name} split", for_training=is_trained_on, exclude=exclude):
        log.warning(message)
    reader = _SplitReader(model, keep_words=storage_mode != "none")
    size = len(sentences) if is_in_memory(sentences) else _CHUNK
    iterator = iter(sentences)
    while chunk := list(islice(iterator, size)):
        reader.add(chunk)
    gold = Gold(sentences, model.task.label_type, tuple(reader.labels), reader.targets())
    if is_trained_on and model.label_type in model.embeddings.fields:
        log.warning(
            f"the embeddings read the {model.label_type!r} labels that the model is to predict: where these are there, "
            "the scores say nothing"
        )
    if storage_mode == "none":

        def encode_batch(batch: Sequence[Sentence]) -> EncodedDataset:
            return model.encode(batch, label_type=gold.label_type, labels=gold.labels)

        return Split(name, LazyDataset(sentences, encode_batch, reader.lengths()), gold, reader.sha256())
    dataset = reader.encode(gold.targets)
    if name == "train":
        shown = sentences if is_in_memory(sentences) else [Sentence(reader.words())]
        for message in describe_unknown_words(model.embeddings, dataset, shown):
            log.info(message)
    return Split(name, dataset.to(model.device) if storage_mode == "gpu" else dataset, gold, reader.sha256())


class _SplitReader:
    """Collects in one pass over sentences what training needs of them.

    Args:
        model: The model.
        keep_words: Whether the distinct words are needed.
    """

    def __init__(self, model: Model, *, keep_words: bool) -> None:
        self._model, self._task, self._fields = model, model.task, model.embeddings.fields
        self._keep_words = keep_words
        self.labels = list(model.task.label_names)  # those that only the sentences have are appended
        self._lengths: list[Tensor] = []
        self._class_ids: list[Tensor] = []
        self._counts: list[Tensor] = []
        self._word_ids: list[np.ndarray[Any, Any]] = []
        self._distinct: dict[tuple[str, ...], int] = {}  # words with their token labels of the fields
        self._digest = hashlib.sha256()

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Add sentences, which are in memory."""
        self.labels = list(dict.fromkeys((*self.labels, *self._task.count(sentences))))
        targets = self._task.targets(sentences, self.labels)
        by_word = targets.by_word
        self._class_ids.append(targets.class_ids[:-1] if by_word else targets.class_ids)
        self._counts.append(targets.counts)
        self._lengths.append(torch.tensor([len(sentence.words) for sentence in sentences], dtype=torch.int64))
        for sentence in sentences:
            columns = [sentence.words, *(sentence.token_labels(field) or () for field in self._fields)]
            text = "\x1d".join("\x1f".join(value or "" for value in column) for column in columns)
            self._digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")
        if self._keep_words:
            self._add_words(sentences)

    def _add_words(self, sentences: Sequence[Sentence]) -> None:
        rows: list[tuple[str, ...]] = []

        def keep(words: Sequence[str], columns: dict[str, Sequence[str]] | None = None) -> None:
            rows.extend(zip(words, *(columns or {}).values(), strict=True))

        _, ids = index_words(sentences, keep, self._fields)  # of the words that are distinct in these sentences
        merged = [self._distinct.setdefault(row, len(self._distinct)) for row in rows]
        self._word_ids.append(np.asarray(merged, dtype=np.int32)[ids])

    def lengths(self) -> Tensor:
        """Return the words per sentence, (S,)."""
        return torch.cat(self._lengths)

    def targets(self) -> Targets:
        """Return the gold labels as integers."""
        by_word = self._task.by_word
        last = [torch.full((1,), -1)] if by_word else []  # of padding
        return Targets(torch.cat([*self._class_ids, *last]), torch.cat(self._counts), by_word)

    def words(self) -> list[str]:
        """Return all words."""
        distinct = [word for word, *_ in self._distinct]
        return [distinct[index] for ids in self._word_ids for index in ids.tolist()]

    def encode(self, targets: Targets) -> EncodedDataset:
        """Return the sentences as integers."""
        columns = list(map(list, zip(*self._distinct, strict=True))) or [[] for _ in ("words", *self._fields)]
        index = self._model.embeddings.index
        table = (
            index(columns[0], dict(zip(self._fields, columns[1:], strict=True))) if self._fields else index(columns[0])
        )
        lengths = self.lengths()
        word_ids = np.concatenate([*self._word_ids, np.array([len(self._distinct)], dtype=np.int32)])
        return EncodedDataset(lengths, lengths.cumsum(0) - lengths, torch.from_numpy(word_ids), table, targets)

    def sha256(self) -> str:
        """Return the hash of words and labels."""
        digest = hashlib.sha256("\n".join(self.labels).encode("utf-8", "surrogatepass"))
        digest.update(self._digest.digest())
        for class_ids in self._class_ids:
            digest.update(class_ids.numpy().tobytes())
        return digest.hexdigest()


def encode_splits(model: Model, corpus: Corpus, settings: TrainingSettings) -> dict[str, Split]:
    """Encode the training data, `train`, and the data to evaluate: `dev`, `test` and `train_sample`, if there are."""
    trained = [corpus.train or ()]
    parts: dict[str, Sequence[Sentence]] = {}
    for name, is_trained_on in (("dev", settings.train_with_dev), ("test", settings.train_with_test)):
        sentences = getattr(corpus, name)
        if sentences and is_trained_on:
            trained.append(sentences)
        elif sentences:
            parts[name] = sentences
    mode, exclude = settings.embeddings_storage_mode, settings.exclude_labels or ()
    train = trained[0] if len(trained) == 1 else ConcatDataset(trained)  # no list: it may be larger than memory
    splits = {"train": encode_split(model, "train", train, mode, exclude=exclude)}
    if settings.monitor_train_sample:
        lengths = splits["train"].dataset.lengths
        parts["train_sample"] = draw_sample(train, lengths, settings.monitor_train_sample, get_seed(settings.seed))
    return {
        **splits,
        **{name: encode_split(model, name, sentences, mode, exclude=exclude) for name, sentences in parts.items()},
    }


def draw_sample(sentences: Sequence[Sentence], lengths: Iterable[int] | Tensor, amount: float, seed: int) -> Subset:
    """Draw sentences that have words, and return them in their order.

    Args:
        sentences: The sentences to draw from.
        lengths: (S,) words per sentence.
        amount: How many to draw, or which part of them if it is a float; at least one.
        seed: The seed of the draw.

    Raises:
        SettingError: If there are not so many.
    """
    candidates = torch.as_tensor(lengths).nonzero().squeeze(1).tolist()
    size = amount if isinstance(amount, int) else max(1, round(len(candidates) * amount))
    if not 1 <= size <= len(candidates):
        raise SettingError(
            f"monitor_train_sample must be a part from 0 to 1, or a number of sentences up to {len(candidates)}; "
            f"it is {amount}"
        )
    drawn = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))[:size]
    return Subset(sentences, [candidates[index] for index in sorted(drawn.tolist())])
