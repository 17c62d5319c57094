"""A token classifier: embeddings of words and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from flairlite.data import Dictionary
from flairlite.embeddings import TokenEmbeddings
from flairlite.encoding import Batch
from flairlite.models.classifier import DefaultClassifier
from flairlite.models.inputs import check_dictionary, check_name
from flairlite.models.word_decoder import WordDecoder
from flairlite.tasks import Decoded, SpanTask, word_or_span_task


class TokenClassifier(DefaultClassifier):
    """Predicts a label for each word from its embedding alone, without a recurrent network and a CRF.

    If the dictionary has labels of spans, the model predicts spans as the best valid sequence of tags.

    Args:
        embeddings: The embeddings of words.
        label_dictionary: The labels, as returned by `corpus.make_label_dictionary`.
        label_type: The label type.
        span_encoding: The tagging scheme of spans: BIOES, BIO or BILOU.
        loss_weights: Weights of labels, or of tags such as `B-PER`, in the loss; others have weight 1.
        dropout: Dropout rate of single features before the linear layer.
        word_dropout: Dropout rate of whole words.
        locked_dropout: Dropout rate of features, for all words of a sentence at once.
        label_smoothing: The part of the target distribution that is uniform; see `flairlite.nn.class_loss`.
        seed: Seed of the initial weights; the default seed of the process if None.
        allow_unk_predictions: Whether `<unk>` is a label like others, as it is for Flair; see `SequenceTagger`.

    Raises:
        LabelError: If the dictionary has no label, or a weight is given for an unknown label.
        SettingError: If an argument is invalid, as embeddings of sentences are.
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
        *,
        label_smoothing: float = 0.0,
        allow_unk_predictions: bool = False,
    ) -> None:
        label_dictionary = check_dictionary("label_dictionary", label_dictionary)
        label_type, span_encoding = check_name("label_type", label_type), check_name("span_encoding", span_encoding)
        super().__init__(
            embeddings,
            word_or_span_task(label_dictionary, label_type, span_encoding, with_unknown=allow_unk_predictions),
            label_dictionary,
            dropout=dropout,
            word_dropout=word_dropout,
            locked_dropout=locked_dropout,
            loss_weights=loss_weights,
            label_smoothing=label_smoothing,
            seed=seed,
        )
        self.span_encoding = span_encoding.upper()
        self.word_decoder = WordDecoder(self.task).to(self.device)

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Predict the best label of each word, or the best valid tags; a score is a probability."""
        return self.word_decoder(  # type: ignore[no-any-return]
            scores, batch.lengths, with_scores=with_scores, with_probabilities=with_probabilities
        )

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the embeddings."""
        own = {"span_encoding": self.span_encoding, "span_labels": isinstance(self.task, SpanTask)}
        return {**super().settings(), **own}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> TokenClassifier:
        """Build a classifier from the result of `settings`."""
        rest = {name: value for name, value in settings.items() if name not in ("label_items", "span_labels")}
        dictionary = Dictionary.from_items(settings["label_items"])
        dictionary.span_labels = settings["span_labels"]
        return cls(embeddings, dictionary, **rest)
