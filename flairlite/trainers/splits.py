"""The splits of a corpus, as training sees them: checked and encoded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flairlite.data import Sentence
from flairlite.data.corpus import count_labels
from flairlite.data.dictionary import UNKNOWN
from flairlite.encoding import Dataset, EncodedDataset, LazyDataset, all_labels
from flairlite.errors import LabelError, TrainingError
from flairlite.models import Model

log = logging.getLogger("flairlite")

STORAGE_MODES = ("cpu", "gpu", "none")


@dataclass(frozen=True)
class Split:
    """An encoded split.

    Attributes:
        name: train, dev or test.
        sentences: Its sentences.
        dataset: The same as integers.
        labels: All labels that occur or that the model knows, the model's first.
    """

    name: str
    sentences: Sequence[Sentence]
    dataset: Dataset
    labels: tuple[str, ...]


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
        LabelError: when no word of it has a label, or the model knows none of its labels.
    """
    if not sentences or not any(sentence.words for sentence in sentences):
        raise TrainingError(f"the {name} split is empty: give the corpus sentences for it, or None in its place")
    labels = all_labels(sentences, model.label_type, model.label_names)
    _check_labels(model, name, sentences, labels)

    def encode(chosen: Sequence[Sentence]) -> EncodedDataset:
        return model.encode(chosen, label_type=model.label_type, labels=labels)

    if storage_mode == "none":
        return Split(name, sentences, LazyDataset(sentences, encode), labels)
    dataset = model.encode(sentences, label_type=model.label_type, labels=labels)
    return Split(name, sentences, dataset.to(model.device) if storage_mode == "gpu" else dataset, labels)


def _check_labels(model: Model, name: str, sentences: Sequence[Sentence], labels: Sequence[str]) -> None:
    unknown = [label for label in labels[len(model.label_names) :] if label != UNKNOWN]
    counts, _ = count_labels(sentences, model.label_type)
    if not counts:
        types = sorted({kind for sentence in sentences for kind in sentence.label_types()})
        raise LabelError(
            f"no label type {model.label_type!r} in the {name} split; it has: {', '.join(types) or 'no labels at all'}"
        )
    if not any(any(sentence.token_labels(model.label_type) or ()) for sentence in sentences):
        raise LabelError(
            f"no word of the {name} split has a label of the type {model.label_type!r}: spans or whole sentences have, "
            "and this model labels words"
        )
    if len(unknown) == len(counts):
        raise LabelError(
            f"the model knows none of the labels of the {name} split: it knows {', '.join(model.label_names[:20])}, "
            f"and the split has {', '.join(unknown[:20])}. Make the dictionary from this corpus"
        )
    if unknown:
        shown = ", ".join(f"{label} ({counts[label]})" for label in unknown[:20])
        effect = "teach the model nothing" if name == "train" else "count as misses"
        log.warning(
            f"{len(unknown)} labels of the {name} split are not in the model's dictionary and {effect}: {shown}"
        )
