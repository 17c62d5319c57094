"""The shapes of words as hashes, and binary features of their characters and length."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flairlite.lookup.packing import FNV_BASIS, FNV_PRIME, to_code_points

_UPPER, _LOWER, _LETTER, _DIGIT = map(ord, "Xxad")  # `a`: a letter without case, as in Chinese
_MAX_REPEATED, _MAX_SHAPE = 2, 10  # characters
_LENGTHS = (2, 3, 4, 6, 9, 13)  # characters from which a word is in the next class of length
_NUM_FLAGS = 13  # binary features that do not depend on the length
NUM_SHAPE_FEATURES = _NUM_FLAGS + len(_LENGTHS)


def find_shapes(words: Sequence[str], num_values: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the hashes of the shapes of U words, and their binary features; see `WordShapeEmbeddings`.

    Returns:
        (U + 1,) the hash of each shape, below `num_values`, and `num_values` for empty words and, in the last row,
        padding; and (U + 1, F) the features, zero for padding.
    """
    codes, lengths = to_code_points(words)
    classes, is_ascii = _classify(codes), codes < 0x80
    rows = np.full(len(words) + 1, num_values)
    hashes = _hash_shapes(classes, lengths)
    rows[:-1][lengths > 0] = (hashes % np.uint64(num_values))[lengths > 0]
    features = np.zeros((len(words) + 1, NUM_SHAPE_FEATURES), np.uint8)
    features[:-1, :_NUM_FLAGS] = _flags(classes, is_ascii, lengths)
    features[:-1, _NUM_FLAGS:] = lengths[:, None] >= np.array(_LENGTHS)
    return rows, features


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
