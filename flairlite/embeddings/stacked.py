"""Concatenation of several embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.checks import flag
from flairlite.embeddings.base import (
    Inputs,
    TokenEmbeddings,
    embedding_from_params,
    embedding_to_params,
    register_embeddings,
)
from flairlite.encoding import Batch, ContextWindow, EncodedDataset, Table
from flairlite.errors import SettingError


@register_embeddings
class StackedEmbeddings(TokenEmbeddings):
    """Concatenates the vectors of several embeddings.

    `embed` stores the vector of each part under its index and name, such as `0-glove`; the parts keep their names.

    Args:
        embeddings: At least one embedding.
        overwrite_names: Put the index of a part before its name. Otherwise parts with the same name are an error.

    Raises:
        SettingError: If `embeddings` is not a list of embeddings of words, their names collide, or they read different
            context.
    """

    def __init__(self, embeddings: Iterable[TokenEmbeddings], overwrite_names: bool = True) -> None:
        super().__init__()
        embeddings = _to_parts(embeddings, "StackedEmbeddings")
        self.embeddings = nn.ModuleList(embeddings)
        self.overwrite_names = flag("overwrite_names", overwrite_names)
        self.name = "Stack"
        names = [name for part in self.parts for name in part.get_names()]
        if len({part.context for part in self.parts} - {None}) > 1:
            raise SettingError("the parts read different context: give them the same use_context")
        if not overwrite_names and len(set(names)) < len(names):
            raise SettingError(f"two parts have the same name, {', '.join(names)}: remove overwrite_names=False")
        self.eval()

    @property
    def parts(self) -> list[TokenEmbeddings]:
        """The embeddings, in order."""
        return [part for part in self.embeddings if isinstance(part, TokenEmbeddings)]

    @property
    def embedding_length(self) -> int:
        """Features D of a word: the sum over the parts."""
        return sum(part.embedding_length for part in self.parts)

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types that the parts need, each once."""
        return tuple(dict.fromkeys(field for part in self.parts for field in part.fields))

    @property
    def context(self) -> ContextWindow | None:
        """The words of neighbouring sentences that parts read."""
        return next((part.context for part in self.parts if part.context is not None), None)

    @property
    def is_contextual(self) -> bool:
        """Whether the vectors of a part depend on the sentence."""
        return any(part.is_contextual for part in self.parts)

    @property
    def has_memory(self) -> bool:
        """Whether the vectors of a part depend on the sentences that were read before."""
        return any(part.has_memory for part in self.parts)

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether the shapes of the inputs depend only on the shape of the batch, not on its words."""
        return all(part.has_fixed_shapes for part in self.parts)

    def lengths_by_name(self) -> dict[str, int]:
        """Return the features of each part, in order."""
        width = len(str(len(self.parts) - 1))  # sorted by name, the parts keep their order
        return {
            f"{index:0{width}d}-{name}" if self.overwrite_names else name: length
            for index, part in enumerate(self.parts)
            for name, length in part.lengths_by_name().items()
        }

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words in every part."""
        return tuple(part.index(words, fields) if part.fields else part.index(words) for part in self.parts)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of each part for a batch with word ids (B, T)."""
        return tuple(part.select(rows, word_ids) for part, rows in zip(self.parts, table, strict=True))

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of each part for a batch."""
        pairs = zip(self.parts, batch.table, strict=True)
        return tuple(part.select_batch(replace(batch, table=rows), generator) for part, rows in pairs)

    def count_subwords(self, dataset: EncodedDataset) -> Tensor | None:
        """Return the subwords of each sentence, (S,), of the part that reads most."""
        pairs = zip(self.parts, dataset.table, strict=True)
        counts = [part.count_subwords(replace(dataset, table=rows)) for part, rows in pairs]
        known = [count for count in counts if count is not None]
        return torch.stack(known).amax(0) if known else None

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the tables of the parts for a data set that is read many times."""
        pairs = zip(self.parts, dataset.table, strict=True)
        return tuple(part.prepare(replace(dataset, table=rows)) for part, rows in pairs)

    def remember(self, dataset: EncodedDataset) -> Table:
        """Let the parts take up all words of a data set; see `Embeddings.remember`."""
        pairs = zip(self.parts, dataset.table, strict=True)
        return tuple(part.remember(replace(dataset, table=rows)) for part, rows in pairs)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        pairs = zip(self.parts, inputs, strict=True)
        return torch.cat([part(selected, lengths, generator) for part, selected in pairs], dim=2)

    def precompute(self, table: Table) -> Table:
        """Return the table with the vectors of the parts that compute them; see `Embeddings.precompute`."""
        return tuple(part.precompute(rows) for part, rows in zip(self.parts, table, strict=True))

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words (U + 1,) each part has no vector for."""
        found: dict[str, Tensor] = {}
        for index, (part, rows) in enumerate(zip(self.parts, table, strict=True)):
            for name, is_unknown in part.unknown_words(rows).items():
                found[f"{index}-{name}" if name in found else name] = is_unknown
        return found

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the parameters of the parts."""
        parts = [embedding_to_params(part, whole=whole) for part in self.parts]
        return {"parts": parts, "overwrite_names": self.overwrite_names}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> StackedEmbeddings:
        """Build the embedding from the result of `to_params`."""
        parts = [embedding_from_params(part) for part in params["parts"]]
        return cls(parts, overwrite_names=bool(params.get("overwrite_names", True)))


def stack(embeddings: TokenEmbeddings | Iterable[TokenEmbeddings], *, owner: str) -> TokenEmbeddings:
    """Return a single embedding unchanged, and several as a stack.

    Args:
        embeddings: One or several embeddings.
        owner: The name of the class that they are given to, for errors.

    Raises:
        SettingError: If `embeddings` is something else.
    """
    if isinstance(embeddings, TokenEmbeddings):
        return embeddings
    return StackedEmbeddings(_to_parts(embeddings, owner))


def _to_parts(embeddings: Any, owner: str) -> list[TokenEmbeddings]:
    if isinstance(embeddings, TokenEmbeddings):
        return [embeddings]
    is_list = isinstance(embeddings, Iterable) and not isinstance(embeddings, (str, bytes, Mapping))
    parts = list(embeddings) if is_list else [embeddings]
    if others := [type(part).__name__ for part in parts if not isinstance(part, TokenEmbeddings)]:
        raise SettingError(
            f"{owner} takes a list of embeddings of words, but got {', '.join(dict.fromkeys(others))}: write, for "
            f"example, {owner}([WordEmbeddings('glove')])"
        )
    if not parts:
        raise SettingError(f"{owner} needs at least one embedding, but got an empty list")
    return parts
