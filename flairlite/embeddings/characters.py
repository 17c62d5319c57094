"""Embeddings computed from the characters of words, for words of any spelling."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.checks import shown
from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.base import Inputs, check_size, check_sizes, register_embeddings
from flairlite.embeddings.per_word import PerWordEmbeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.parts import CharacterIds
from flairlite.nn import PaddedRNN, PooledConvolutions, last_states
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to

log = logging.getLogger("flairlite")


class _CharacterEmbeddings(PerWordEmbeddings):
    """Embeddings that read the characters of words, in groups of words of similar length.

    Args:
        name: The name of the embedding.
        characters: The known characters: a dictionary with `<unk>`, or what `Dictionary.load` takes.
    """

    def __init__(self, name: str, characters: str | Path | Dictionary | None) -> None:
        super().__init__()
        self.name = name
        self.char_dictionary = _to_dictionary(characters)
        self._ids = CharacterIds(self.char_dictionary.item2idx, self.char_dictionary.get_idx_for_item(UNKNOWN))

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the character ids of U distinct words; padding has no characters."""
        return self._ids.find(words)

    def select_words(self, table: Ragged, rows: Tensor) -> Inputs:
        """Return the characters of words, in groups of similar length.

        Returns:
            (V,) the index of each word in the concatenated groups, from 1, or 0 for words without characters; and for
            each group the characters (G, C), and the lengths (G,) of its words as an array, which stays on the CPU.
        """
        positions = np.zeros(len(rows), dtype=np.int64)
        groups, end = [], 0
        for group in table.group(rows.numpy()):
            start, end = end, end + len(group)
            positions[group] = np.arange(start + 1, end + 1)
            chosen = rows.numpy()[group]
            groups.append((torch.from_numpy(table.pad(chosen)), table.lengths(chosen)))
        return torch.from_numpy(positions), tuple(groups)

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D); that of a word without characters is zero."""
        positions, groups = inputs
        vectors = [next(self.parameters()).new_zeros(1, self.embedding_length)]
        vectors += [self._read(characters, torch.from_numpy(lengths)) for characters, lengths in groups]
        return nn.functional.embedding(positions, torch.cat([part.to(vectors[-1].dtype) for part in vectors]))

    @abstractmethod
    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors (G, D) of a group of words with characters (G, C) and lengths (G,), on the CPU."""

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> _CharacterEmbeddings:
        """Build the embedding from the result of `to_params`."""
        settings = {name: value for name, value in params.items() if name != "characters"}
        characters = Dictionary.from_items(params["characters"])
        return super().from_params({**settings, "path_to_char_dict": characters})  # type: ignore[return-value]

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the characters and the settings."""
        names = [name for name in self._arguments() if name != "path_to_char_dict"]
        return {"characters": self.char_dictionary.get_items(), **{name: getattr(self, name) for name in names}}


@register_embeddings
class CharacterEmbeddings(_CharacterEmbeddings):
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
        super().__init__(name, path_to_char_dict)
        self.char_embedding_dim = check_size("char_embedding_dim", char_embedding_dim)
        self.hidden_size_char = check_size("hidden_size_char", hidden_size_char)
        with seeded(seed):
            self.char_embedding = nn.Embedding(len(self.char_dictionary), self.char_embedding_dim)
            self.char_rnn = PaddedRNN(self.char_embedding_dim, self.hidden_size_char)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return 2 * self.hidden_size_char

    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the last states of both directions, (G, D)."""
        states = self.char_rnn(self.char_embedding(characters), lengths)  # (G, C, D)
        last = last_states(states, lengths)[:, : self.hidden_size_char]
        return torch.cat((last, states[:, 0, self.hidden_size_char :]), dim=1)


@register_embeddings
class CharacterCNNEmbeddings(_CharacterEmbeddings):
    """Convolutions over the characters of a word, each filter max-pooled over the word, and a ReLU.

    A word is read with a mark before and a mark after it, so that filters can recognise prefixes and suffixes. Source:
    Ma and Hovy, End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF, 2016, and Kim et al., Character-Aware
    Neural Language Models, 2016.

    Args:
        path_to_char_dict: The known characters; see `CharacterEmbeddings`.
        char_embedding_dim: Features of a character.
        num_filters: Filters of each width; a word has `num_filters` features for each width.
        widths: Characters that the filters span, one convolution for each.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If the dictionary has no `<unk>`, there are no widths, or a number is less than 1.
    """

    def __init__(
        self,
        path_to_char_dict: str | Path | Dictionary | None = None,
        char_embedding_dim: int = 32,
        num_filters: int = 40,
        widths: Sequence[int] = (2, 3, 4),
        name: str = "CharCNN",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(name, path_to_char_dict)
        self.char_embedding_dim = check_size("char_embedding_dim", char_embedding_dim)
        self.num_filters, self.widths = check_size("num_filters", num_filters), check_sizes("widths", widths)
        self._begin = len(self.char_dictionary)  # the id of the mark before a word; then those after it, and of padding
        with seeded(seed):
            self.char_embedding = nn.Embedding(self._begin + 3, self.char_embedding_dim, padding_idx=self._begin + 2)
            self.convolutions = PooledConvolutions(self.char_embedding_dim, self.num_filters, self.widths)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.num_filters * len(self.widths)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the character ids of U distinct words with their marks; empty words and padding have none."""
        return self._ids.find_marked(words, self._begin, self._begin + 1)

    def _read(self, characters: Tensor, lengths: Tensor) -> Tensor:
        is_padding = torch.arange(characters.shape[1]) >= lengths.unsqueeze(1)  # (G, C)
        characters = characters.masked_fill(copy_to(is_padding, characters.device), self._begin + 2)
        vectors: Tensor = self.convolutions(self.char_embedding(characters), lengths)  # (G, D)
        return vectors


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
    items = [item for item in dictionary.get_items() if item != UNKNOWN]
    if longer := [item for item in items if len(item) != 1]:
        log.warning(
            "%d of %d items of path_to_char_dict, such as %s, are not one character, and are never found: is it a "
            "dictionary of words? Leave it out, or give one of characters",
            len(longer),
            len(items),
            shown(longer[0]),
        )
    return dictionary
