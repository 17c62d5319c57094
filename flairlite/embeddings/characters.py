"""Embeddings computed from the characters of words, for words of any spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.base import Inputs, TokenEmbeddings, check_size, register_embeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.parts import CharacterIds, find_parts
from flairlite.nn import PaddedRNN, last_states
from flairlite.runtime import get_device, seeded


@register_embeddings
class CharacterEmbeddings(TokenEmbeddings):
    """The last states, in both directions, of a bidirectional LSTM over the characters of a word.

    Each distinct word of a batch is read once. Source: Lample et al., Neural Architectures for Named Entity
    Recognition, 2016.

    Args:
        path_to_char_dict: The known characters: a dictionary, or an argument of `Dictionary.load`; `common-chars` if
            None. It must contain `<unk>`, for all other characters.
        char_embedding_dim: Features of a character.
        hidden_size_char: Features of the state of each direction.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If the dictionary has no `<unk>`, or a number is less than 1.
    """

    def __init__(
        self,
        path_to_char_dict: str | Path | Dictionary | None = None,
        char_embedding_dim: int = 25,
        hidden_size_char: int = 25,
        name: str = "Char",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.char_dictionary = _to_dictionary(path_to_char_dict)
        self.char_embedding_dim = check_size("char_embedding_dim", char_embedding_dim)
        self.hidden_size_char = check_size("hidden_size_char", hidden_size_char)
        with seeded(seed):
            self.char_embedding = nn.Embedding(len(self.char_dictionary), self.char_embedding_dim)
            self.char_rnn = PaddedRNN(self.char_embedding_dim, self.hidden_size_char)
        self._ids = CharacterIds(self.char_dictionary.item2idx, self.char_dictionary.get_idx_for_item(UNKNOWN))
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return 2 * self.hidden_size_char

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the character ids of U distinct words; padding has no characters."""
        return self._ids.find(words)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the characters of the distinct words of a batch, in groups of similar length.

        Returns:
            (B, T) the index of each word in the concatenated groups, from 1, or 0 for words without characters; and for
            each group the characters (V, C), and the lengths (V,) of its words as an array, which stays on the CPU.
        """
        characters: Ragged = table
        ids = word_ids.cpu().numpy()  # (B, T); waits for the device if the data set is on it
        distinct, inverse = np.unique(ids, return_inverse=True)  # (V,), (B x T,)
        positions = np.zeros(len(distinct), dtype=np.int64)
        groups, end = [], 0
        for group in characters.group(distinct):
            start, end = end, end + len(group)
            positions[group] = np.arange(start + 1, end + 1)
            rows = distinct[group]
            groups.append((torch.from_numpy(characters.pad(rows)), characters.lengths(rows)))
        return torch.from_numpy(positions[inverse.reshape(ids.shape)]), tuple(groups)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        positions, groups = inputs
        vectors = [self.char_embedding.weight.new_zeros(1, self.embedding_length)]  # of words without characters
        vectors += [self._read(characters, torch.from_numpy(sizes)) for characters, sizes in groups]
        return nn.functional.embedding(positions, torch.cat([part.to(vectors[-1].dtype) for part in vectors]))

    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the last states of both directions, (V, D), after reading characters (V, C)."""
        states = self.char_rnn(self.char_embedding(characters), lengths)  # (V, C, D)
        last = last_states(states, lengths)[:, : self.hidden_size_char]
        return torch.cat((last, states[:, 0, self.hidden_size_char :]), dim=1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the characters and the sizes."""
        return {
            "characters": self.char_dictionary.get_items(),
            "char_embedding_dim": self.char_embedding_dim,
            "hidden_size_char": self.hidden_size_char,
            "name": self.name,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> CharacterEmbeddings:
        """Build the embedding from the result of `to_params`."""
        characters = Dictionary.from_items(params["characters"])
        return cls(characters, params["char_embedding_dim"], params["hidden_size_char"], params["name"])


def _to_dictionary(given: str | Path | Dictionary | None) -> Dictionary:
    if given is not None and not isinstance(given, (str, Path, Dictionary)):
        raise SettingError(
            f"path_to_char_dict must be a Dictionary or the path of one, got {type(given).__name__}: build one with "
            "Dictionary.from_items(characters, add_unk=True)"
        )
    dictionary = given if isinstance(given, Dictionary) else Dictionary.load(given or "common-chars")
    if not dictionary.has_item(UNKNOWN):
        raise SettingError(f"a dictionary of characters needs {UNKNOWN} for unknown characters: use add_unk=True")
    return dictionary


@register_embeddings
class SubwordEmbeddings(TokenEmbeddings):
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

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the parts of the V distinct words of a batch.

        Returns:
            (B, T) the index of each word among the distinct words, their concatenated parts, and (V,) the start of each
            word's parts.
        """
        parts: Ragged = table
        ids = word_ids.cpu().numpy()  # (B, T); waits for the device if the data set is on it
        distinct, inverse = np.unique(ids, return_inverse=True)  # (V,), (B x T,)
        arrays = (inverse.reshape(ids.shape), *parts.join(distinct))
        return tuple(map(torch.from_numpy, arrays))

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        indices, parts, starts = inputs
        vectors = nn.functional.embedding_bag(parts, self.weight, starts, mode="mean")  # (V, D); zero without parts
        return nn.functional.embedding(indices, vectors)
