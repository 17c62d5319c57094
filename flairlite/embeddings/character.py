"""Embeddings of words by their characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.embeddings.ragged import Ragged, code_points
from flairlite.embeddings.registry import register_embeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.nn import PaddedRNN, last_states
from flairlite.runtime import get_device, seeded

_SHORTEST = 4  # characters: words up to 4, 8, 16 ... make a group, so that at most half of one is padding


@register_embeddings
class CharacterEmbeddings(TokenEmbeddings):
    """Reads the characters of a word with a bidirectional LSTM; its last state in each direction is the vector.

    Each distinct word of a batch is read once. Source: Lample et al., Neural Architectures for Named Entity
    Recognition, 2016.

    Args:
        path_to_char_dict: The characters to tell apart: a dictionary, or what `Dictionary.load` takes; `common-chars`
            when None. It has `<unk>`, for all others.
        char_embedding_dim: Features of a character.
        hidden_size_char: Features of the state of each direction.
        name: What to call the embedding.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        SettingError: when the dictionary has no `<unk>`.
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
        self.char_dictionary = _dictionary(path_to_char_dict)
        self.char_embedding_dim, self.hidden_size_char = char_embedding_dim, hidden_size_char
        with seeded(seed):
            self.char_embedding = nn.Embedding(len(self.char_dictionary), char_embedding_dim)
            self.char_rnn = PaddedRNN(char_embedding_dim, hidden_size_char)
        numbers = {ord(item): place for place, item in enumerate(self.char_dictionary.get_items()) if len(item) == 1}
        self._codes = np.array(sorted(numbers), dtype=np.int64)
        self._numbers = np.array([numbers[code] for code in sorted(numbers)], dtype=np.int64)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return 2 * self.hidden_size_char

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up the characters of U distinct words; padding has none."""
        codes, lengths = code_points(words)
        numbers = np.full(len(codes), self.char_dictionary.get_idx_for_item(UNKNOWN))
        if len(self._codes):
            places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
            is_known = self._codes[places] == codes
            numbers[is_known] = self._numbers[places[is_known]]
        return Ragged.pack(numbers, np.append(lengths, 0))

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the characters of the distinct words of a batch, in groups of about the same length.

        Returns:
            Numbers (B, T) of the words among all groups, from 1, 0 for words without characters; and for each group
            its characters (V, C) with the characters of each word (V,), as an array, which stays on the host.
        """
        characters: Ragged = table
        ids = word_ids.cpu().long()  # (B, T); waits for a device that holds the data set
        distinct, numbers = torch.unique(ids, return_inverse=True)  # (V,), (B, T)
        by_length = torch.sort(characters.lengths(distinct), stable=True)
        rows, lengths = distinct[by_length.indices], by_length.values  # (V,)
        place = torch.empty_like(rows)
        num_empty = int((lengths == 0).sum())
        place[by_length.indices] = torch.arange(1 - num_empty, len(rows) + 1 - num_empty)
        groups = []
        start, limit = num_empty, _SHORTEST
        while start < len(rows):
            end = int(torch.searchsorted(lengths, limit, right=True))
            if end > start:
                groups.append((characters.padded(rows[start:end]), lengths[start:end].numpy()))
            start, limit = end, 2 * limit
        return place[numbers].clamp_min_(0), tuple(groups)

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Make vectors (B, T, D)."""
        numbers, groups = inputs
        vectors = [self.char_embedding.weight.new_zeros(1, self.embedding_length)]  # of words without characters
        vectors += [self._read(characters, torch.from_numpy(lengths)) for characters, lengths in groups]
        return nn.functional.embedding(numbers, torch.cat([part.to(vectors[-1].dtype) for part in vectors]))

    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the last states of both directions, (V, D), over characters (V, C)."""
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
        """Build the embedding again."""
        characters = Dictionary.from_items(params["characters"])
        return cls(characters, params["char_embedding_dim"], params["hidden_size_char"], params["name"])


def _dictionary(given: str | Path | Dictionary | None) -> Dictionary:
    dictionary = given if isinstance(given, Dictionary) else Dictionary.load(given or "common-chars")
    if not dictionary.has_item(UNKNOWN):
        raise SettingError(f"a dictionary of characters needs {UNKNOWN} for those that it has not: use add_unk=True")
    return dictionary
