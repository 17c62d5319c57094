"""A classifier of words, each by its own vector: embeddings and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from flairlite.data import Dictionary
from flairlite.embeddings import TokenEmbeddings
from flairlite.encoding import Batch
from flairlite.models.classifier import DefaultClassifier
from flairlite.models.word_decoder import WordDecoder
from flairlite.tasks import Decoded, SpanTask, word_or_span_task


class TokenClassifier(DefaultClassifier):
    """Predicts a label for every word by its embedding alone: without a recurrent network and a CRF.

    Where the dictionary was made of labels of spans, it predicts spans, by the best valid sequence of tags.

    Args:
        embeddings: The embeddings of the words.
        label_dictionary: The labels, as `corpus.make_label_dictionary` makes them.
        label_type: The label type.
        span_encoding: How spans become tags of words: BIOES, BIO or BILOU.
        loss_weights: Weight of a label, or of a tag such as `B-PER`, in the loss, 1 for those not named.
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
        span_encoding: str = "BIOES",
        loss_weights: Mapping[str, float] | None = None,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            embeddings,
            word_or_span_task(label_dictionary, label_type, span_encoding),
            label_dictionary,
            dropout=dropout,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            loss_weights=loss_weights,
            seed=seed,
        )
        self.span_encoding = span_encoding.upper()
        self.word_decoder = WordDecoder(self.task).to(self.device)

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Choose the best label of each word, or the best valid tags; a score is a probability."""
        return self.word_decoder(  # type: ignore[no-any-return]
            scores, batch.lengths, with_scores=with_scores, with_probabilities=with_probabilities
        )

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings."""
        own = {"span_encoding": self.span_encoding, "span_labels": isinstance(self.task, SpanTask)}
        return {**super().settings(), **own}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> TokenClassifier:
        """Build a classifier from what `settings` returned."""
        rest = {name: value for name, value in settings.items() if name not in ("label_items", "span_labels")}
        dictionary = Dictionary.from_items(settings["label_items"])
        dictionary.span_labels = settings["span_labels"]
        return cls(embeddings, dictionary, **rest)
