"""Embeddings of the character n-grams of words, found by hash, so that they need no vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, check_size, register_embeddings
from flairlite.embeddings.per_word import PerWordEmbeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.parts import find_affixes, find_parts
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to


@register_embeddings
class SubwordEmbeddings(PerWordEmbeddings):
    """The mean of trained vectors of the parts of a word: all its character n-grams, and the whole word.

    A word that does not occur in training is represented by the n-grams that do, which word vectors cannot do. N-grams
    are hashed, and those with the same hash value share a vector, so that there is no vocabulary to build, store or
    download. Source: Bojanowski et al., Enriching Word Vectors with Subword Information, 2017.

    Args:
        embedding_length: Features D of a vector.
        num_embeddings: Number of vectors; it should be several times the number of frequent n-grams.
        min_length: Characters of the shortest n-grams, including the two marks around a word.
        max_length: Characters of the longest n-grams.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a number is less than 1, or `min_length` is greater than `max_length`.
    """

    def __init__(
        self,
        embedding_length: int = 50,
        num_embeddings: int = 50_000,
        min_length: int = 3,
        max_length: int = 5,
        name: str = "subwords",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.num_embeddings = name, check_size("num_embeddings", num_embeddings)
        self.min_length, self.max_length = check_size("min_length", min_length), check_size("max_length", max_length)
        if self.min_length > self.max_length:
            raise SettingError(f"min_length must be at most max_length, got {min_length} and {max_length}")
        shape = (self.num_embeddings, check_size("embedding_length", embedding_length))
        with seeded(seed):
            self.weight = nn.Parameter(torch.empty(shape).uniform_(-0.1, 0.1))
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.weight.shape[1]

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the hash values of the parts of U distinct words; padding has no parts."""
        return find_parts(words, self.min_length, self.max_length, self.num_embeddings)

    def select_words(self, table: Ragged, rows: Tensor) -> Inputs:
        """Return the concatenated parts of V words, and (V,) the start of each word's parts."""
        return tuple(map(torch.from_numpy, table.join(rows.numpy())))

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        parts, starts = inputs
        return nn.functional.embedding_bag(parts, self.weight, starts, mode="mean")  # zero without parts


@register_embeddings
class AffixEmbeddings(PerWordEmbeddings):
    """Trained vectors of the prefixes and suffixes of a word, concatenated: 1 to n characters from each end.

    Affixes are those of the word in lower case with each digit as `0`. A word shorter than an affix is itself the
    affix. Affixes are hashed, and those with the same hash value share a vector, so that there is no vocabulary to
    build or store. The hash values are the same in all processes and on all machines.

    Args:
        max_length: Characters n of the longest affixes.
        embedding_length: Features of each affix; a word has 2 * `max_length` times as many.
        num_embeddings: Number of vectors, for all affixes together; it should be several times the number of frequent
            affixes.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a number is less than 1.
    """

    def __init__(
        self,
        max_length: int = 4,
        embedding_length: int = 12,
        num_embeddings: int = 30_000,
        name: str = "affixes",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.max_length = name, check_size("max_length", max_length)
        self.num_embeddings = check_size("num_embeddings", num_embeddings)
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
        return 2 * self.max_length * self.weight.shape[1]

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1, 2 * n) of the prefixes of U distinct words, from short to long, and the suffixes."""
        return torch.from_numpy(find_affixes(words, self.max_length, self.num_embeddings))

    def select_words(self, table: Tensor, rows: Tensor) -> Inputs:
        """Return the rows (V, 2 * n) of the affixes of V words."""
        return table[copy_to(rows, table.device)]

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        return nn.functional.embedding(inputs, self.weight, padding_idx=self.num_embeddings).flatten(1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings."""
        return {**super().to_params(whole=whole), "embedding_length": self.weight.shape[1]}
