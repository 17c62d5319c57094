"""Embeddings computed from the characters of words, for words of any spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.base import Inputs, TokenEmbeddings, check_size, register_embeddings
from flairlite.embeddings.packing import FNV_BASIS, FNV_PRIME, PackedWords, Ragged, to_code_points
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.nn import PaddedRNN, last_states
from flairlite.runtime import get_device, seeded

_SHORTEST = 4  # words of up to 4, 8, 16 ... characters are padded together, so that at most half is padding
_BEGIN, _END = 0x02, 0x03  # code points put around a word, so that a prefix differs from the same characters inside


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
        ids = {ord(item): index for index, item in enumerate(self.char_dictionary.get_items()) if len(item) == 1}
        self._codes = np.array(sorted(ids), dtype=np.int64)
        self._ids = np.array([ids[code] for code in sorted(ids)], dtype=np.int64)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return 2 * self.hidden_size_char

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the character ids of U distinct words; padding has no characters."""
        codes, lengths = to_code_points(words)
        ids = np.full(len(codes), self.char_dictionary.get_idx_for_item(UNKNOWN))
        if len(self._codes):
            positions = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
            is_known = self._codes[positions] == codes
            ids[is_known] = self._ids[positions[is_known]]
        return Ragged.pack(ids, np.append(lengths, 0))

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the characters of the distinct words of a batch, in groups of similar length.

        Returns:
            (B, T) the index of each word in the concatenated groups, from 1, or 0 for words without characters; and for
            each group the characters (V, C), and the lengths (V,) of its words as an array, which stays on the CPU.
        """
        characters: Ragged = table
        ids = word_ids.cpu().long()  # (B, T); waits for the device if the data set is on it
        distinct, inverse = torch.unique(ids, return_inverse=True)  # (V,), (B, T)
        by_length = torch.sort(characters.lengths(distinct), stable=True)
        rows, lengths = distinct[by_length.indices], by_length.values  # (V,)
        position = torch.empty_like(rows)
        num_empty = int((lengths == 0).sum())
        position[by_length.indices] = torch.arange(1 - num_empty, len(rows) + 1 - num_empty)
        groups = []
        start, limit = num_empty, _SHORTEST
        while start < len(rows):
            end = int(torch.searchsorted(lengths, limit, right=True))
            if end > start:
                groups.append((characters.pad(rows[start:end]), lengths[start:end].numpy()))
            start, limit = end, 2 * limit
        return position[inverse].clamp_min_(0), tuple(groups)

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


@register_embeddings
class FlairCharacterEmbeddings(CharacterEmbeddings):
    """`CharacterEmbeddings` that take the states of both directions at the last character, as Flair's do.

    The backward direction has then read only this character. Models that Flair trained expect that; others should use
    `CharacterEmbeddings`, whose backward direction reads the whole word.
    """

    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the states of both directions at the last characters, (V, D), of characters (V, C)."""
        return last_states(self.char_rnn(self.char_embedding(characters), lengths), lengths)


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
        hashes, owners = _hash_parts(words, self.min_length, self.max_length)
        values = (hashes % np.uint64(self.num_embeddings)).astype(np.int64)
        order = np.argsort(owners, kind="stable")
        return Ragged.pack(values[order], np.bincount(owners, minlength=len(words) + 1))

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the parts of the V distinct words of a batch.

        Returns:
            (B, T) the index of each word among the distinct words, their concatenated parts, and (V,) the start of each
            word's parts.
        """
        parts: Ragged = table
        ids = word_ids.cpu().long()  # (B, T); waits for the device if the data set is on it
        distinct, inverse = torch.unique(ids, return_inverse=True)  # (V,), (B, T)
        return inverse, *parts.join(distinct)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        indices, parts, starts = inputs
        vectors = nn.functional.embedding_bag(parts, self.weight, starts, mode="mean")  # (V, D); zero without parts
        return nn.functional.embedding(indices, vectors)


def _hash_parts(words: Sequence[str], min_length: int, max_length: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of all parts of all words, and the index of the word of each; empty words have no parts."""
    codes, lengths = to_code_points(words)
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
    state = np.full(len(text), np.uint64(FNV_BASIS))
    position = np.arange(len(text))
    hashes, owners = [PackedWords.pack(words).hashes()[lengths > 0]], [np.flatnonzero(lengths)]  # of whole words
    for length in range(1, max_length + 1):
        position = position[left[position] >= length]  # where an n-gram of this length begins
        state[position] = (state[position] ^ text[position + length - 1]) * np.uint64(FNV_PRIME)
        if length >= min_length:
            hashes.append(state[position])
            owners.append(owner[position])
    return np.concatenate(hashes), np.concatenate(owners)
