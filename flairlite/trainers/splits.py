"""The splits of a corpus as training uses them: checked and encoded once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flairlite.data import ConcatDataset, Corpus, Sentence
from flairlite.data.dataset import Subset, is_in_memory
from flairlite.embeddings.oov_report import describe_unknown_words
from flairlite.encoding import Dataset, EncodedDataset, Encoder, LazyDataset, Targets, count_words
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
        exclude: Labels that evaluations exclude.

    Raises:
        TrainingError: If the split has no sentence with a word.
        LabelError: If there is nothing to learn, or to compare with; see `Task.check`.
    """
    if not sentences or not any(sentence.words for sentence in sentences):
        raise TrainingError(f"the {name} split is empty: give the corpus sentences for it, or None in its place")
    for_training = name == "train"
    for message in model.task.check(sentences, f"the {name} split", for_training=for_training, exclude=exclude):
        log.warning("%s", message)
    if for_training and model.label_type in model.embeddings.fields:
        log.warning(
            "the embeddings read the %r labels that the model predicts: on data with these labels, scores are "
            "meaningless",
            model.label_type,
        )
    fields, task = model.embeddings.fields, model.task
    if model.embeddings.context is not None and is_in_memory(sentences):
        Sentence.set_context_for_sentences(sentences)
    encoder = None if storage_mode == "none" else Encoder(fields, model.embeddings.context)
    labels, targets, lengths, digest = list(task.label_names), [], [], hashlib.sha256()
    for chunk in _read_chunks(sentences):
        labels = list(dict.fromkeys((*labels, *task.count(chunk))))  # those that only the sentences have come last
        targets.append(task.targets(chunk, labels))
        lengths.append(count_words(chunk))
        _update_hash(digest, chunk, fields)
        if encoder is not None:
            encoder.add(chunk)
    gold = Gold(sentences, task.label_type, tuple(labels), Targets.join(targets))
    sha256 = _hash_with_labels(digest, gold)
    if encoder is None:

        def encode_batch(batch: Sequence[Sentence]) -> EncodedDataset:
            return model.encode(batch, label_type=gold.label_type, labels=gold.labels, in_order=False)

        return Split(name, LazyDataset(sentences, encode_batch, torch.cat(lengths)), gold, sha256)
    dataset = encoder.encode(model.embeddings.index, gold.targets)
    if for_training:
        shown = sentences if is_in_memory(sentences) else [Sentence(encoder.words())]
        for message in describe_unknown_words(model.embeddings, dataset, shown):
            log.info("%s", message)
    dataset = replace(dataset, subwords=model.embeddings.count_subwords(dataset))
    dataset = replace(dataset, table=model.embeddings.prepare(dataset))
    dataset = replace(dataset, subwords=model.embeddings.count_subwords(dataset))  # none of computed vectors
    return Split(name, dataset.to(model.device) if storage_mode == "gpu" else dataset, gold, sha256)


def _read_chunks(sentences: Sequence[Sentence]) -> Iterator[list[Sentence]]:
    """Yield the sentences once, all together if they are in memory."""
    size = len(sentences) if is_in_memory(sentences) else _CHUNK
    iterator = iter(sentences)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _update_hash(digest: Any, sentences: Sequence[Sentence], fields: Sequence[str]) -> None:
    """Add the words of sentences, and their labels of some types, to a hash."""
    for sentence in sentences:
        columns = [sentence.words, *(sentence.token_labels(field) or () for field in fields)]
        text = "\x1d".join("\x1f".join(value or "" for value in column) for column in columns)
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")


def _hash_with_labels(words: Any, gold: Gold) -> str:
    """Return the hash of words and gold labels, given the hash of the words."""
    digest = hashlib.sha256("\n".join(gold.labels).encode("utf-8", "surrogatepass"))
    digest.update(words.digest())
    class_ids = gold.targets.class_ids
    digest.update((class_ids[:-1] if gold.targets.by_word else class_ids).numpy().tobytes())
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
