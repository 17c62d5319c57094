"""Made-up data of any size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

TAGS = ("NOUN", "PUNCT", "VERB", "PRON", "ADP", "DET", "ADJ", "AUX", "PROPN", "ADV", "CCONJ", "PART", "NUM", "SCONJ")
KNOWN = (
    "the",
    "of",
    "to",
    "and",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "was",
    "on",
    "with",
    "as",
    "be",
    "by",
    "he",
    "at",
)
NUM_WORDS = 200_000  # distinct words of the treebank
LONGEST = 31  # words a sentence; the mean is 16, as in UD_English-EWT


def write_vectors(path: Path, num_vectors: int) -> Path:
    """Write random vectors of 100 features in word2vec's binary form, as many as are wanted."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((num_vectors, 100), dtype=np.float32)
    with path.open("wb") as file:
        file.write(b"%d 100\n" % num_vectors)
        for number, row in enumerate(matrix):
            file.write(b"word%d " % number + row.tobytes())
    return path


def short_sentences(count: int) -> Iterator[list[str]]:
    """Yield the words of sentences; one of each was never seen before, so that a memory of words would grow."""
    rng = random.Random(0)
    for number in range(count):
        yield [*rng.choices(KNOWN, k=rng.randint(0, LONGEST - 1)), f"word{number}"]


def write_treebank(path: Path, num_tokens: int) -> None:
    """Write a CoNLL-U file of at least so many tokens: words as frequent as in language, all columns filled."""
    rng = random.Random(0)
    rows = [
        f"word{n}\tlemma{n // 3}\t{TAGS[n % len(TAGS)]}\tX{n % 50}\tNumber=Sing|Case=C{n % 20}"
        for n in range(NUM_WORDS)
    ]
    weights = list(accumulate(1 / (rank + 3) for rank in range(NUM_WORDS)))  # Zipf's law
    written = number = 0
    with path.open("w", encoding="utf-8") as file:
        while written < num_tokens:
            number += 1
            chosen = rng.choices(rows, cum_weights=weights, k=rng.randint(1, LONGEST))
            lines = [f"{place}\t{row}\t{place - 1}\tdep\t_\t_\n" for place, row in enumerate(chosen, 1)]
            file.write(f"# sent_id = s{number}\n{''.join(lines)}\n")
            written += len(chosen)
