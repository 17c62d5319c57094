"""A trained vector for each word, or each label, of a dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.data import Corpus, Dictionary
from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.embeddings.registry import register_embeddings
from flairlite.encoding import Table
from flairlite.errors import LabelError
from flairlite.runtime import get_device, seeded

TEXT = "text"


@register_embeddings
class OneHotEmbeddings(TokenEmbeddings):
    """Gives each item of a dictionary a vector, which is trained from scratch.

    Args:
        vocab_dictionary: The items. One that is not there has the vector of `<unk>`, or, where there is none, zero.
        field: `text` for the words; or the label type of the tokens to embed.
        embedding_length: Features D of a vector.
        stable: Normalise each vector, with a trained scale and shift; see `WordEmbeddings`.
        seed: Decides the first weights; the process's default seed when None.
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
        super().__init__()
        self.name = f"one-hot-{field}"
        self.vocab_dictionary, self.field, self.stable = vocab_dictionary, field, stable
        with seeded(seed):
            self.embedding_layer = nn.Embedding(len(vocab_dictionary) + 1, embedding_length)  # the last row: padding
            nn.init.xavier_uniform_(self.embedding_layer.weight)
        with torch.no_grad():
            self.embedding_layer.weight[-1] = 0
        self.embedding_layer.padding_idx = len(vocab_dictionary)
        self.layer_norm = nn.LayerNorm(embedding_length) if stable else None
        self.to(get_device())
        self.eval()

    @classmethod
    def from_corpus(cls, corpus: Corpus, field: str = TEXT, min_freq: int = 3, **options: Any) -> OneHotEmbeddings:
        """Collect the words, or labels, of the training split, the most frequent first.

        Args:
            corpus: The corpus.
            field: `text`, or the label type.
            min_freq: Leave out what occurs less often; it is `<unk>`.
            options: Further arguments of the class.

        Raises:
            LabelError: when nothing occurs that often.
        """
        is_there = field == TEXT or any(sentence.token_labels(field) for sentence in corpus.train or ())
        counts = Counter(_values(corpus, field) if is_there else ())
        items = [item for item, count in counts.most_common() if count >= min_freq]
        if not items:
            raise LabelError(
                f"no {field!r} of a token occurs {min_freq} times in the training split: there are {len(counts)} "
                f"different ones, and the label types are {', '.join(corpus.get_label_types()) or 'none'}"
            )
        return cls(Dictionary.from_items(items, add_unk=True), field, **options)

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.embedding_layer.embedding_dim

    @property
    def fields(self) -> tuple[str, ...]:
        """The label type that is embedded, if it is not the words."""
        return () if self.field == TEXT else (self.field,)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words: their rows (U + 1,)."""
        items = words if self.field == TEXT else (fields or {})[self.field]
        padding = len(self.vocab_dictionary)
        unknown = 0 if self.vocab_dictionary.add_unk else padding
        numbers = self.vocab_dictionary.item2idx
        return torch.tensor([*(numbers.get(item, unknown) for item in items), padding])

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the rows (B, T)."""
        return table[word_ids.long()]

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Make vectors (B, T, D)."""
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
        """Build the embedding again."""
        items = Dictionary.from_items(params["items"], add_unk=params["add_unk"])
        return cls(items, params["field"], params["embedding_length"], params["stable"])


def _values(corpus: Corpus, field: str) -> Iterator[str]:
    for sentence in corpus.train or ():
        if field == TEXT:
            yield from sentence.words
        else:
            yield from (label or "O" for label in sentence.token_labels(field) or ["O"] * len(sentence))
