"""Several embeddings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.embeddings.registry import embedding_from_params, embedding_to_params, register_embeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError


@register_embeddings
class StackedEmbeddings(TokenEmbeddings):
    """Joins the vectors of several embeddings.

    `embed` leaves the vector of each part under a name of its own, `0-glove` and so on; the parts keep their names.

    Args:
        embeddings: At least one embedding.
        overwrite_names: Put the place of the part before its name; without, parts of the same name are an error.
    """

    def __init__(self, embeddings: Sequence[TokenEmbeddings], overwrite_names: bool = True) -> None:
        super().__init__()
        if not embeddings:
            raise SettingError("StackedEmbeddings needs at least one embedding, but got an empty list")
        if others := [type(part).__name__ for part in embeddings if not isinstance(part, TokenEmbeddings)]:
            raise SettingError(f"StackedEmbeddings takes a list of embeddings, but got {', '.join(others)} in it")
        self.embeddings = nn.ModuleList(embeddings)
        self.overwrite_names = overwrite_names
        self.name = "Stack"
        names = [name for part in self.parts for name in part.get_names()]
        if not overwrite_names and len(set(names)) < len(names):
            raise SettingError(f"two parts have the same name, {', '.join(names)}: leave overwrite_names=False out")
        self.eval()

    @property
    def parts(self) -> list[TokenEmbeddings]:
        """The embeddings, in order."""
        return [part for part in self.embeddings if isinstance(part, TokenEmbeddings)]

    @property
    def embedding_length(self) -> int:
        """Features D of a word: the sum of the parts'."""
        return sum(part.embedding_length for part in self.parts)

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types that the parts want, each once."""
        return tuple(dict.fromkeys(field for part in self.parts for field in part.fields))

    def lengths_by_name(self) -> dict[str, int]:
        """Return the features of each part, in order."""
        width = len(str(len(self.parts) - 1))  # names sort as the parts do
        return {
            f"{place:0{width}d}-{name}" if self.overwrite_names else name: length
            for place, part in enumerate(self.parts)
            for name, length in part.lengths_by_name().items()
        }

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words in every part."""
        return tuple(part.index(words, fields) if part.fields else part.index(words) for part in self.parts)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick what the words (B, T) of a batch need, part by part."""
        return tuple(part.select(rows, word_ids) for part, rows in zip(self.parts, table, strict=True))

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Make vectors (B, T, D)."""
        return torch.cat([part(chosen) for part, chosen in zip(self.parts, inputs, strict=True)], dim=2)

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Tell which words each part has no vector for."""
        found: dict[str, Tensor] = {}
        for part, rows in zip(self.parts, table, strict=True):
            found |= part.unknown_words(rows)
        return found

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the parameters of the parts."""
        parts = [embedding_to_params(part, whole=whole) for part in self.parts]
        return {"parts": parts, "overwrite_names": self.overwrite_names}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> StackedEmbeddings:
        """Build the parts again."""
        parts = [embedding_from_params(part) for part in params["parts"]]
        return cls(parts, overwrite_names=bool(params.get("overwrite_names", True)))


def stack(embeddings: TokenEmbeddings | Sequence[TokenEmbeddings]) -> TokenEmbeddings:
    """Return one embedding as it is, and several as a stack."""
    return embeddings if isinstance(embeddings, TokenEmbeddings) else StackedEmbeddings(embeddings)
