"""Embeddings of what lexica say of words: tags, numbers and Brown clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flairlite.checks import shown, strings
from flairlite.embeddings.base import Inputs, check_size, check_sizes, register_embeddings
from flairlite.embeddings.lexicon import Clusters, Lexicon, words_to_tensors
from flairlite.embeddings.per_word import PerWordEmbeddings
from flairlite.encoding import Table
from flairlite.errors import SettingError
from flairlite.lookup.words import FORMS
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to


@register_embeddings
class LexiconEmbeddings(PerWordEmbeddings):
    """What a lexicon says of a word: its possible tags, or numbers such as the logarithm of its frequency.

    A word is looked up in several forms, by default as written and in lower case. Each form contributes 1 if the
    lexicon has it, and the features of its entry: 0 or 1 for each tag, or its numbers, standardised over the lexicon
    and rounded to 256 values. They are zero for a form that the lexicon does not have. A model file contains the
    lexicon: for 92,000 English words, 5.5 bytes a word with tags or one number, 12.5 with four numbers.

    Args:
        lexicon: A mapping of words to one or several tags (strings), or of words to one or several numbers. See
            `flairlite.datasets.read_word_tags` and `read_word_numbers` for files.
        embedding_length: Features D of a trained linear layer with a ReLU that the features pass through, or None to
            use them as they are.
        forms: The forms: `exact`, `lower`, `title` (the first character in upper case, the others in lower case) and
            `upper`.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If the lexicon is not such a mapping, or another argument is invalid.
    """

    def __init__(
        self,
        lexicon: Mapping[str, Any] | Lexicon,
        embedding_length: int | None = None,
        forms: Sequence[str] = ("exact", "lower"),
        name: str = "lexicon",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.forms = name, _check_forms(forms)
        self.lexicon = lexicon if isinstance(lexicon, Lexicon) else Lexicon.from_mapping(_check_mapping(lexicon))
        values = self.lexicon.values  # (R, F)
        table = np.zeros((len(values) + 2, values.shape[1] + 1), np.float32)  # then unknown words, then padding
        table[:-2, 0], table[:-2, 1:] = 1, values
        self.features: Tensor
        self.register_buffer("features", torch.from_numpy(table), persistent=False)
        self.projection: nn.Linear | None = None
        if embedding_length is not None:
            with seeded(seed):
                size = check_size("embedding_length", embedding_length)
                self.projection = nn.Linear(len(self.forms) * table.shape[1], size)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return len(self.forms) * self.features.shape[1] if self.projection is None else self.projection.out_features

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1, forms) of the features of each form of U distinct words."""
        unknown = len(self.features) - 2
        rows = np.full((len(words) + 1, len(self.forms)), unknown + 1)
        for column, form in enumerate(self.forms):
            rows[:-1, column] = self.lexicon.words.find([FORMS[form](word) for word in words], missing=unknown)
        return torch.from_numpy(rows)

    def select_words(self, table: Tensor, rows: Tensor) -> Inputs:
        """Return the rows (V, forms) of V words."""
        return table[copy_to(rows, table.device)]

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        features = nn.functional.embedding(inputs, self.features).flatten(1)  # (V, forms * (F + 1))
        if self.projection is None:
            return features
        is_padding = inputs[:, :1] == len(self.features) - 1  # (V, 1)
        return self.projection(features).relu().masked_fill(is_padding, 0)  # type: ignore[no-any-return]

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words (U + 1,) the lexicon has in none of the forms."""
        return {self.name: (table >= len(self.features) - 2).all(dim=1)}

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and the lexicon."""
        size = None if self.projection is None else self.projection.out_features
        settings = {"embedding_length": size, "forms": list(self.forms), "name": self.name}
        return {**settings, "tags": list(self.lexicon.tags), "lexicon": self.lexicon.to_tensors()}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> LexiconEmbeddings:
        """Build the embedding from the result of `to_params`."""
        lexicon = Lexicon.from_tensors(params["lexicon"], params["tags"])
        return cls(lexicon, params["embedding_length"], params["forms"], params["name"])

    def extra_repr(self) -> str:
        """Return the name and size, which `repr` shows."""
        return f"'{self.name}', {len(self.lexicon)} words, {self.features.shape[1] - 1} features, forms={self.forms}"


@register_embeddings
class ClusterEmbeddings(PerWordEmbeddings):
    """Trained vectors of the Brown cluster of a word and of the larger clusters that contain it, concatenated.

    The cluster of a word is the path to a leaf of a binary tree, a string of bits; its prefixes are larger clusters. A
    word is looked up as written, then in lower case. Words without a cluster share a vector. Source: Brown et al.,
    Class-Based n-gram Models of Natural Language, 1992; prefixes as features: Miller, Guinness and Zamanian, Name
    Tagging with Word Clusters and Discriminative Training, 2004.

    Args:
        clusters: A mapping of words to clusters such as `0110`; see `flairlite.datasets.read_word_clusters` for files.
        embedding_length: Features of each prefix.
        prefix_lengths: Bits of the prefixes. A shorter cluster is its own prefix.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If `clusters` is not such a mapping, or another argument is invalid.
    """

    def __init__(
        self,
        clusters: Mapping[str, str] | Clusters,
        embedding_length: int = 12,
        prefix_lengths: Sequence[int] = (4, 6, 10, 20),
        name: str = "clusters",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.prefix_lengths = name, check_sizes("prefix_lengths", prefix_lengths)
        self.clusters = clusters if isinstance(clusters, Clusters) else Clusters.from_mapping(_check_mapping(clusters))
        prefixes = [[(length, path[:length]) for length in self.prefix_lengths] for path in self.clusters.paths]
        row_of = {prefix: row for row, prefix in enumerate(sorted({prefix for row in prefixes for prefix in row}))}
        unknown = len(row_of)  # the row of words without a cluster; then that of padding
        rows = [[row_of[prefix] for prefix in row] for row in prefixes]
        rows += [[row] * len(self.prefix_lengths) for row in (unknown, unknown + 1)]
        self.prefix_rows: NDArray[np.int64] = np.array(rows)  # (clusters + 2, P)
        shape = (unknown + 2, check_size("embedding_length", embedding_length))
        with seeded(seed):
            self.weight = nn.Parameter(torch.empty(shape).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[-1] = 0
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return len(self.prefix_lengths) * self.weight.shape[1]

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1, P) of the prefixes of the clusters of U distinct words."""
        unknown = len(self.clusters.paths)
        ids = self.clusters.words.find_any_case(words, missing=unknown)  # (U,)
        return torch.from_numpy(self.prefix_rows[np.append(ids, unknown + 1)])

    def select_words(self, table: Tensor, rows: Tensor) -> Inputs:
        """Return the rows (V, P) of V words."""
        return table[copy_to(rows, table.device)]

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        return nn.functional.embedding(inputs, self.weight, padding_idx=len(self.weight) - 1).flatten(1)

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words (U + 1,) have no cluster."""
        return {self.name: table[:, 0] >= len(self.weight) - 2}

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings, the clusters and their words."""
        settings = {"embedding_length": self.weight.shape[1], "prefix_lengths": list(self.prefix_lengths)}
        words = words_to_tensors(self.clusters.words)
        return {**settings, "name": self.name, "clusters": list(self.clusters.paths), "words": words}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> ClusterEmbeddings:
        """Build the embedding from the result of `to_params`."""
        clusters = Clusters.from_tensors(params["words"], params["clusters"])
        return cls(clusters, params["embedding_length"], params["prefix_lengths"], params["name"])

    def extra_repr(self) -> str:
        """Return the name and size, which `repr` shows."""
        return f"'{self.name}', {len(self.clusters.words.ids)} words, {len(self.clusters.paths)} clusters"


def _check_forms(forms: Any) -> tuple[str, ...]:
    found: tuple[str, ...] = strings()("forms", forms)
    if not found or len(set(found)) < len(found) or not set(found) <= set(FORMS):
        raise SettingError(f"forms must be some of {', '.join(FORMS)}; it is {shown(forms)}")
    return found


def _check_mapping(lexicon: Any) -> Mapping[str, Any]:
    if not isinstance(lexicon, Mapping):
        raise SettingError(
            f"a lexicon must be a dict of words and their tags, numbers or cluster; it is {shown(lexicon)}. Read files "
            "with read_word_tags, read_word_numbers or read_word_clusters of flairlite.datasets"
        )
    return lexicon
