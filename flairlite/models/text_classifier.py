"""A classifier of sentences, or texts: embeddings of them, and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.data import Dictionary, Sentence
from flairlite.datasets import ClassificationDataset
from flairlite.embeddings import DocumentEmbeddings
from flairlite.models.classifier import DefaultClassifier
from flairlite.tasks import DocumentTask, labels_of


class TextClassifier(DefaultClassifier):
    """Predicts the label of a sentence, or its labels where it can have several.

    With one label a sentence, a score is the softmax over all labels; with several, each label has a probability of its
    own (a sigmoid), and those above a threshold are given. It never predicts `<unk>`, and nothing for a sentence
    without words.

    Args:
        embeddings: The embeddings of the sentences, such as `DocumentPoolEmbeddings`.
        label_type: The label type.
        label_dictionary: The labels, as `corpus.make_label_dictionary` makes them.
        multi_label: Whether a sentence can have several labels; when None, as it was where the dictionary was made.
        multi_label_threshold: With several, the probability above which a label is given: one for all, or one for each
            label named and, under `default`, one for the others.
        loss_weights: Weight of a label in the loss, 1 for those not named.
        dropout: Part of the single features that training drops before the linear layer.
        word_dropout: Part of the sentences whose vectors it drops.
        locked_dropout: The same as `dropout`, for Flair's scripts: a sentence has one vector.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        LabelError: when the dictionary has no label, or a weight names one that it has not.
        SettingError: when the embeddings are of words, or a threshold makes no sense.
    """

    task: DocumentTask

    def __init__(
        self,
        embeddings: DocumentEmbeddings,
        label_type: str,
        label_dictionary: Dictionary,
        multi_label: bool | None = None,
        multi_label_threshold: float | Mapping[str, float] = 0.5,
        loss_weights: Mapping[str, float] | None = None,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        seed: int | None = None,
    ) -> None:
        multi_label = label_dictionary.multi_label if multi_label is None else multi_label
        task = DocumentTask(
            label_type, labels_of(label_dictionary), multi_label=multi_label, threshold=multi_label_threshold
        )
        super().__init__(
            embeddings,
            task,
            label_dictionary,
            dropout=dropout,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            loss_weights=loss_weights,
            seed=seed,
        )

    @property
    def multi_label(self) -> bool:
        """Whether a sentence can have several labels."""
        return self.task.multi_label

    @property
    def multi_label_threshold(self) -> dict[str, float]:
        """The probabilities above which labels are given, `default` for those not named; can be assigned."""
        return self.task.threshold

    @multi_label_threshold.setter
    def multi_label_threshold(self, threshold: float | Mapping[str, float]) -> None:
        self.task = DocumentTask(self.label_type, self.label_names, multi_label=self.multi_label, threshold=threshold)

    def read(self, path: str | Path) -> Sequence[Sentence]:
        """Read texts with labels to compare with: from a file in fastText's form, as in `__label__news It rained.`"""
        return ClassificationDataset(path, self.label_type, allow_examples_without_labels=self.multi_label)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings."""
        own = {"multi_label": self.multi_label, "multi_label_threshold": self.multi_label_threshold}
        return {**super().settings(), **own}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: DocumentEmbeddings) -> TextClassifier:
        """Build a classifier from what `settings` returned."""
        rest = {name: value for name, value in settings.items() if name != "label_items"}
        dictionary = Dictionary.from_items(settings["label_items"])
        dictionary.multi_label = settings["multi_label"]
        return cls(embeddings, label_dictionary=dictionary, **rest)
