"""Word embeddings: one vector a word, from a table."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor, nn

from flairlite.bundled import bundled_path
from flairlite.checks import flag
from flairlite.download import Resource, fetch
from flairlite.embeddings.base import Inputs, TokenEmbeddings, register_embeddings
from flairlite.embeddings.vector_cache import load_cached_vectors, load_vectors
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import Table
from flairlite.errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

GLOVE = Resource(
    path="glove/glove-wiki-gigaword-100.gz",
    url="https://github.com/RaRe-Technologies/gensim-data/releases/download/"
    "glove-wiki-gigaword-100/glove-wiki-gigaword-100.gz",
    known_hash="md5:40ec481866001177b8cd4cb0df92924f",
)

_NAMED: dict[str, Callable[[], Path]] = {
    "glove": lambda: fetch(GLOVE),
    "en-glove": lambda: fetch(GLOVE),
    "glove-mini": lambda: bundled_path("glove-mini/glove.6B.50d.first-30000.txt.gz"),
}


@register_embeddings
class WordEmbeddings(TokenEmbeddings):
    """Vectors from a table, in which a word is looked up as written, in lower case, with digits as `#`, then as `0`.

    A word that is not found has the zero vector.

    Args:
        embeddings: `glove` (100 features, downloaded once); `glove-mini` (50 features, the 30,000 most frequent words,
            bundled); the path of a file in a format of word2vec, GloVe, fastText or gensim, plain or compressed; a dict
            of words and their vectors; gensim's `KeyedVectors`; or `WordVectors`, which can be made smaller, as in
            `WordEmbeddings(WordEmbeddings("glove").vectors.keep(50_000).compact(bits=8))`.
        field: Look up the tokens' labels of this type instead of the words.
        fine_tune: Train the vectors with the model.
        force_cpu: Ignored, for Flair's scripts: a fixed table always stays on the CPU, and trained vectors are on the
            device of the model.
        stable: Normalise each vector to mean 0 and variance 1, with a trained scale and shift if the vectors are
            trained. Source: Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2021 (the stable embedding
            layer).
        no_header: Ignored, for Flair's scripts: the content of a file shows whether its first line is a header.
        name: The name of the embedding; that of the file if None.

    Raises:
        SettingError: If `embeddings` is something else, or its vectors are invalid.
        DataUnavailableError: If there is neither such a name nor such a file, or it cannot be downloaded.
        DataFormatError: If the file does not contain word vectors.
    """

    def __init__(
        self,
        embeddings: str | Path | WordVectors | Mapping[str, ArrayLike] | KeyedVectors,
        field: str | None = None,
        fine_tune: bool = False,
        force_cpu: bool = True,
        stable: bool = False,
        no_header: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if field is not None and not isinstance(field, str):
            raise SettingError(
                f"field must be a label type, got {field!r}: name other arguments, such as fine_tune=True"
            )
        self.vectors = _to_vectors(embeddings)
        self.name = name or (str(embeddings) if isinstance(embeddings, (str, Path)) else "vectors")
        self.field, self.fine_tune, self.stable = field, flag("fine_tune", fine_tune), flag("stable", stable)
        self.weight: nn.Parameter | None = None
        self.layer_norm: nn.LayerNorm | None = None
        if fine_tune:
            table = torch.zeros(len(self.vectors) + 1, self.vectors.dim)  # the last row: unknown words and padding
            table[:-1] = torch.from_numpy(self.vectors.matrix)
            self.weight = nn.Parameter(table)
            self.layer_norm = nn.LayerNorm(self.vectors.dim) if stable else None
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.vectors.dim

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether the shapes of the inputs depend only on the shape of the batch, not on its words."""
        return True

    @property
    def fields(self) -> tuple[str, ...]:
        """The label type, if labels are looked up."""
        return () if self.field is None else (self.field,)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the vectors (U + 1, D) of U distinct words or, if they are trained, their rows (U + 1,)."""
        rows = self.vectors.rows(words if self.field is None else (fields or {})[self.field])  # (U,)
        if self.fine_tune:
            return torch.from_numpy(np.append(np.where(rows < 0, len(self.vectors), rows), len(self.vectors)))
        table = np.zeros((len(words) + 1, self.vectors.dim), dtype=np.float32)
        is_known = rows >= 0
        table[:-1][is_known] = self.vectors.take(rows[is_known])
        vectors = torch.from_numpy(table)  # (U + 1, D)
        return nn.functional.layer_norm(vectors, (self.vectors.dim,)) if self.stable else vectors

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the vectors (B, T, D) or, if they are trained, the rows (B, T)."""
        if self.fine_tune:
            return table[word_ids.long()]
        return nn.functional.embedding(word_ids, table)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        if self.weight is None:
            return inputs  # type: ignore[no-any-return]
        vectors = nn.functional.embedding(inputs, self.weight, padding_idx=len(self.vectors))
        return vectors if self.layer_norm is None else self.layer_norm(vectors)

    def compact(self) -> None:
        """Round fixed vectors to the precision of a model file; trained vectors do not change."""
        if not self.fine_tune:
            self.vectors = self.vectors.compact()

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words (U + 1,) have no vector."""
        return {self.name: table == len(self.vectors) if self.fine_tune else ~table.any(dim=1)}

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings, and the table or its name in the cache; trained vectors are parameters of the model."""
        is_stored = not whole and self.vectors.entry is not None
        table = {"entry": self.vectors.entry} if is_stored else {"vectors": self.vectors.to_tensors()}
        settings = {"name": self.name, "field": self.field, "fine_tune": self.fine_tune, "stable": self.stable}
        return {**settings, "compact": self.vectors.is_compact, "bits": self.vectors.bits, **table}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> WordEmbeddings:
        """Build the embedding from the result of `to_params`."""
        is_whole = "vectors" in params
        table = WordVectors.from_tensors(params["vectors"]) if is_whole else load_cached_vectors(params["entry"])
        return cls(
            table.compact(params.get("bits") or 12) if params.get("compact") else table,
            params.get("field"),
            bool(params["fine_tune"]),
            stable=bool(params.get("stable", False)),
            name=str(params["name"]),
        )

    def extra_repr(self) -> str:
        """Return the name and size, which `repr` shows."""
        return f"'{self.name}', {len(self.vectors)} words, {self.vectors.dim} features, fine_tune={self.fine_tune}"


def _to_vectors(embeddings: Any) -> WordVectors:
    if isinstance(embeddings, WordVectors):
        return embeddings
    if isinstance(embeddings, (str, Path)):
        return load_vectors(_find_file(embeddings))
    if isinstance(embeddings, Mapping):
        return WordVectors.from_mapping(embeddings)
    from flairlite.embeddings.gensim_files import split_keyed_vectors

    try:
        return WordVectors(*split_keyed_vectors(embeddings, "KeyedVectors"))
    except TypeError as error:
        raise SettingError(
            "WordEmbeddings takes a name, the path of a file, a dict of words and vectors, KeyedVectors or "
            f"WordVectors(words, matrix), got {type(embeddings).__name__}: {error}"
        ) from error


def _find_file(embeddings: str | Path) -> Path:
    if isinstance(embeddings, str) and embeddings in _NAMED:
        return _NAMED[embeddings]()
    path = Path(embeddings)
    try:
        path = path.expanduser()
        if path.is_file():
            return path
        is_folder = path.is_dir()
        files = [str(file) for file in (path if is_folder else path.parent).iterdir() if file.is_file()]
    except (OSError, RuntimeError):  # too long for a path, a missing folder, or an unknown user after `~`
        is_folder, files = False, []
    if is_folder and any((path / name).exists() for name in ("key2row", "vectors/key2row", "vocab/key2row")):
        raise UnknownNameError(
            f"{path} is a folder of spaCy, whose vectors only spaCy can read: pass WordEmbeddings({{word: "
            "nlp.vocab[word].vector for word in nlp.vocab.strings if nlp.vocab[word].has_vector})"
        )
    if is_folder:
        shown = ", ".join(sorted(files)[:10]) or "none"
        raise UnknownNameError(f"{path} is a folder: give the path of the file of vectors in it; its files are {shown}")
    if language := re.fullmatch("([a-z]{2})(-crawl|-wiki)?", str(embeddings)):  # Flair's names of fastText's vectors
        source = f"for fastText's, which Flair calls {language[0]!r}, https://dl.fbaipublicfiles.com/fasttext/vectors-crawl/cc.{language[1]}.300.vec.gz"
    else:
        source = "for example from https://fasttext.cc"
    nearest = difflib.get_close_matches(str(embeddings), [*_NAMED, *files], n=3)
    raise UnknownNameError(
        f"no word embeddings {str(embeddings)!r}: there is no such file, and the known names are {', '.join(_NAMED)}. "
        + (f"Did you mean {' or '.join(map(repr, nearest))}? " if nearest else "")
        + f"For other vectors, download a file ({source}) and give its path"
    )
