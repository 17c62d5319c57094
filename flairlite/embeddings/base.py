"""What every embedding does, of words and of whole sentences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from flairlite.batching import bucketed_batches
from flairlite.data import Sentence
from flairlite.embeddings.registry import embedding_to_params, load_embeddings, register_embeddings
from flairlite.encoding import Table, encode, index_words
from flairlite.nn.functional import evaluating
from flairlite.tensors import copy_to, map_tensors

__all__ = ["DocumentEmbeddings", "Embeddings", "Inputs", "TokenEmbeddings", "load_embeddings", "register_embeddings"]

Inputs = Any  # tensors, or nested tuples of them, whose first two dimensions are (B, T) or that know them

_CHUNK = 16384  # words embedded at once


class Embeddings(nn.Module, ABC):
    """Turns words, or sentences, into vectors.

    It has three verbs. `index` turns strings into numbers, once for the distinct words of a data set; its result, the
    table, belongs to the data set. `select` picks what a batch needs from the table, where the table lies. `forward`
    makes vectors of that, on the module's device.
    """

    name: str
    embedding_type: ClassVar[str]

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # Flair's scripts write Embeddings[Sentence]

    @property
    @abstractmethod
    def embedding_length(self) -> int:
        """Features D of a vector."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types of tokens that `index` wants beside the words."""
        return ()

    @property
    def static_embeddings(self) -> bool:
        """Whether training leaves the vectors as they are."""
        return not any(weight.requires_grad for weight in self.parameters())

    def get_names(self) -> list[str]:
        """Return the names under which `embed` leaves vectors."""
        return [self.name]

    @abstractmethod
    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words; the result has U + 1 rows, the last for padding.

        Args:
            words: The words.
            fields: For each label type in `fields` that this embedding asks for, the label of each of these words;
                those that ask for none are not given any.
        """

    @abstractmethod
    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick what the words (B, T) of a batch need."""

    def compact(self) -> None:
        """Use tables of fixed vectors, from now on, in the precision in which a model file holds them."""

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Tell, by the name of an embedding, which words (U + 1,) of a table it has no vector for."""
        return {}

    @abstractmethod
    def embed(self, data_points: Sentence | Sequence[Sentence]) -> list[Sentence]:
        """Compute vectors and leave them with the tokens or the sentences, without dropout and gradients."""

    @abstractmethod
    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return what is needed to build this embedding again, as plain containers and tensors, without its weights.

        Args:
            whole: Put fixed vectors in; otherwise only the name that the cache has for them, where it has them.
        """

    @classmethod
    @abstractmethod
    def from_params(cls, params: Mapping[str, Any]) -> Embeddings:
        """Build an embedding from what `to_params` returned."""

    def save_embeddings(self, use_state_dict: bool = True) -> dict[str, Any]:
        """Return this embedding as plain containers and tensors, with its weights or without; see `load_embeddings`."""
        weights = {"state_dict": self.state_dict()} if use_state_dict else {}
        return {**embedding_to_params(self), **weights}

    @property
    def _device(self) -> torch.device:
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    def _inputs(self, table: Table, word_ids: Tensor) -> Inputs:
        return map_tensors(lambda tensor: copy_to(tensor, self._device), self.select(table, word_ids))


class TokenEmbeddings(Embeddings):
    """Turns words into vectors."""

    embedding_type = "word-level"

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Make vectors (B, T, D) of what `select` picked."""

    def lengths_by_name(self) -> dict[str, int]:
        """Return the features of each vector that `embed` leaves, in the order in which `forward` joins them."""
        return {self.name: self.embedding_length}

    def get_names(self) -> list[str]:
        """Return the names under which `embed` leaves vectors."""
        return list(self.lengths_by_name())

    @torch.no_grad()
    def embed(self, data_points: Sentence | Sequence[Sentence]) -> list[Sentence]:
        """Compute a vector for every token; `token.embedding` then has it, a row of its sentence's matrix (T, D)."""
        listed = [data_points] if isinstance(data_points, Sentence) else list(data_points)
        if not any(sentence.words for sentence in listed):
            return listed
        table, ids = index_words(listed, self.index, self.fields)
        with evaluating(self):
            chunks = torch.split(torch.from_numpy(ids).unsqueeze(0), _CHUNK, dim=1)
            vectors = torch.cat([self(self._inputs(table, chunk))[0] for chunk in chunks])  # (N, D)
        lengths = [len(sentence) for sentence in listed]
        parts = torch.split(vectors, list(self.lengths_by_name().values()), dim=1)
        for name, part in zip(self.get_names(), parts, strict=True):
            for sentence, matrix in zip(listed, torch.split(part, lengths), strict=True):
                sentence.set_token_embeddings(name, matrix)
        return listed


class DocumentEmbeddings(Embeddings):
    """Turns sentences into vectors, by way of the vectors of their words; that of an empty sentence is zero.

    Args:
        embeddings: The embeddings of the words.
    """

    embedding_type = "sentence-level"

    def __init__(self, embeddings: TokenEmbeddings) -> None:
        super().__init__()
        self.embeddings = embeddings

    @abstractmethod
    def forward(self, inputs: Inputs, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Make vectors (B, D) of what `select` picked.

        Args:
            inputs: What `select` picked.
            lengths: (B,) words a sentence, at least 1, on the CPU.
            generator: Decides what dropout drops, on the module's device.
        """

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types of tokens that the embeddings of the words want."""
        return self.embeddings.fields

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words."""
        return self.embeddings.index(words, fields) if self.fields else self.embeddings.index(words)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick what the words (B, T) of a batch need."""
        return self.embeddings.select(table, word_ids)

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Tell which words the embeddings of the words have no vector for."""
        return self.embeddings.unknown_words(table)

    def _words(self, inputs: Inputs) -> Tensor:
        """Make the vectors of the words, (B, T, D), in the precision of the module's own weights."""
        vectors: Tensor = self.embeddings(inputs)
        weight = next(self.parameters(), None)
        return vectors if weight is None else vectors.to(weight.dtype)

    @torch.no_grad()
    def embed(self, data_points: Sentence | Sequence[Sentence]) -> list[Sentence]:
        """Compute a vector for every sentence; `sentence.embedding` then has it, (D,)."""
        listed = [data_points] if isinstance(data_points, Sentence) else list(data_points)
        encoded = encode(listed, self.index, fields=self.fields)
        vectors = torch.zeros(len(listed), self.embedding_length, device=self._device)  # (S, D)
        with evaluating(self):
            for indices in bucketed_batches(encoded.lengths, 64):
                batch = encoded.batch(indices)
                found = self(self._inputs(batch.table, batch.word_ids), batch.lengths)
                vectors[indices.to(vectors.device)] = found.to(vectors.dtype)
        for sentence, vector in zip(listed, vectors, strict=True):
            sentence.set_embedding(self.name, vector)
        return listed
