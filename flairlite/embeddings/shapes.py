"""Embeddings of the shape of words: capitals, digits, punctuation and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, check_size, register_embeddings
from flairlite.embeddings.per_word import PerWordEmbeddings
from flairlite.encoding import Table
from flairlite.lookup.shapes import NUM_SHAPE_FEATURES, find_shapes
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to


@register_embeddings
class WordShapeEmbeddings(PerWordEmbeddings):
    """A trained vector of the shape of a word, and fixed binary features of its characters and length.

    The shape has `X` for each capital, `x` for each small letter, `a` for a letter without case, `d` for each digit,
    and other characters as they are. A character that is repeated more than twice is written twice, and the shape ends
    after ten characters: `Berlin` has the shape `Xxx`, `Y2K-proof` has `XdX-xx`. Shapes are hashed, and those with the
    same hash value share a vector. The hash values are the same in all processes and on all machines.

    The binary features are 0 or 1: whether the word begins with a capital, is all capitals, is all small letters, has a
    capital later, has a letter, has a digit, is all digits, has a hyphen, an apostrophe, a full stop, another
    character, has neither letter nor digit, has a character outside of ASCII; and whether it has at least 2, 3, 4, 6, 9
    and 13 characters. Padding has the zero vector.

    Args:
        embedding_length: Features of the trained vector; the binary features are appended to it.
        num_embeddings: Number of vectors; it should be several times the number of frequent shapes.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a number is less than 1.
    """

    def __init__(
        self,
        embedding_length: int = 16,
        num_embeddings: int = 2000,
        name: str = "shape",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.num_embeddings = name, check_size("num_embeddings", num_embeddings)
        shape = (self.num_embeddings + 1, check_size("embedding_length", embedding_length))
        with seeded(seed):
            self.weight = nn.Parameter(torch.empty(shape).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[-1] = 0  # of empty words and padding
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.weight.shape[1] + NUM_SHAPE_FEATURES

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the row (U + 1,) of the shape of U distinct words, and their binary features (U + 1, F) in bytes."""
        rows, features = find_shapes(words, self.num_embeddings)
        return torch.from_numpy(rows), torch.from_numpy(features)

    def select_words(self, table: tuple[Tensor, Tensor], rows: Tensor) -> Inputs:
        """Return the rows (V,) of the shapes of V words, and their binary features (V, F)."""
        return tuple(part[copy_to(rows, part.device)] for part in table)

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        rows, features = inputs
        vectors = nn.functional.embedding(rows, self.weight, padding_idx=self.num_embeddings)
        return torch.cat((vectors, features.to(vectors.dtype)), dim=1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings."""
        return {**super().to_params(whole=whole), "embedding_length": self.weight.shape[1]}
