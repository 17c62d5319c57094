"""The splits of a corpus, as training sees them: checked and encoded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flairlite.data import Sentence
from flairlite.embeddings.coverage import describe_unknown_words
from flairlite.encoding import Dataset, EncodedDataset, LazyDataset
from flairlite.errors import TrainingError
from flairlite.models import Model
from flairlite.models.prediction import STORAGE_MODES as STORAGE_MODES
from flairlite.tasks import Gold

log = logging.getLogger("flairlite")


@dataclass(frozen=True)
class Split:
    """An encoded split.

    Attributes:
        name: train, dev or test.
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


def encode_split(model: Model, name: str, sentences: Sequence[Sentence] | None, storage_mode: str) -> Split:
    """Check the labels of a split and encode it.

    Args:
        model: The model.
        name: What to call the split in messages.
        sentences: The sentences.
        storage_mode: `cpu` keeps integers and vectors on the host, `gpu` on the device, and `none` encodes a batch when
            it is needed.

    Raises:
        TrainingError: when the split has no sentence with a word.
        LabelError: when nothing in it has a label, or the model knows none of its labels.
    """
    if not sentences or not any(sentence.words for sentence in sentences):
        raise TrainingError(f"the {name} split is empty: give the corpus sentences for it, or None in its place")
    effect = "teach the model nothing" if name == "train" else "count as misses"
    for message in model.task.check(sentences, f"the {name} split", effect):
        log.warning(message)
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
