"""The base class of embeddings that compute the vector of a word from the word alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.encoding import Table
from flairlite.tensors import copy_to

_MAX_VALUES = 1 << 26  # of a table of computed vectors, 256 MB; larger tables are computed batch by batch


@dataclass(frozen=True)
class ComputedVectors:
    """A table of the finished vectors of U distinct words.

    Attributes:
        vectors: (U + 1, D), the last row for padding.
    """

    vectors: Tensor

    def __len__(self) -> int:
        return len(self.vectors)


class PerWordEmbeddings(TokenEmbeddings):
    """Token embeddings that compute one vector for each distinct word of a batch.

    For prediction, `precompute` turns a table into the vectors of its words, which `select` then only picks.
    """

    @abstractmethod
    def select_words(self, table: Any, rows: Tensor) -> Inputs:
        """Return the inputs of the words at `rows` (V,) of a table, in CPU memory."""

    @abstractmethod
    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D) of V words."""

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of the V distinct words of a batch.

        Returns:
            (B, T) the index of each word among the distinct words, and the result of `select_words`; or the vectors
            (B, T, D), if the table is a result of `precompute`.
        """
        if isinstance(table, ComputedVectors):
            return nn.functional.embedding(copy_to(word_ids, table.vectors.device), table.vectors)
        ids = word_ids.cpu().long()  # (B, T); waits for the device if the data set is on it
        distinct, inverse = torch.unique(ids, return_inverse=True)  # (V,), (B, T)
        return inverse, self.select_words(table, distinct)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        if isinstance(inputs, Tensor):
            return inputs
        indices, words = inputs
        return nn.functional.embedding(indices, self.embed_words(words))

    @torch.no_grad()
    def precompute(self, table: Table) -> Table:
        """Return the vectors of all words of a table, if they fit into 256 MB; otherwise the table itself."""
        num_rows = len(table[0] if isinstance(table, tuple) else table)
        if isinstance(table, ComputedVectors) or num_rows * self.embedding_length > _MAX_VALUES:
            return table
        return ComputedVectors(self._embed_words_alone(table, torch.arange(num_rows)))
