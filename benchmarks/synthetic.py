"""Synthetic treebanks, sentences and word vectors of any size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

TAGS = ("NOUN", "PUNCT", "VERB", "PRON", "ADP", "DET", "ADJ", "AUX", "PROPN", "ADV", "CCONJ", "PART", "NUM", "SCONJ")
FREQUENT_WORDS = "the of to and in a is that for it was on with as be by he at".split()  # noqa: SIM905
NUM_WORDS = 200_000  # vocabulary size of the treebank
MAX_WORDS = 31  # maximum sentence length; the mean is 16, as in UD_English-EWT


def write_vectors(path: Path, num_vectors: int) -> Path:
    """Write random vectors of dimension 100 in word2vec's binary format, and return the path."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((num_vectors, 100), dtype=np.float32)
    with path.open("wb") as file:
        file.write(b"%d 100\n" % num_vectors)
        for index, row in enumerate(matrix):
            file.write(b"word%d " % index + row.tobytes())
    return path


def short_sentences(count: int) -> Iterator[list[str]]:
    """Yield sentences as lists of words. Each has one new word, so that an unbounded cache of words would grow."""
    rng = random.Random(0)
    for index in range(count):
        yield [*rng.choices(FREQUENT_WORDS, k=rng.randint(0, MAX_WORDS - 1)), f"word{index}"]


def write_treebank(path: Path, num_tokens: int) -> None:
    """Write a CoNLL-U file with at least `num_tokens` tokens, Zipfian word frequencies and annotated columns."""
    rng = random.Random(0)
    rows = [
        f"word{n}\tlemma{n // 3}\t{TAGS[n % len(TAGS)]}\tX{n % 50}\tNumber=Sing|Case=C{n % 20}"
        for n in range(NUM_WORDS)
    ]
    weights = list(accumulate(1 / (rank + 3) for rank in range(NUM_WORDS)))  # Zipf's law
    written = num_sentences = 0
    with path.open("w", encoding="utf-8") as file:
        while written < num_tokens:
            num_sentences += 1
            words = rng.choices(rows, cum_weights=weights, k=rng.randint(1, MAX_WORDS))
            lines = [f"{word_id}\t{row}\t{word_id - 1}\tdep\t_\t_\n" for word_id, row in enumerate(words, start=1)]
            file.write(f"# sent_id = s{num_sentences}\n{''.join(lines)}\n")
            written += len(words)
