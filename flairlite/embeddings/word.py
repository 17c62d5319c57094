"""Classic word embeddings: one vector a word, from a table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.bundled import bundled
from flairlite.download import Resource, fetch
from flairlite.embeddings.base import Inputs, TokenEmbeddings
from flairlite.embeddings.registry import register_embeddings
from flairlite.embeddings.vectors import WordVectors, load_vectors, stored_vectors
from flairlite.encoding import Table
from flairlite.errors import UnknownNameError

log = logging.getLogger("flairlite")

GLOVE = Resource(
    path="glove/glove-wiki-gigaword-100.gz",
    url="https://github.com/RaRe-Technologies/gensim-data/releases/download/"
    "glove-wiki-gigaword-100/glove-wiki-gigaword-100.gz",
    known_hash="md5:40ec481866001177b8cd4cb0df92924f",
)

_NAMED: dict[str, Callable[[], Path]] = {
    "glove": lambda: fetch(GLOVE),
    "en-glove": lambda: fetch(GLOVE),
    "glove-mini": lambda: bundled("glove-mini/glove.6B.50d.first-30000.txt.gz"),
}


@register_embeddings
class WordEmbeddings(TokenEmbeddings):
    """Looks words up in a table of vectors: as they stand, lower-cased, with digits as `#`, with digits as `0`.

    A word found in none of these ways has the zero vector.

    Args:
        embeddings: `glove` (100 features, downloaded once), `glove-mini` (50 features, the 30,000 most frequent words,
            bundled), or the path of a file: word2vec text or binary, GloVe text, gensim's own format, also `.gz`.
            A table of vectors can be given too.
        field: Look up the tokens' labels of this type instead of the words.
        fine_tune: Train the vectors with the model.
        force_cpu: Without effect, for Flair's scripts: the fixed table always stays on the host, and vectors that are
            trained go where the model goes.
        stable: Normalise each vector to mean 0 and variance 1, with a trained scale and shift where the vectors are
            trained. Source: Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2021 (the stable embedding
            layer).
        no_header: Without effect, for Flair's scripts: the content of a file tells whether its first line is a header.
        name: What to call the embedding, when it is not what `embeddings` says.

    Raises:
        DataUnavailableError: when there is neither such a name nor such a file, or no source of it can be reached.
        DataFormatError: when the file holds no vectors.
    """

    def __init__(
        self,
        embeddings: str | Path | WordVectors,
        field: str | None = None,
        fine_tune: bool = False,
        force_cpu: bool = True,
        stable: bool = False,
        no_header: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__()
        is_table = isinstance(embeddings, WordVectors)
        self.vectors = embeddings if isinstance(embeddings, WordVectors) else load_vectors(_find(embeddings))
        self.name = name or ("vectors" if is_table else str(embeddings))
        self.field, self.fine_tune, self.stable = field, fine_tune, stable
        self.weight: nn.Parameter | None = None
        self.layer_norm: nn.LayerNorm | None = None
        if fine_tune:
            table = torch.zeros(len(self.vectors) + 1, self.vectors.dim)  # the last row: unknown words, padding
            table[:-1] = torch.from_numpy(self.vectors.matrix)
            self.weight = nn.Parameter(table)
            self.layer_norm = nn.LayerNorm(self.vectors.dim) if stable else None
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.vectors.dim

    @property
    def fields(self) -> tuple[str, ...]:
        """The label type that is looked up, if it is not the words."""
        return () if self.field is None else (self.field,)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words: their vectors (U + 1, D), or, to be trained, their rows (U + 1,)."""
        rows = self.vectors.rows(words if self.field is None else (fields or {})[self.field])  # (U,)
        if self.fine_tune:
            return torch.from_numpy(np.append(np.where(rows < 0, len(self.vectors), rows), len(self.vectors)))
        table = np.zeros((len(words) + 1, self.vectors.dim), dtype=np.float32)
        is_known = rows >= 0
        table[:-1][is_known] = self.vectors.take(rows[is_known])
        vectors = torch.from_numpy(table)  # (U + 1, D)
        return nn.functional.layer_norm(vectors, (self.vectors.dim,)) if self.stable else vectors

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the vectors (B, T, D), or, to be trained, the rows (B, T)."""
        if self.fine_tune:
            return table[word_ids.long()]
        return nn.functional.embedding(word_ids, table)

    def forward(
        self, inputs: Inputs, lengths: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the vectors (B, T, D)."""
        if self.weight is None:
            return inputs  # type: ignore[no-any-return]
        vectors = nn.functional.embedding(inputs, self.weight, padding_idx=len(self.vectors))
        return vectors if self.layer_norm is None else self.layer_norm(vectors)

    def compact(self) -> None:
        """Round the fixed vectors as a model file holds them: no value is wrong by more than a 4,094th of the largest.

        Vectors that are trained stay as they are.
        """
        if not self.fine_tune:
            self.vectors = self.vectors.compact()

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Tell which words (U + 1,) have no vector."""
        return {self.name: table == len(self.vectors) if self.fine_tune else ~table.any(dim=1)}

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the table, or its name in the cache; trained vectors are among the model's parameters."""
        is_stored = not whole and self.vectors.entry is not None
        table = {"entry": self.vectors.entry} if is_stored else {"vectors": self.vectors.to_tensors()}
        settings = {"name": self.name, "field": self.field, "fine_tune": self.fine_tune, "stable": self.stable}
        return {**settings, "compact": self.vectors.is_compact, **table}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> WordEmbeddings:
        """Build an embedding on the table that `to_params` returned."""
        table = WordVectors.from_tensors(params["vectors"]) if "vectors" in params else stored_vectors(params["entry"])
        return cls(
            table.compact() if params.get("compact") else table,
            params.get("field"),
            bool(params["fine_tune"]),
            stable=bool(params.get("stable", False)),
            name=str(params["name"]),
        )

    def extra_repr(self) -> str:
        """Show name and size when the module is printed."""
        return f"'{self.name}', {len(self.vectors)} words, {self.vectors.dim} features, fine_tune={self.fine_tune}"


def _find(embeddings: str | Path) -> Path:
    if isinstance(embeddings, str) and embeddings in _NAMED:
        return _NAMED[embeddings]()
    path = Path(embeddings).expanduser()
    if not path.is_file():
        raise UnknownNameError(
            f"no word embeddings {str(embeddings)!r}: there is no such file, and the names known are "
            f"{', '.join(_NAMED)}. Give one of these, or the path of a file of vectors"
        )
    return path
