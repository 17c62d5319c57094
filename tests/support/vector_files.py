"""Files of word vectors with their expected tables, and the vectors of a batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.embeddings import Embeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import encode
from flairlite.tensors import copy_to, map_tensors

WORDS = ["the", "The", "of", "##th", "00", "été", "中文", "a\u00a0b", "\u2028", "naïve", "e\u0301", "🙂", "#", "0"]
MATRIX = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)


def as_text(words: list[str], matrix: np.ndarray, *, header: bool = True) -> bytes:
    rows = [f"{word} {' '.join(map(str, row.tolist()))}\n" for word, row in zip(words, matrix, strict=True)]
    return ((f"{len(words)} {matrix.shape[1]}\n" if header else "") + "".join(rows)).encode()


def as_binary(words: list[bytes], matrix: np.ndarray, *, after: bytes = b"") -> bytes:
    rows = [word + b" " + row.astype("<f4").tobytes() + after for word, row in zip(words, matrix, strict=True)]
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(rows)


def keyed(words: list[str], matrix: np.ndarray) -> Any:
    from gensim.models import KeyedVectors

    table = KeyedVectors(matrix.shape[1])
    table.add_vectors(words, matrix)
    return table


def plain_rows(words: list[str], queries: list[str]) -> list[int]:
    """Return the rows that Flair's look-up finds, one word at a time, in a dict."""
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


def vectors_of(embedding: Embeddings, sentences: Sequence[Any], generator: torch.Generator | None = None) -> Tensor:
    """Return the vectors of a batch of sentences or lists of words, in the steps of a model."""
    sentences = [each if isinstance(each, Sentence) else Sentence(list(each)) for each in sentences]
    batch = encode(sentences, embedding.index, fields=embedding.fields).batch(torch.arange(len(sentences)))
    device = next((weight.device for weight in embedding.parameters()), torch.device("cpu"))
    inputs = map_tensors(lambda tensor: copy_to(tensor, device), embedding.select(batch.table, batch.word_ids))
    vectors: Tensor = embedding(inputs, batch.lengths, generator)
    return vectors
