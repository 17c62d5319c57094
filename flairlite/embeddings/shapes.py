"""Embeddings of the shape of words: capitals, digits, punctuation and length."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flairlite.embeddings.base import Inputs, check_size, register_embeddings
from flairlite.embeddings.per_word import PerWordEmbeddings
from flairlite.encoding import Table
from flairlite.lookup.packing import FNV_BASIS, FNV_PRIME, to_code_points
from flairlite.runtime import get_device, seeded
from flairlite.tensors import copy_to

_UPPER, _LOWER, _LETTER, _DIGIT = map(ord, "Xxad")  # `a`: a letter without case, as in Chinese
_MAX_REPEATED, _MAX_SHAPE = 2, 10  # characters
_LENGTHS = (2, 3, 4, 6, 9, 13)  # characters from which a word is in the next class of length
_NUM_FLAGS = 13  # binary features that do not depend on the length


@register_embeddings
class WordShapeEmbeddings(PerWordEmbeddings):
    """A trained vector of the shape of a word, and fixed binary features of its characters and length.

    The shape has `X` for each capital, `x` for each small letter, `a` for a letter without case, `d` for each digit,
    and other characters as they are. A character that is repeated more than twice is written twice, and the shape ends
    after ten characters: `Berlin` has the shape `Xxx`, `Y2K-proof` has `XdX-xx`. Shapes are hashed, and those with the
    same hash value share a vector. The hash values are the same in all processes and on all machines.

    The binary features are 0 or 1: whether the word begins with a capital, is all capitals, is all small letters, has a
    capital later, has a letter, has a digit, is all digits, has a hyphen, an apostrophe, a full stop, another
    character, has neither letter nor digit, has a character outside of ASCII; and whether it has at least 2, 3, 4, 6, 9
    and 13 characters. Padding has the zero vector.

    Args:
        embedding_length: Features of the trained vector; the binary features are appended to it.
        num_embeddings: Number of vectors; it should be several times the number of frequent shapes.
        name: The name of the embedding.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If a number is less than 1.
    """

    def __init__(
        self,
        embedding_length: int = 16,
        num_embeddings: int = 2000,
        name: str = "shape",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.num_embeddings = name, check_size("num_embeddings", num_embeddings)
        shape = (self.num_embeddings + 1, check_size("embedding_length", embedding_length))
        with seeded(seed):
            self.weight = nn.Parameter(torch.empty(shape).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[-1] = 0  # of empty words and padding
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.weight.shape[1] + _NUM_FLAGS + len(_LENGTHS)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the row (U + 1,) of the shape of U distinct words, and their binary features (U + 1, F) in bytes."""
        codes, lengths = to_code_points(words)
        classes, is_ascii = _classify(codes), codes < 0x80
        rows = np.full(len(words) + 1, self.num_embeddings)
        hashes = _hash_shapes(classes, lengths)
        rows[:-1][lengths > 0] = (hashes % np.uint64(self.num_embeddings))[lengths > 0]
        features = np.zeros((len(words) + 1, _NUM_FLAGS + len(_LENGTHS)), np.uint8)
        features[:-1, :_NUM_FLAGS] = _flags(classes, is_ascii, lengths)
        features[:-1, _NUM_FLAGS:] = lengths[:, None] >= np.array(_LENGTHS)
        return torch.from_numpy(rows), torch.from_numpy(features)

    def select_words(self, table: tuple[Tensor, Tensor], rows: Tensor) -> Inputs:
        """Return the rows (V,) of the shapes of V words, and their binary features (V, F)."""
        return tuple(part[copy_to(rows, part.device)] for part in table)

    def embed_words(self, inputs: Inputs) -> Tensor:
        """Return the vectors (V, D)."""
        rows, features = inputs
        vectors = nn.functional.embedding(rows, self.weight, padding_idx=self.num_embeddings)
        return torch.cat((vectors, features.to(vectors.dtype)), dim=1)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings."""
        return {**super().to_params(whole=whole), "embedding_length": self.weight.shape[1]}


def _classify(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the character of a shape for each code point, (M,), as a code point."""
    distinct, inverse = np.unique(codes, return_inverse=True)
    classes = np.fromiter((_class_of(code) for code in distinct.tolist()), np.int64, len(distinct))
    return classes[inverse]


def _class_of(code: int) -> int:
    category = unicodedata.category(chr(code))
    if category.startswith("L"):
        return {"Lu": _UPPER, "Lt": _UPPER, "Ll": _LOWER}.get(category, _LETTER)
    return _DIGIT if category == "Nd" else code


def _hash_shapes(classes: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the hash (U,) of the shape of each word, from the concatenated classes of the characters."""
    owners = np.repeat(np.arange(len(lengths)), lengths)
    kept = np.ones(len(classes), bool)
    repeats = (classes[1:] == classes[:-1]) & (owners[1:] == owners[:-1])  # the previous character
    kept[_MAX_REPEATED:] = ~(repeats[1:] & repeats[:-1])
    classes, owners = classes[kept].astype(np.uint64), owners[kept]
    lengths = np.bincount(owners, minlength=len(lengths))
    starts = np.cumsum(lengths) - lengths
    hashes = np.full(len(lengths), np.uint64(FNV_BASIS))
    for position in range(_MAX_SHAPE):
        longer = np.flatnonzero(lengths > position)
        hashes[longer] = (hashes[longer] ^ classes[starts[longer] + position]) * np.uint64(FNV_PRIME)
    return hashes


def _flags(classes: NDArray[np.int64], is_ascii: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the first binary features of each word, (U, F)."""
    owners = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.cumsum(lengths) - lengths

    def count(is_counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(owners[is_counted], minlength=len(lengths))  # (U,)

    is_upper, is_lower, is_digit = (classes == kind for kind in (_UPPER, _LOWER, _DIGIT))
    is_letter = is_upper | is_lower | (classes == _LETTER)
    has_first = lengths > 0
    first_is_upper = np.zeros(len(lengths), bool)
    first_is_upper[has_first] = is_upper[starts[has_first]]
    uppers, lowers, letters, digits = map(count, (is_upper, is_lower, is_letter, is_digit))
    marks = [np.isin(classes, list(map(ord, characters))) for characters in ("-‐‑–", "'’", ".")]
    others = count(~(is_letter | is_digit | np.logical_or.reduce(marks)))
    return np.stack(
        (
            first_is_upper,
            (uppers == lengths) & has_first,
            (lowers == lengths) & has_first,
            uppers - first_is_upper > 0,
            letters > 0,
            digits > 0,
            (digits == lengths) & has_first,
            *(count(mark) > 0 for mark in marks),
            others > 0,
            (letters + digits == 0) & has_first,
            count(~is_ascii) > 0,
        ),
        axis=1,
    )
