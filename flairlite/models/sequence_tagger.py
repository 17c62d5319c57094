"""A tagger of words: embeddings, a recurrent network, a linear layer and a CRF."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings import TokenEmbeddings
from flairlite.encoding import UNLABELLED, Batch
from flairlite.errors import LabelError, SettingError
from flairlite.models.model import Model
from flairlite.nn import FeatureDropout, LinearChainCRF, LockedDropout, PaddedRNN, WordDropout
from flairlite.runtime import get_device, get_seed, seeded
from flairlite.tasks import Decoded, WordTask


class SequenceTagger(Model):
    """Predicts a label for every word of a sentence.

    The model of Huang, Xu and Yu, Bidirectional LSTM-CRF Models for Sequence Tagging, 2015, as Flair builds it. It
    never predicts `<unk>`; words whose label is not in the dictionary teach it nothing.

    `tagger.bfloat16()` makes a trained tagger predict in bfloat16, which is faster where the processor knows it.

    Args:
        embeddings: The embeddings of the words.
        tag_dictionary: The labels, as `corpus.make_label_dictionary` makes them.
        tag_type: The label type.
        use_rnn: Put a recurrent network between embeddings and labels.
        hidden_size: Features of the network's state in each direction.
        rnn_layers: Layers of the network.
        rnn_type: LSTM, GRU or RNN.
        bidirectional: Read the sentence from its end too.
        use_crf: Score whole label sequences, not each label alone.
        reproject_embeddings: Pass the embeddings through a linear layer (D, D) first.
        dropout: Part of the single features that training drops before and after the network.
        word_dropout: Part of the words that it drops.
        locked_dropout: Part of the features that it drops for all words of a sentence.
        loss_weights: Weight of a label in the loss, 1 for those not named; only without a CRF.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        LabelError: when the dictionary has no label, or a weight names one that it has not.
        SettingError: when settings do not go together.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings,
        tag_dictionary: Dictionary,
        tag_type: str,
        use_rnn: bool = True,
        hidden_size: int = 256,
        rnn_layers: int = 1,
        rnn_type: str = "LSTM",
        bidirectional: bool = True,
        use_crf: bool = True,
        reproject_embeddings: bool = True,
        dropout: float = 0.0,
        word_dropout: float = 0.05,
        locked_dropout: float = 0.5,
        loss_weights: dict[str, float] | None = None,
        seed: int | None = None,
    ) -> None:
        names = [item for item in tag_dictionary.get_items() if item != UNKNOWN]
        _check(names, loss_weights, use_crf)
        super().__init__(embeddings, WordTask(tag_type, names))
        self.tag_dictionary = tag_dictionary
        self.hidden_size, self.rnn_layers, self.rnn_type = hidden_size, rnn_layers, rnn_type
        self.bidirectional, self.loss_weights = bidirectional, dict(loss_weights or {})
        self.dropout = FeatureDropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)
        size = embeddings.embedding_length
        with seeded(get_seed(seed)):
            self.reprojection = nn.Linear(size, size) if reproject_embeddings else None
            self.rnn = (
                PaddedRNN(size, hidden_size, num_layers=rnn_layers, rnn_type=rnn_type, bidirectional=bidirectional)
                if use_rnn
                else None
            )
            self.linear = nn.Linear(self.rnn.output_size if self.rnn is not None else size, len(names))
            self.crf = LinearChainCRF(len(names)) if use_crf else None
        self.label_weights: Tensor  # (K,)
        weights = torch.tensor([self.loss_weights.get(name, 1.0) for name in names])
        self.register_buffer("label_weights", weights, persistent=False)
        self.to(get_device())

    @property
    def tag_type(self) -> str:
        """The label type."""
        return self.label_type

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the emissions (B, T, K): a score of each label at each word."""
        features = self.features(batch).to(self.linear.weight.dtype)  # (B, T, D)
        features = self._dropped(features, generator, drop_words=True)
        if self.reprojection is not None:
            features = self.reprojection(features)
        if self.rnn is not None:
            features = self.rnn(features, batch.lengths)  # (B, T, H)
            features = self._dropped(features, generator)
        emissions: Tensor = self.linear(features)  # (B, T, K)
        return emissions.to(torch.promote_types(emissions.dtype, torch.float32))  # a CRF adds many of them up

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the negative log-likelihood of the labels, summed over the labelled words; a tensor ()."""
        tags = self.targets(batch)
        if self.crf is not None:
            return self.crf(scores, tags, batch.lengths, is_partial=batch.is_partial).sum()  # type: ignore[no-any-return]
        return nn.functional.cross_entropy(
            scores.flatten(0, 1),
            tags.flatten(),
            self.label_weights.to(scores.dtype),
            ignore_index=UNLABELLED,
            reduction="sum",
        )

    def decode(self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_chances: bool = False) -> Decoded:
        """Choose the best label sequence; a score is the probability of the label at its word."""
        tags = self.crf.decode(scores, batch.lengths) if self.crf is not None else scores.argmax(dim=2)  # (B, T)
        if not (with_scores or with_chances):
            return Decoded(tags)
        chances = self.crf.marginals(scores, batch.lengths) if self.crf is not None else scores.softmax(dim=2)
        scores = chances.gather(2, tags.unsqueeze(2)).squeeze(2)
        return Decoded(tags, scores, chances if with_chances else None)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings."""
        return {
            "tag_items": self.tag_dictionary.get_items(),
            "tag_type": self.label_type,
            "use_rnn": self.rnn is not None,
            "hidden_size": self.hidden_size,
            "rnn_layers": self.rnn_layers,
            "rnn_type": self.rnn_type,
            "bidirectional": self.bidirectional,
            "use_crf": self.crf is not None,
            "reproject_embeddings": self.reprojection is not None,
            "dropout": self.dropout.rate,
            "word_dropout": self.word_dropout.rate,
            "locked_dropout": self.locked_dropout.rate,
            "loss_weights": self.loss_weights or None,
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> SequenceTagger:
        """Build a tagger from what `settings` returned."""
        rest = {name: value for name, value in settings.items() if name != "tag_items"}
        return cls(embeddings, Dictionary.from_items(settings["tag_items"]), **rest)

    def _dropped(self, features: Tensor, generator: torch.Generator | None, *, drop_words: bool = False) -> Tensor:
        features = self.dropout(features, generator)
        if drop_words:
            features = self.word_dropout(features, generator)
        dropped: Tensor = self.locked_dropout(features, generator)
        return dropped


def _check(names: list[str], loss_weights: dict[str, float] | None, use_crf: bool) -> None:
    if not names:
        raise LabelError("the tag dictionary has no label besides <unk>: make it with corpus.make_label_dictionary")
    if loss_weights and use_crf:
        raise SettingError("loss_weights weigh single labels, but a CRF scores whole sequences: give use_crf=False too")
    if unknown := sorted(set(loss_weights or ()) - set(names)):
        raise LabelError(f"loss_weights name {', '.join(unknown)}, but the labels are {', '.join(names)}")
