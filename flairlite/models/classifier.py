"""Models that score the vector of each word, or each sentence, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from flairlite.data import Dictionary
from flairlite.embeddings import Embeddings
from flairlite.encoding import Batch
from flairlite.models.model import Model
from flairlite.nn import FeatureDropout, LockedDropout, WordDropout, class_loss
from flairlite.runtime import get_device, get_seed, seeded
from flairlite.tasks import Decoded, Task


class DefaultClassifier(Model):
    """Scores the vector of each word, or each sentence, with a linear layer.

    Args:
        embeddings: The embeddings of the words, or of the sentences.
        task: What the model labels, and with what.
        label_dictionary: The dictionary that the labels are from.
        dropout: Part of the single features that training drops.
        word_dropout: Part of the words, or sentences, that it drops.
        locked_dropout: Part of the features that it drops for all words of a sentence.
        loss_weights: Weight of a label in the loss, 1 for those not named.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        LabelError: when a weight names a label that there is not.
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
        seed: int | None = None,
    ) -> None:
        super().__init__(embeddings, task)
        self.label_dictionary = label_dictionary
        self.loss_weights = dict(loss_weights or {})
        self.dropout = FeatureDropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)
        with seeded(get_seed(seed)):
            self.decoder = nn.Linear(embeddings.embedding_length, len(task.class_names))
            nn.init.xavier_uniform_(self.decoder.weight)
        self.label_weights: Tensor  # (K,)
        self.register_buffer("label_weights", task.class_weights(loss_weights), persistent=False)
        self.to(get_device())

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute a score of each class: (B, T, K) of words, or (B, K) of sentences."""
        features = self.features(batch, generator).to(self.decoder.weight.dtype)
        if not self.task.by_word:
            features = features.unsqueeze(1)  # (B, 1, D)
        features = self.word_dropout(self.dropout(features, generator), generator)
        scores: Tensor = self.decoder(self.locked_dropout(features, generator))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return scores if self.task.by_word else scores.squeeze(1)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the cross entropy, summed over what has labels and, where it can have several, over the labels."""
        targets = self.targets(batch)
        if not self.task.multi_label:
            return class_loss(scores, targets, self.label_weights)
        weights = self.label_weights.to(scores.dtype)
        return binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), weights, reduction="sum")

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Choose the best class, or all labels whose probability is above their threshold."""
        return self.task.decode(scores, with_probabilities=with_probabilities)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings."""
        return {
            "label_items": self.label_dictionary.get_items(),
            "label_type": self.label_type,
            "dropout": self.dropout.rate,
            "word_dropout": self.word_dropout.rate,
            "locked_dropout": self.locked_dropout.rate,
            "loss_weights": self.loss_weights or None,
        }
