"""A text classifier: embeddings of sentences and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.checks import flag
from flairlite.data import Dictionary
from flairlite.embeddings import DocumentEmbeddings
from flairlite.models.classifier import DefaultClassifier
from flairlite.models.inputs import check_dictionary, check_name
from flairlite.tasks import DocumentTask, labels_of


class TextClassifier(DefaultClassifier):
    """Predicts the label of a sentence or text, or all its labels in multi-label classification.

    A score is the softmax over all labels. In multi-label classification, a score is the sigmoid of each label, and all
    labels above a threshold are predicted. The model never predicts `<unk>`, and nothing for a sentence without words.

    Args:
        embeddings: The embeddings of sentences, such as `DocumentPoolEmbeddings`.
        label_type: The label type.
        label_dictionary: The labels, as returned by `corpus.make_label_dictionary`.
        multi_label: Whether a sentence can have several labels; if None, `label_dictionary.multi_label`.
        multi_label_threshold: In multi-label classification, the probability above which a label is predicted: one
            value for all labels, or a value for each label, with the key `default` for labels that are not named.
        loss_weights: Weights of labels in the loss; others have weight 1.
        dropout: Dropout rate of single features before the linear layer.
        word_dropout: Dropout rate of the vectors of whole sentences.
        locked_dropout: The same as `dropout`, as a sentence has one vector; for Flair's scripts.
        label_smoothing: The part of the target distribution that is uniform; see `flairlite.nn.class_loss`. Not with
            `multi_label`.
        seed: Seed of the initial weights; the default seed of the process if None.
        allow_unk_predictions: Whether `<unk>` is a label like others, as it is for Flair; see `SequenceTagger`.

    Raises:
        LabelError: If the dictionary has no label, or a weight is given for an unknown label.
        SettingError: If an argument is invalid, as embeddings of words are.
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
        *,
        label_smoothing: float = 0.0,
        allow_unk_predictions: bool = False,
    ) -> None:
        label_type = check_name("label_type", label_type)
        label_dictionary = check_dictionary("label_dictionary", label_dictionary)
        multi_label = label_dictionary.multi_label if multi_label is None else flag("multi_label", multi_label)
        task = DocumentTask(
            label_type,
            labels_of(label_dictionary, with_unknown=allow_unk_predictions),
            multi_label=multi_label,
            threshold=multi_label_threshold,
        )
        super().__init__(
            embeddings,
            task,
            label_dictionary,
            dropout=dropout,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            loss_weights=loss_weights,
            label_smoothing=label_smoothing,
            seed=seed,
        )

    @property
    def multi_label(self) -> bool:
        """Whether a sentence can have several labels."""
        return self.task.multi_label

    @property
    def multi_label_threshold(self) -> dict[str, float]:
        """The probability above which each label is predicted, `default` for labels not named; can be assigned."""
        return self.task.threshold

    @multi_label_threshold.setter
    def multi_label_threshold(self, threshold: float | Mapping[str, float]) -> None:
        self.task = DocumentTask(self.label_type, self.label_names, multi_label=self.multi_label, threshold=threshold)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the embeddings."""
        own = {"multi_label": self.multi_label, "multi_label_threshold": self.multi_label_threshold}
        return {**super().settings(), **own}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: DocumentEmbeddings) -> TextClassifier:
        """Build a classifier from the result of `settings`."""
        rest = {name: value for name, value in settings.items() if name != "label_items"}
        dictionary = Dictionary.from_items(settings["label_items"])
        dictionary.multi_label = settings["multi_label"]
        return cls(embeddings, label_dictionary=dictionary, **rest)
