"""Several embeddings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError


class StackedEmbeddings(TokenEmbeddings):
    """Joins the vectors of several embeddings.

    Args:
        embeddings: At least one embedding.
    """

    def __init__(self, embeddings: Sequence[TokenEmbeddings]) -> None:
        super().__init__()
        if not embeddings:
            raise SettingError("StackedEmbeddings needs at least one embedding, but got an empty list")
        if others := [type(part).__name__ for part in embeddings if not isinstance(part, TokenEmbeddings)]:
            raise SettingError(f"StackedEmbeddings takes a list of embeddings, but got {', '.join(others)} in it")
        self.embeddings = nn.ModuleList(embeddings)
        self.name = "Stack"

    @property
    def parts(self) -> list[TokenEmbeddings]:
        """The embeddings, in order."""
        return [part for part in self.embeddings if isinstance(part, TokenEmbeddings)]

    @property
    def embedding_length(self) -> int:
        """Features D of a word: the sum of the parts'."""
        return sum(part.embedding_length for part in self.parts)

    def index(self, words: Sequence[str]) -> Table:
        """Look up U distinct words in every part."""
        return tuple(part.index(words) for part in self.parts)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick what the words (B, T) of a batch need, part by part."""
        return tuple(part.select(rows, word_ids) for part, rows in zip(self.parts, table, strict=True))

    def forward(self, inputs: Inputs) -> Tensor:
        """Make vectors (B, T, D)."""
        return torch.cat([part(chosen) for part, chosen in zip(self.parts, inputs, strict=True)], dim=2)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the parameters of the parts."""
        from flairlite.embeddings.registry import embedding_to_params

        return {"parts": [embedding_to_params(part, whole=whole) for part in self.parts]}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> StackedEmbeddings:
        """Build the parts again."""
        from flairlite.embeddings.registry import embedding_from_params

        return cls([embedding_from_params(part) for part in params["parts"]])
