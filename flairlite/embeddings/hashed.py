"""Trained vectors without a dictionary: for hashes of words, and of parts of words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.embeddings.packed_words import PackedWords
from flairlite.embeddings.ragged import Ragged, code_points
from flairlite.embeddings.registry import register_embeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.runtime import get_device, seeded

_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # of the FNV-1a hash
_BEGIN, _END = 0x02, 0x03  # code points that stand around a word, so that a prefix differs from what is inside


@register_embeddings
class SubwordEmbeddings(TokenEmbeddings):
    """Makes the vector of a word from those of its parts: all runs of some characters, and the whole of it.

    So a word that was never seen has the vector of its beginning, its ending and what is between, which word vectors
    cannot give. The vectors are trained with the model, and parts share them where their hashes meet, so that there is
    no vocabulary to build, to keep or to download. Source: Bojanowski et al., Enriching Word Vectors with Subword
    Information, 2017.

    Args:
        embedding_length: Features D of a vector.
        num_embeddings: Vectors that the parts share; several times as many as there are frequent parts.
        min_length: Characters of the shortest part, with the two marks that stand around a word.
        max_length: Characters of the longest part.
        name: What to call the embedding.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        SettingError: when a number is less than 1, or the shortest part is longer than the longest.
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
        if not (1 <= min_length <= max_length and num_embeddings >= 1 and embedding_length >= 1):
            raise SettingError(
                "SubwordEmbeddings needs at least 1 embedding and feature and 1 <= min_length <= max_length; got "
                f"{num_embeddings=}, {embedding_length=}, {min_length=}, {max_length=}"
            )
        self.name, self.num_embeddings = name, num_embeddings
        self.min_length, self.max_length = min_length, max_length
        with seeded(seed):
            self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_length).uniform_(-0.1, 0.1))
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.weight.shape[1]

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up the parts of U distinct words; padding has none."""
        hashes, owners = _parts(words, self.min_length, self.max_length)
        values = (hashes % np.uint64(self.num_embeddings)).astype(np.int64)
        order = np.argsort(owners, kind="stable")
        return Ragged.pack(values[order], np.bincount(owners, minlength=len(words) + 1))

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the parts of the distinct words of a batch.

        Returns:
            Numbers (B, T) of the distinct words; the parts of these, one after the other; where those of each begin.
        """
        parts: Ragged = table
        ids = word_ids.cpu().long()  # (B, T); waits for a device that holds the data set
        distinct, numbers = torch.unique(ids, return_inverse=True)  # (V,), (B, T)
        return numbers, *parts.joined(distinct)

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Make vectors (B, T, D): the mean of the parts'."""
        numbers, parts, starts = inputs
        vectors = nn.functional.embedding_bag(parts, self.weight, starts, mode="mean")  # (V, D); zero without parts
        return nn.functional.embedding(numbers, vectors)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings."""
        return {
            "embedding_length": self.embedding_length,
            "num_embeddings": self.num_embeddings,
            "min_length": self.min_length,
            "max_length": self.max_length,
            "name": self.name,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> SubwordEmbeddings:
        """Build the embedding again."""
        return cls(**params)


@register_embeddings
class HashEmbeddings(TokenEmbeddings):
    """Gives each word one of a few vectors, chosen by its hash, which are trained from scratch.

    Words whose hashes meet look the same; `SubwordEmbeddings` tells them apart.

    Args:
        num_embeddings: How many vectors there are.
        embedding_length: Features D of a vector.
        hash_method: A hash of Python's `hashlib`.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        SettingError: when there is no such hash.
    """

    def __init__(
        self,
        num_embeddings: int = 1000,
        embedding_length: int = 300,
        hash_method: str = "md5",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if hash_method not in hashlib.algorithms_available:
            known = ", ".join(sorted(hashlib.algorithms_guaranteed))
            raise SettingError(f"hash_method must be one of {known}, not {hash_method!r}")
        self.name, self.num_embeddings, self.hash_method = "hash", num_embeddings, hash_method
        with seeded(seed):
            self.embedding_layer = nn.Embedding(num_embeddings, embedding_length)
            nn.init.xavier_uniform_(self.embedding_layer.weight)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.embedding_layer.embedding_dim

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words: their rows (U + 1,)."""
        return torch.tensor([*map(self._row, words), 0])

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the rows (B, T)."""
        return table[word_ids.long()]

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Make vectors (B, T, D)."""
        vectors: Tensor = self.embedding_layer(inputs)
        return vectors

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings."""
        return {
            "num_embeddings": self.num_embeddings,
            "embedding_length": self.embedding_length,
            "hash_method": self.hash_method,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> HashEmbeddings:
        """Build the embedding again."""
        return cls(params["num_embeddings"], params["embedding_length"], params["hash_method"])

    def _row(self, word: str) -> int:
        digest = hashlib.new(self.hash_method, word.encode("utf-8", "surrogatepass"), usedforsecurity=False)
        return int(digest.hexdigest(), 16) % self.num_embeddings


def _parts(words: Sequence[str], min_length: int, max_length: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of all parts of all words, and the number of the word of each; empty words have none."""
    codes, lengths = code_points(words)
    marked = lengths + 2 * (lengths > 0)  # characters of each word with its marks
    ends = np.cumsum(marked)
    text = np.full(ends[-1] if len(ends) else 0, _END, np.uint64)  # (M,)
    starts = (ends - marked)[lengths > 0]
    text[starts] = _BEGIN
    owner = np.repeat(np.arange(len(words)), marked)  # (M,)
    is_inside = np.ones(len(text), bool)
    is_inside[starts] = is_inside[ends[lengths > 0] - 1] = False
    text[is_inside] = codes
    left = np.repeat(ends, marked) - np.arange(len(text))  # (M,) characters to the end of the word
    state = np.full(len(text), _SEED)
    place = np.arange(len(text))
    hashes, owners = [PackedWords.pack(words).hashes()[lengths > 0]], [np.flatnonzero(lengths)]  # the whole words
    for length in range(1, max_length + 1):
        place = place[left[place] >= length]  # where a part of this length begins
        state[place] = (state[place] ^ text[place + length - 1]) * _PRIME
        if length >= min_length:
            hashes.append(state[place])
            owners.append(owner[place])
    return np.concatenate(hashes), np.concatenate(owners)
