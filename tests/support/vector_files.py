"""Word vectors and files of them, with the tables that flairlite must read from these files."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from gensim.models import KeyedVectors

from flairlite.embeddings.vectors import WordVectors

WORDS = ["the", "The", "of", "##th", "00", "été", "中文", "a\u00a0b", "\u2028", "naïve", "e\u0301", "🙂", "#", "0"]
MATRIX = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)


def as_text(words: list[str], matrix: np.ndarray, *, header: bool = True) -> bytes:
    rows = [f"{word} {' '.join(map(str, row.tolist()))}\n" for word, row in zip(words, matrix, strict=True)]
    return ((f"{len(words)} {matrix.shape[1]}\n" if header else "") + "".join(rows)).encode()


def as_binary(words: list[bytes], matrix: np.ndarray, *, after: bytes = b"") -> bytes:
    rows = [word + b" " + row.astype("<f4").tobytes() + after for word, row in zip(words, matrix, strict=True)]
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(rows)


def keyed(words: list[str], matrix: np.ndarray) -> Any:
    table = KeyedVectors(matrix.shape[1])
    table.add_vectors(words, matrix)
    return table


def plain_rows(words: list[str], queries: list[str]) -> list[int]:
    """Flair's look-up as Flair has it: one word at a time, in a dict."""
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        row_of.setdefault(word, row)
    found = []
    for word in queries:
        forms = [word, word.lower(), re.sub(r"\d", "#", word.lower()), re.sub(r"\d", "0", word.lower())]
        found.append(next((row_of[form] for form in forms if form in row_of), -1))
    return found


def assert_same(vectors: WordVectors, words: list[str], matrix: np.ndarray) -> None:
    assert vectors.words == words
    assert vectors.matrix.dtype == np.float32
    np.testing.assert_array_equal(vectors.matrix, matrix)
    assert vectors.rows(words).tolist() == plain_rows(words, words)
