"""The splits of a corpus, as training sees them: checked and encoded once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from flairlite.data import ConcatDataset, Corpus, Sentence
from flairlite.data.dataset import Subset
from flairlite.embeddings.oov_report import describe_unknown_words
from flairlite.encoding import Dataset, EncodedDataset, LazyDataset
from flairlite.errors import SettingError, TrainingError
from flairlite.models import Model
from flairlite.models.inference import STORAGE_MODES as STORAGE_MODES
from flairlite.tasks import Gold

if TYPE_CHECKING:
    from flairlite.trainers.settings import TrainingSettings

log = logging.getLogger("flairlite")


@dataclass(frozen=True)
class Split:
    """An encoded split.

    Attributes:
        name: train, dev, test or train_sample.
        dataset: Its sentences as integers.
        gold: Their gold labels.
    """

    name: str
    dataset: Dataset
    gold: Gold

    @property
    def sentences(self) -> Sequence[Sentence]:
        """The sentences."""
        return self.gold.sentences


def encode_split(
    model: Model,
    name: str,
    sentences: Sequence[Sentence] | None,
    storage_mode: str,
    *,
    exclude: Collection[str] = (),
) -> Split:
    """Check the labels of a split and encode it.

    Args:
        model: The model.
        name: What to call the split in messages.
        sentences: The sentences.
        storage_mode: `cpu` keeps integers and vectors on the host, `gpu` on the device, and `none` encodes a batch when
            it is needed.
        exclude: Labels that evaluations leave out.

    Raises:
        TrainingError: when the split has no sentence with a word.
        LabelError: when there is nothing to learn, or to compare with; see `Task.check`.
    """
    if not sentences or not any(sentence.words for sentence in sentences):
        raise TrainingError(f"the {name} split is empty: give the corpus sentences for it, or None in its place")
    is_trained_on = name == "train"
    for message in model.task.check(sentences, f"the {name} split", for_training=is_trained_on, exclude=exclude):
        log.warning(message)
    if is_trained_on and model.label_type in model.embeddings.fields:
        log.warning(
            f"the embeddings read the {model.label_type!r} labels that the model is to predict: where these are there, "
            "the scores say nothing"
        )
    gold = model.task.gold(sentences)

    def encode(chosen: Sequence[Sentence]) -> EncodedDataset:
        return model.encode(chosen, label_type=gold.label_type, labels=gold.labels)

    if storage_mode == "none":
        return Split(name, LazyDataset(sentences, encode), gold)
    dataset = encode(sentences)
    if name == "train":
        for message in describe_unknown_words(model.embeddings, dataset, sentences):
            log.info(message)
    return Split(name, dataset.to(model.device) if storage_mode == "gpu" else dataset, gold)


def encode_splits(model: Model, corpus: Corpus, settings: TrainingSettings) -> dict[str, Split]:
    """Encode what a run trains on, `train`, and what it evaluates: `dev`, `test`, `train_sample`, where there are."""
    trained = [corpus.train or ()]
    parts: dict[str, Sequence[Sentence]] = {}
    for name, is_trained_on in (("dev", settings.train_with_dev), ("test", settings.train_with_test)):
        sentences = getattr(corpus, name)
        if sentences and is_trained_on:
            trained.append(sentences)
        elif sentences:
            parts[name] = sentences
    train = trained[0] if len(trained) == 1 else ConcatDataset(trained)  # no list: it may be larger than memory
    if settings.monitor_train_sample:
        parts["train_sample"] = draw_sample(train, settings.monitor_train_sample, settings.seed)
    mode = settings.embeddings_storage_mode
    return {
        name: encode_split(model, name, sentences, mode, exclude=settings.exclude_labels)
        for name, sentences in {"train": train, **parts}.items()
    }


def draw_sample(sentences: Sequence[Sentence], amount: float, seed: int) -> Subset:
    """Draw sentences that have words, in their order.

    Args:
        sentences: From which.
        amount: How many, or which part of them where it is a fraction; at least one.
        seed: Decides which.

    Raises:
        SettingError: when there are not so many.
    """
    places = [place for place, sentence in enumerate(sentences) if sentence.words]
    size = amount if isinstance(amount, int) else max(1, round(len(places) * amount))
    if not 1 <= size <= len(places):
        raise SettingError(
            f"monitor_train_sample must be a part from 0 to 1, or a number of sentences up to {len(places)}; "
            f"it is {amount}"
        )
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))[:size]
    return Subset(sentences, [places[number] for number in sorted(chosen.tolist())])
