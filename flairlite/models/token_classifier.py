"""A classifier of words, each by its own vector: embeddings and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.data import Dictionary
from flairlite.embeddings import TokenEmbeddings
from flairlite.errors import SettingError
from flairlite.models.classifier import DefaultClassifier, labels_of
from flairlite.tasks import WordTask


class TokenClassifier(DefaultClassifier):
    """Predicts a label for every word by its embedding alone: without a recurrent network and a CRF.

    Args:
        embeddings: The embeddings of the words.
        label_dictionary: The labels, as `corpus.make_label_dictionary` makes them.
        label_type: The label type.
        loss_weights: Weight of a label in the loss, 1 for those not named.
        dropout: Part of the single features that training drops before the linear layer.
        word_dropout: Part of the words that it drops.
        locked_dropout: Part of the features that it drops for all words of a sentence.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        LabelError: when the dictionary has no label, or a weight names one that it has not.
        SettingError: when the embeddings are of sentences.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings,
        label_dictionary: Dictionary,
        label_type: str,
        loss_weights: Mapping[str, float] | None = None,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if not isinstance(embeddings, TokenEmbeddings):
            raise SettingError(f"a TokenClassifier needs embeddings of words, not {type(embeddings).__name__}")
        super().__init__(
            embeddings,
            WordTask(label_type, labels_of(label_dictionary)),
            label_dictionary,
            dropout=dropout,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            loss_weights=loss_weights,
            seed=seed,
        )

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> TokenClassifier:
        """Build a classifier from what `settings` returned."""
        rest = {name: value for name, value in settings.items() if name != "label_items"}
        return cls(embeddings, Dictionary.from_items(settings["label_items"]), **rest)
