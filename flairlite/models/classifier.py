"""The base class of classifiers that score each word, or each sentence, independently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from flairlite.data import Dictionary
from flairlite.embeddings import Embeddings
from flairlite.encoding import Batch
from flairlite.errors import SettingError
from flairlite.models.inputs import check_dictionary, check_rate, check_weights, make_dropouts
from flairlite.models.model import Model
from flairlite.nn import class_loss
from flairlite.runtime import get_device, get_seed, seeded
from flairlite.tasks import Decoded, Task


class DefaultClassifier(Model):
    """Scores the vector of each word, or each sentence, with a linear layer.

    Args:
        embeddings: The embeddings of words, or of sentences.
        task: What the model labels, and with which labels.
        label_dictionary: The dictionary of the labels.
        dropout: Dropout rate of single features.
        word_dropout: Dropout rate of whole words, or sentences.
        locked_dropout: Dropout rate of features, for all words of a sentence at once.
        loss_weights: Weights of labels in the loss; others have weight 1.
        label_smoothing: The part of the target distribution that is uniform, from 0 to below 1; see
            `flairlite.nn.class_loss`. Not for multi-label classification.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        LabelError: If a weight is given for an unknown label.
        SettingError: If an argument is invalid.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        task: Task,
        label_dictionary: Dictionary,
        *,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        loss_weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embeddings, task)
        self.label_dictionary = check_dictionary("label_dictionary", label_dictionary)
        self.loss_weights = check_weights(loss_weights)
        self.label_smoothing = float(check_rate("label_smoothing", label_smoothing))
        if self.label_smoothing and task.multi_label:
            raise SettingError("label_smoothing is for models that predict one label, not with multi_label=True")
        self.dropout, self.word_dropout, self.locked_dropout = make_dropouts(dropout, word_dropout, locked_dropout)
        with seeded(get_seed(seed)):
            self.decoder = nn.Linear(embeddings.embedding_length, len(task.class_names))
            nn.init.xavier_uniform_(self.decoder.weight)
        self.label_weights: Tensor  # (K,)
        self.register_buffer("label_weights", task.class_weights(self.loss_weights), persistent=False)
        self.to(get_device())

    @property
    def has_weighted_labels(self) -> bool:
        """Whether the loss gives a weight above 0 to any label."""
        return bool(self.label_weights.any())

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the scores of all classes: (B, T, K) of words, or (B, K) of sentences."""
        features = self.features(batch, generator).to(self.decoder.weight.dtype)
        if not self.task.by_word:
            features = features.unsqueeze(1)  # (B, 1, D)
        features = self.word_dropout(self.dropout(features, generator), generator)
        scores: Tensor = self.decoder(self.locked_dropout(features, generator))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return scores if self.task.by_word else scores.squeeze(1)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the cross entropy, or the binary one for multi-label classification, summed over what is labelled."""
        targets = self.targets(batch)
        if not self.task.multi_label:
            return class_loss(scores, targets, self.label_weights, self.label_smoothing)
        weights = self.label_weights.to(scores.dtype)
        return binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), weights, reduction="sum")

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Predict the best class, or in multi-label classification all labels above their thresholds."""
        return self.task.decode(scores, with_probabilities=with_probabilities)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the embeddings."""
        settings = {
            "label_items": self.label_dictionary.get_items(),
            "label_type": self.label_type,
            "dropout": self.dropout.rate,
            "word_dropout": self.word_dropout.rate,
            "locked_dropout": self.locked_dropout.rate,
            "loss_weights": self.loss_weights or None,
            "allow_unk_predictions": self.task.unknown is not None,
        }
        return {**settings, "label_smoothing": self.label_smoothing} if self.label_smoothing else settings
