"""Tables of trained vectors: one for each item of a dictionary, or for each value of a hash."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.checks import flag, whole_number
from flairlite.data import Corpus, Dictionary
from flairlite.embeddings.base import Inputs, TokenEmbeddings, check_size, register_embeddings
from flairlite.encoding import Table
from flairlite.errors import LabelError, SettingError
from flairlite.lookup.parts import hash_words
from flairlite.runtime import get_device, seeded

TEXT = "text"


class _TrainedTable(TokenEmbeddings):
    """A table of vectors that are trained from scratch; `index` returns rows of the table."""

    def __init__(self, num_rows: int, embedding_length: int, seed: int | None) -> None:
        super().__init__()
        with seeded(seed):
            self.embedding_layer = nn.Embedding(num_rows, check_size("embedding_length", embedding_length))
            nn.init.xavier_uniform_(self.embedding_layer.weight)

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.embedding_layer.embedding_dim

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the rows (B, T)."""
        return table[word_ids.long()]

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        vectors: Tensor = self.embedding_layer(inputs)
        return vectors


@register_embeddings
class OneHotEmbeddings(_TrainedTable):
    """A trained vector for each item of a dictionary.

    Args:
        vocab_dictionary: The items. Other items have the vector of `<unk>`, or the zero vector without `<unk>`.
        field: `text` for the words, or the label type of tokens whose labels are embedded.
        embedding_length: Features D of a vector.
        stable: Normalise each vector, with a trained scale and shift; see `WordEmbeddings`.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If `vocab_dictionary`, `field` or `embedding_length` is invalid.
    """

    def __init__(
        self,
        vocab_dictionary: Dictionary,
        field: str = TEXT,
        embedding_length: int = 300,
        stable: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        if not isinstance(vocab_dictionary, Dictionary):
            raise SettingError(
                f"OneHotEmbeddings takes a Dictionary, got {type(vocab_dictionary).__name__}: {_hint(vocab_dictionary)}"
            )
        _check_field(field)
        super().__init__(len(vocab_dictionary) + 1, embedding_length, seed)  # the last row is padding's
        self.name = f"one-hot-{field}"
        self.vocab_dictionary, self.field, self.stable = vocab_dictionary, field, flag("stable", stable)
        with torch.no_grad():
            self.embedding_layer.weight[-1] = 0
        self.embedding_layer.padding_idx = len(vocab_dictionary)
        self.layer_norm = nn.LayerNorm(self.embedding_length) if stable else None
        self.to(get_device())
        self.eval()

    @classmethod
    def from_corpus(cls, corpus: Corpus, field: str = TEXT, min_freq: int = 3, **options: Any) -> OneHotEmbeddings:
        """Collect the words, or labels, of the training split, the most frequent first.

        Args:
            corpus: The corpus.
            field: `text`, or the label type.
            min_freq: Occurrences below which an item is left out; it then has the vector of `<unk>`.
            options: Further arguments of the class.

        Raises:
            SettingError: If `corpus`, `field` or `min_freq` is invalid.
            LabelError: If no item occurs that often.
        """
        if not isinstance(corpus, Corpus):
            raise SettingError(
                f"OneHotEmbeddings.from_corpus takes a Corpus, got {type(corpus).__name__}: {_hint(corpus)}"
            )
        _check_field(field)
        min_freq = whole_number(least=0)("min_freq", min_freq)
        has_values = field == TEXT or any(sentence.token_labels(field) for sentence in corpus.train or ())
        counts = Counter(_values(corpus, field) if has_values else ())
        items = [item for item, count in counts.most_common() if count >= min_freq]
        if not items:
            raise LabelError(
                f"no {field!r} of a token occurs {min_freq} times in the training split: there are {len(counts)} "
                f"different ones, and the label types are {', '.join(corpus.get_label_types()) or 'none'}"
            )
        return cls(Dictionary.from_items(items, add_unk=True), field, **options)

    @property
    def fields(self) -> tuple[str, ...]:
        """The label type, if labels are embedded."""
        return () if self.field == TEXT else (self.field,)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1,) of U distinct words."""
        items = words if self.field == TEXT else (fields or {})[self.field]
        padding = len(self.vocab_dictionary)
        unknown = 0 if self.vocab_dictionary.add_unk else padding
        ids = self.vocab_dictionary.item2idx
        return torch.tensor([*(ids.get(item, unknown) for item in items), padding])

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        vectors: Tensor = self.embedding_layer(inputs)
        return vectors if self.layer_norm is None else self.layer_norm(vectors)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the items and the settings."""
        return {
            "items": self.vocab_dictionary.get_items(),
            "add_unk": self.vocab_dictionary.add_unk,
            "field": self.field,
            "embedding_length": self.embedding_length,
            "stable": self.stable,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> OneHotEmbeddings:
        """Build the embedding from the result of `to_params`."""
        items = Dictionary.from_items(params["items"], add_unk=params["add_unk"])
        return cls(items, params["field"], params["embedding_length"], params["stable"])


def _check_field(field: Any) -> None:
    if not isinstance(field, str):
        raise SettingError(f"field must be {TEXT!r} or a label type, got {field!r}")


def _values(corpus: Corpus, field: str) -> Iterator[str]:
    for sentence in corpus.train or ():
        if field == TEXT:
            yield from sentence.words
        else:
            yield from (label or "O" for label in sentence.token_labels(field) or ["O"] * len(sentence))


def _hint(given: object) -> str:
    if isinstance(given, Corpus):
        return "write OneHotEmbeddings.from_corpus(corpus)"
    if isinstance(given, Dictionary):
        return "write OneHotEmbeddings(dictionary)"
    if isinstance(given, (str, Path)):
        return "load one with Dictionary.load(path)"
    return "build one with Dictionary.from_items(words, add_unk=True), or write OneHotEmbeddings.from_corpus(corpus)"


@register_embeddings
class HashEmbeddings(_TrainedTable):
    """A small number of trained vectors; the hash of a word selects one of them.

    Words with the same hash value share a vector; `SubwordEmbeddings` can distinguish them.

    Args:
        num_embeddings: Number of vectors.
        embedding_length: Features D of a vector.
        hash_method: The name of a hash function with a fixed digest size in Python's `hashlib`.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If there is no such hash function, or a number is less than 1.
    """

    def __init__(
        self,
        num_embeddings: int = 1000,
        embedding_length: int = 300,
        hash_method: str = "md5",
        *,
        seed: int | None = None,
    ) -> None:
        if not isinstance(hash_method, str) or not _has_fixed_size(hash_method):
            known = ", ".join(filter(_has_fixed_size, sorted(hashlib.algorithms_guaranteed)))
            raise SettingError(f"hash_method must be one of {known}, not {hash_method!r}")
        num_embeddings = check_size("num_embeddings", num_embeddings)
        super().__init__(num_embeddings, embedding_length, seed)
        self.name, self.num_embeddings, self.hash_method = "hash", num_embeddings, hash_method
        self.to(get_device())
        self.eval()

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1,) of U distinct words."""
        return torch.tensor([*hash_words(words, self.hash_method, self.num_embeddings), 0])


def _has_fixed_size(hash_method: str) -> bool:
    try:
        return hashlib.new(hash_method, usedforsecurity=False).digest_size > 0
    except ValueError:
        return False
