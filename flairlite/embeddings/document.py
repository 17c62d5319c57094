"""Embeddings of sentences: a pool of the words' vectors, or what a recurrent network makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.embeddings.base import DocumentEmbeddings, Inputs, TokenEmbeddings
from flairlite.embeddings.registry import embedding_from_params, embedding_to_params, register_embeddings
from flairlite.embeddings.stacked import stack
from flairlite.errors import SettingError
from flairlite.nn import FeatureDropout, LockedDropout, PaddedRNN, WordDropout, last_states
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to

POOLINGS = ("mean", "max", "min")
FINE_TUNE_MODES = ("none", "linear", "nonlinear")


@register_embeddings
class DocumentPoolEmbeddings(DocumentEmbeddings):
    """Takes the mean, the largest or the smallest value of each feature over the words of a sentence.

    Args:
        embeddings: The embeddings of the words, one or several.
        fine_tune_mode: `none` takes the vectors as they are; `linear` passes them through a layer that begins as the
            identity; `nonlinear` through that, a ReLU and another layer.
        pooling: `mean`, `max` or `min`.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        SettingError: when there is no such mode or pooling.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings | Sequence[TokenEmbeddings],
        fine_tune_mode: str = "none",
        pooling: str = "mean",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(stack(embeddings))
        if pooling not in POOLINGS or fine_tune_mode not in FINE_TUNE_MODES:
            raise SettingError(
                f"pooling must be one of {', '.join(POOLINGS)} and fine_tune_mode one of {', '.join(FINE_TUNE_MODES)}; "
                f"got {pooling!r} and {fine_tune_mode!r}"
            )
        self.name = f"document_{pooling}"
        self.pooling, self.fine_tune_mode = pooling, fine_tune_mode
        size = self.embeddings.embedding_length
        layers: list[nn.Module] = []
        with seeded(seed):
            if fine_tune_mode != "none":
                layers.append(nn.Linear(size, size, bias=False))
                nn.init.eye_(layers[0].weight)  # type: ignore[arg-type]
            if fine_tune_mode == "nonlinear":
                layers += [nn.ReLU(), nn.Linear(size, size)]
        self.layers = nn.Sequential(*layers)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a sentence."""
        return self.embeddings.embedding_length

    def forward(self, inputs: Inputs, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Make vectors (B, D); see `DocumentEmbeddings.forward`."""
        features: Tensor = self.layers(self._words(inputs))  # (B, T, D)
        is_padding = torch.arange(features.shape[1]) >= lengths.unsqueeze(1)  # (B, T)
        is_padding = copy_to(is_padding, features.device).unsqueeze(2)  # (B, T, 1)
        if self.pooling == "mean":
            total = features.masked_fill(is_padding, 0.0).sum(dim=1)
            return total / copy_to(lengths, features.device).unsqueeze(1)
        if self.pooling == "max":
            return features.masked_fill(is_padding, -torch.inf).amax(dim=1)
        return features.masked_fill(is_padding, torch.inf).amin(dim=1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and the embeddings of the words."""
        words = embedding_to_params(self.embeddings, whole=whole)
        return {"embeddings": words, "fine_tune_mode": self.fine_tune_mode, "pooling": self.pooling}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DocumentPoolEmbeddings:
        """Build the embedding again."""
        return cls(embedding_from_params(params["embeddings"]), params["fine_tune_mode"], params["pooling"])

    def extra_repr(self) -> str:
        """Show the settings when the module is printed."""
        return f"fine_tune_mode={self.fine_tune_mode}, pooling={self.pooling}"


@register_embeddings
class DocumentRNNEmbeddings(DocumentEmbeddings):
    """Reads a sentence with a recurrent network; its last output is the vector.

    In two directions the vector is the output at the first word and that at the last word, joined, as in Flair: four
    times `hidden_size` features, two of which are the networks' last states.

    Args:
        embeddings: The embeddings of the words, one or several.
        hidden_size: Features of the network's state in each direction.
        rnn_layers: Layers of the network.
        reproject_words: Pass the vectors of the words through a linear layer first.
        reproject_words_dimension: Features behind that layer; as many as before it when None.
        bidirectional: Read the sentence from its end too.
        dropout: Part of the single features that training drops before and after the network.
        word_dropout: Part of the words that it drops before the network.
        locked_dropout: Part of the features that it drops for all words of a sentence, before and after.
        rnn_type: GRU, LSTM or RNN.
        fine_tune: Train the network and the embeddings below it; otherwise they stay as they are.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        SettingError: when a setting makes no sense.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings | Sequence[TokenEmbeddings],
        hidden_size: int = 128,
        rnn_layers: int = 1,
        reproject_words: bool = True,
        reproject_words_dimension: int | None = None,
        bidirectional: bool = False,
        dropout: float = 0.5,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        rnn_type: str = "GRU",
        fine_tune: bool = True,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(stack(embeddings))
        self.name = f"document_{rnn_type}"
        self.hidden_size, self.rnn_layers, self.rnn_type = hidden_size, rnn_layers, rnn_type
        self.reproject_words_dimension, self.bidirectional, self.fine_tune = (
            reproject_words_dimension,
            bidirectional,
            fine_tune,
        )
        self.dropout = FeatureDropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)
        size = self.embeddings.embedding_length
        with seeded(seed):
            self.reprojection: nn.Linear | None = None
            if reproject_words:
                self.reprojection = nn.Linear(size, reproject_words_dimension or size)
                nn.init.xavier_uniform_(self.reprojection.weight)
                size = self.reprojection.out_features
            self.rnn = PaddedRNN(
                size, hidden_size, num_layers=rnn_layers, rnn_type=rnn_type, bidirectional=bidirectional
            )
        if not fine_tune:
            self.requires_grad_(False)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a sentence."""
        return self.hidden_size * (4 if self.bidirectional else 1)

    def forward(self, inputs: Inputs, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Make vectors (B, D); see `DocumentEmbeddings.forward`."""
        features = self._words(inputs)  # (B, T, D)
        features = self.locked_dropout(self.dropout(features, generator), generator)
        features = self.word_dropout(features, generator)
        if self.reprojection is not None:
            features = self.reprojection(features)
        states = self.rnn(features, lengths)  # (B, T, H)
        last = last_states(states, lengths)  # (B, H)
        ends = torch.stack((states[:, 0], last), dim=1) if self.bidirectional else last.unsqueeze(1)  # (B, 2 or 1, H)
        ends = self.locked_dropout(self.dropout(ends, generator), generator)
        return ends.flatten(1)  # type: ignore[no-any-return]

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and the embeddings of the words."""
        return {
            "embeddings": embedding_to_params(self.embeddings, whole=whole),
            "hidden_size": self.hidden_size,
            "rnn_layers": self.rnn_layers,
            "reproject_words": self.reprojection is not None,
            "reproject_words_dimension": self.reproject_words_dimension,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout.rate,
            "word_dropout": self.word_dropout.rate,
            "locked_dropout": self.locked_dropout.rate,
            "rnn_type": self.rnn_type,
            "fine_tune": self.fine_tune,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DocumentRNNEmbeddings:
        """Build the embedding again."""
        return cls(**{**params, "embeddings": embedding_from_params(params["embeddings"])})
