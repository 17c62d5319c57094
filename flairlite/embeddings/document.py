"""Embeddings of sentences: pooled vectors of the words, or the output of a recurrent network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.checks import flag, one_of
from flairlite.embeddings.base import (
    DocumentEmbeddings,
    Inputs,
    TokenEmbeddings,
    check_size,
    register_embeddings,
)
from flairlite.embeddings.stacked import stack
from flairlite.errors import SettingError
from flairlite.nn import FeatureDropout, LockedDropout, PaddedRNN, WordDropout, last_states
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to


@register_embeddings
class DocumentPoolEmbeddings(DocumentEmbeddings):
    """The mean, maximum or minimum of each feature over the words of a sentence.

    Args:
        embeddings: One or several embeddings of the words.
        fine_tune_mode: `none` pools the vectors unchanged; `linear` first applies a linear layer, initialised as the
            identity; `nonlinear` adds a ReLU and a second linear layer.
        pooling: `mean`, `max` or `min`.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If the mode, the pooling or the embeddings are invalid.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings | Iterable[TokenEmbeddings],
        fine_tune_mode: str = "none",
        pooling: str = "mean",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(stack(embeddings, owner="DocumentPoolEmbeddings"))
        self.fine_tune_mode = one_of("none", "linear", "nonlinear")("fine_tune_mode", fine_tune_mode)
        self.pooling = one_of("mean", "max", "min")("pooling", pooling)
        self.name = f"document_{pooling}"
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

    def forward(self, inputs: Inputs, lengths: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, D); see `DocumentEmbeddings.forward`."""
        features: Tensor = self.layers(self._embed_words(inputs, lengths, generator))  # (B, T, D)
        is_padding = torch.arange(features.shape[1]) >= lengths.unsqueeze(1)  # (B, T)
        is_padding = copy_to(is_padding, features.device).unsqueeze(2)  # (B, T, 1)
        if self.pooling == "mean":
            total = features.masked_fill(is_padding, 0.0).sum(dim=1)
            return total / copy_to(lengths, features.device).unsqueeze(1)
        if self.pooling == "max":
            return features.masked_fill(is_padding, -torch.inf).amax(dim=1)
        return features.masked_fill(is_padding, torch.inf).amin(dim=1)

    def extra_repr(self) -> str:
        """Show the settings when the module is printed."""
        return f"fine_tune_mode={self.fine_tune_mode}, pooling={self.pooling}"


class _ReadingEmbeddings(DocumentEmbeddings):
    """What embeddings share that drop, project and then read the vectors of the words with a network."""

    def _set_options(
        self,
        reproject_words: bool,
        reproject_words_dimension: int | None,
        dropout: float,
        word_dropout: float,
        locked_dropout: float,
        fine_tune: bool,
    ) -> None:
        self.reproject_words = flag("reproject_words", reproject_words)
        if reproject_words_dimension is not None:
            reproject_words_dimension = check_size("reproject_words_dimension", reproject_words_dimension)
        self.reproject_words_dimension = reproject_words_dimension
        self.fine_tune = flag("fine_tune", fine_tune)
        self.dropout = FeatureDropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)

    def _make_reprojection(self) -> int:
        """Make the linear layer, if there is one, and return the features of a word after it."""
        size = self.embeddings.embedding_length
        self.reprojection: nn.Linear | None = None
        if self.reproject_words:
            self.reprojection = nn.Linear(size, self.reproject_words_dimension or size)
            nn.init.xavier_uniform_(self.reprojection.weight)
            size = self.reprojection.out_features
        return size

    def _finish(self) -> None:
        if not self.fine_tune:
            self.requires_grad_(False)
        self.to(get_device())
        self.eval()

    def _drop_words(self, features: Tensor, generator: Generator | None) -> Tensor:
        """Drop features and words of (B, T, D)."""
        features = self.locked_dropout(self.dropout(features, generator), generator)
        dropped: Tensor = self.word_dropout(features, generator)
        return dropped

    def _drop_output(self, output: Tensor, generator: Generator | None) -> Tensor:
        """Drop features of vectors (B, N, D) of the sentences, and join the N of a sentence, (B, N * D)."""
        dropped: Tensor = self.locked_dropout(self.dropout(output, generator), generator)
        return dropped.flatten(1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and the embeddings of the words."""
        rates = {name: float(getattr(self, name).rate) for name in ("dropout", "word_dropout", "locked_dropout")}
        return {**super().to_params(whole=whole), **rates}


@register_embeddings
class DocumentRNNEmbeddings(_ReadingEmbeddings):
    """The last output of a recurrent network over the words of a sentence.

    If bidirectional, as in Flair, the outputs at the first and the last word are concatenated, each with
    2 * `hidden_size` features; two of these four parts are the last states of the two directions.

    Args:
        embeddings: One or several embeddings of the words.
        hidden_size: Features of the state of each direction.
        rnn_layers: Number of layers.
        reproject_words: Apply a linear layer to the vectors of the words first.
        reproject_words_dimension: Output features of that layer; as many as its input features if None.
        bidirectional: Also read the sentence from its end.
        dropout: Probability of dropping a single feature in training, before and after the network.
        word_dropout: Probability of dropping a word, before the network.
        locked_dropout: Probability of dropping a feature in all words of a sentence, before and after the network.
        rnn_type: GRU, LSTM or RNN.
        fine_tune: Train the network and the embeddings of the words.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a setting or the embeddings are invalid.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings | Iterable[TokenEmbeddings],
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
        super().__init__(stack(embeddings, owner="DocumentRNNEmbeddings"))
        self.name = f"document_{rnn_type}"
        self.hidden_size, self.rnn_layers = check_size("hidden_size", hidden_size), check_size("rnn_layers", rnn_layers)
        self.rnn_type, self.bidirectional = rnn_type, flag("bidirectional", bidirectional)
        self._set_options(reproject_words, reproject_words_dimension, dropout, word_dropout, locked_dropout, fine_tune)
        with seeded(seed):
            size = self._make_reprojection()
            self.rnn = PaddedRNN(
                size,
                self.hidden_size,
                num_layers=self.rnn_layers,
                rnn_type=rnn_type,
                bidirectional=self.bidirectional,
            )
        self._finish()

    @property
    def embedding_length(self) -> int:
        """Features D of a sentence."""
        return self.hidden_size * (4 if self.bidirectional else 1)

    def forward(self, inputs: Inputs, lengths: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, D); see `DocumentEmbeddings.forward`."""
        features = self._embed_words(inputs, lengths, generator)  # (B, T, D)
        features = self._drop_words(features, generator)
        if self.reprojection is not None:
            features = self.reprojection(features)
        states = self.rnn(features, lengths)  # (B, T, H)
        last = last_states(states, lengths)  # (B, H)
        ends = torch.stack((states[:, 0], last), dim=1) if self.bidirectional else last.unsqueeze(1)  # (B, 2 or 1, H)
        return self._drop_output(ends, generator)


@register_embeddings
class DocumentCNNEmbeddings(_ReadingEmbeddings):
    """The maximum, over all windows of words, of each of several convolutions.

    A sentence that is shorter than the widest convolution is filled up with zero vectors. (In Flair, every sentence is
    filled up to the longest one of its batch, so that its vector depends on the batch; that of a single sentence is the
    same.) Source: Kim, Convolutional Neural Networks for Sentence Classification, 2014.

    Args:
        embeddings: One or several embeddings of the words.
        kernels: Pairs of the number of convolutions and the words in their windows.
        reproject_words: Apply a linear layer to the vectors of the words first.
        reproject_words_dimension: Output features of that layer; as many as its input features if None.
        dropout: Probability of dropping a single feature in training, before and after the convolutions.
        word_dropout: Probability of dropping a word, before the convolutions.
        locked_dropout: Probability of dropping a feature in all words of a sentence, before and after the convolutions.
        fine_tune: Train the convolutions and the embeddings of the words.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a setting or the embeddings are invalid.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings | Iterable[TokenEmbeddings],
        kernels: Iterable[Sequence[int]] = ((100, 3), (100, 4), (100, 5)),
        reproject_words: bool = True,
        reproject_words_dimension: int | None = None,
        dropout: float = 0.5,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
        fine_tune: bool = True,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(stack(embeddings, owner="DocumentCNNEmbeddings"))
        self.name, self.kernels = "document_cnn", _check_kernels(kernels)
        self._set_options(reproject_words, reproject_words_dimension, dropout, word_dropout, locked_dropout, fine_tune)
        with seeded(seed):
            size = self._make_reprojection()
            self.convs = nn.ModuleList(nn.Conv1d(size, count, width) for count, width in self.kernels)
        self._finish()

    @property
    def embedding_length(self) -> int:
        """Features D of a sentence: one of each convolution."""
        return sum(count for count, _ in self.kernels)

    def forward(self, inputs: Inputs, lengths: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, D); see `DocumentEmbeddings.forward`."""
        features = self._embed_words(inputs, lengths, generator)  # (B, T, D)
        features = self._drop_words(features, generator)
        is_padding = torch.arange(features.shape[1]) >= lengths.unsqueeze(1)  # (B, T)
        features = features.masked_fill(copy_to(is_padding, features.device).unsqueeze(2), 0.0)
        shortest = max(width for _, width in self.kernels)
        if features.shape[1] < shortest:
            features = nn.functional.pad(features, (0, 0, 0, shortest - features.shape[1]))
        if self.reprojection is not None:
            features = self.reprojection(features)  # also of what sentences are filled up with, as in Flair
        columns = features.transpose(1, 2)  # (B, D, T)
        sizes = lengths.clamp_min(shortest).unsqueeze(1)  # (B, 1)
        found = []
        for conv in self.convs:
            values = conv(columns).relu()  # (B, K, T - width + 1)
            is_beyond = torch.arange(values.shape[2]) + conv.kernel_size[0] > sizes  # type: ignore[index]
            values = values.masked_fill(copy_to(is_beyond, values.device).unsqueeze(1), 0.0)  # others are at least 0
            found.append(values.amax(dim=2))
        return self._drop_output(torch.cat(found, dim=1).unsqueeze(1), generator)


def _check_kernels(kernels: Any) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [(count, width) for count, width in kernels]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise SettingError(f"kernels must be pairs of a number of convolutions and their width, got {kernels!r:.80}")
    return tuple((check_size("kernels", count), check_size("kernels", width)) for count, width in pairs)
