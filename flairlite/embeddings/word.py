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
from flairlite.embeddings.vectors import WordVectors, load_vectors, stored_vectors
from flairlite.encoding import Table
from flairlite.errors import DataUnavailableError

log = logging.getLogger("flairlite")

GLOVE = Resource(
    path="glove/glove-wiki-gigaword-100.gz",
    url="https://github.com/RaRe-Technologies/gensim-data/releases/download/"
    "glove-wiki-gigaword-100/glove-wiki-gigaword-100.gz",
    known_hash="md5:40ec481866001177b8cd4cb0df92924f",
)

_NAMED: dict[str, Callable[[], Path]] = {
    "glove": lambda: fetch(GLOVE),
    "glove-mini": lambda: bundled("glove-mini/glove.6B.50d.first-30000.txt.gz"),
}


class WordEmbeddings(TokenEmbeddings):
    """Looks words up in a table of vectors: as they stand, lower-cased, with digits as `#`, with digits as `0`.

    A word found in none of these ways has the zero vector.

    Args:
        embeddings: `glove` (100 features, downloaded once), `glove-mini` (50 features, the 30,000 most frequent words,
            bundled), or the path of a file: word2vec text or binary, GloVe text, gensim's own format, also `.gz`.
            A table of vectors can be given too.
        fine_tune: Train the vectors with the model.

    Raises:
        DataUnavailableError: when there is neither such a name nor such a file, or no source of it can be reached.
        DataFormatError: when the file holds no vectors.
    """

    def __init__(self, embeddings: str | Path | WordVectors, *, fine_tune: bool = False) -> None:
        super().__init__()
        if isinstance(embeddings, WordVectors):
            self.name, self.vectors = "vectors", embeddings
        else:
            self.name, self.vectors = str(embeddings), load_vectors(_find(embeddings))
        self.fine_tune = fine_tune
        self.weight: nn.Parameter | None = None
        if fine_tune:
            table = torch.zeros(len(self.vectors) + 1, self.vectors.dim)  # the last row: unknown words, padding
            table[:-1] = torch.from_numpy(self.vectors.matrix)
            self.weight = nn.Parameter(table)

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.vectors.dim

    def index(self, words: Sequence[str]) -> Table:
        """Look up U distinct words: their vectors (U + 1, D), or, to be trained, their rows (U + 1,)."""
        rows = self.vectors.rows(words)  # (U,)
        if self.fine_tune:
            return torch.from_numpy(np.append(np.where(rows < 0, len(self.vectors), rows), len(self.vectors)))
        table = np.zeros((len(words) + 1, self.vectors.dim), dtype=np.float32)
        is_known = rows >= 0
        table[:-1][is_known] = self.vectors.matrix[rows[is_known]]
        return torch.from_numpy(table)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Pick the vectors (B, T, D), or, to be trained, the rows (B, T)."""
        if self.fine_tune:
            return table[word_ids.long()]
        return nn.functional.embedding(word_ids, table)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the vectors (B, T, D)."""
        if self.weight is None:
            return inputs  # type: ignore[no-any-return]
        return nn.functional.embedding(inputs, self.weight, padding_idx=len(self.vectors))

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the table, or its name in the cache; trained vectors are among the model's parameters."""
        is_stored = not whole and self.vectors.entry is not None
        table = {"entry": self.vectors.entry} if is_stored else {"vectors": self.vectors.to_tensors()}
        return {"name": self.name, "fine_tune": self.fine_tune, **table}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> WordEmbeddings:
        """Build an embedding on the table that `to_params` returned."""
        table = WordVectors.from_tensors(params["vectors"]) if "vectors" in params else stored_vectors(params["entry"])
        embedding = cls(table, fine_tune=bool(params["fine_tune"]))
        embedding.name = str(params["name"])
        return embedding

    def extra_repr(self) -> str:
        """Show name and size when the module is printed."""
        return f"'{self.name}', {len(self.vectors)} words, {self.vectors.dim} features, fine_tune={self.fine_tune}"


def _find(embeddings: str | Path) -> Path:
    if isinstance(embeddings, str) and embeddings in _NAMED:
        return _NAMED[embeddings]()
    path = Path(embeddings).expanduser()
    if not path.is_file():
        raise DataUnavailableError(
            f"no word embeddings {str(embeddings)!r}: there is no such file, and the names known are "
            f"{', '.join(_NAMED)}. Give one of these, or the path of a file of vectors"
        )
    return path
