"""What every token embedding does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.data import Sentence
from flairlite.encoding import Table, copy_to, map_tensors, number_words

Inputs = Any  # tensors, or nested tuples of them, whose first two dimensions are (B, T) or that know them


class TokenEmbeddings(nn.Module, ABC):
    """Turns words into vectors.

    It has three verbs. `index` turns strings into numbers, once for the distinct words of a data set; its result, the
    table, belongs to the data set. `select` picks what a batch needs from the table, where the table lies. `forward`
    makes vectors of that, on the module's device.
    """

    name: str

    @property
    @abstractmethod
    def embedding_length(self) -> int:
        """Features D of a word."""

    @abstractmethod
    def index(self, words: Sequence[str]) -> Table:
        """Look up U distinct words; the result has U + 1 rows, the last for padding."""

    @abstractmethod
    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick what the words (B, T) of a batch need."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Make vectors (B, T, D) of what `select` picked."""

    @abstractmethod
    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return what is needed to build this embedding again, as plain containers and tensors.

        Args:
            whole: Put fixed vectors in; otherwise only the name that the cache has for them, where it has them.
        """

    @classmethod
    @abstractmethod
    def from_params(cls, params: Mapping[str, Any]) -> TokenEmbeddings:
        """Build an embedding from what `to_params` returned."""

    @torch.no_grad()
    def embed(self, sentences: Sentence | Sequence[Sentence]) -> list[Sentence]:
        """Compute a vector for every token; `token.embedding` then has it, a row of its sentence's matrix (T, D)."""
        listed = [sentences] if isinstance(sentences, Sentence) else list(sentences)
        words, ids = number_words(listed)
        if not words:
            return listed
        inputs = self.select(self.index(words), torch.from_numpy(ids).unsqueeze(0))
        device = next((tensor.device for tensor in self.parameters()), torch.device("cpu"))
        vectors = self(map_tensors(lambda tensor: copy_to(tensor, device), inputs))[0]  # (N, D)
        for sentence, matrix in zip(listed, vectors.split([len(sentence) for sentence in listed]), strict=True):
            sentence.set_token_embeddings(self.name, matrix)
        return listed
