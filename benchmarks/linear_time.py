"""Measure whether the time of tokenizers and splitters grows with the text: `python benchmarks/linear_time.py`.

Prints the ratio of the times of two texts of which one is eight times as long: about 8 is linear, 64 quadratic.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from flairlite.splitter import SegtokSentenceSplitter
from flairlite.tokenization import SyntokTokenizer
from flairlite.tokenization.base import align

WORDS = ["the cat's mat, don't. ", "http://a.b/c me@a.org U.S. Mr. X!! ", "a", "aA", "a-", "a'", "a,", "a.", "a@"]
WORDS += ["www.", "http:", 'www."', "a.b@c", "Mr.", "--", "(", "e\u0301", "\u200b"]
SENTENCES = [".", "...)", "a.", '?!" ', " ", "\n", "\n ", ":)", "A.", "Mr. "]
LENGTH = 12_500  # characters of the shorter text


def tokenize(text: str) -> None:
    """Tokenize and align a text."""
    align(text, SyntokTokenizer().tokenize(text))


def split(text: str) -> None:
    """Split a text into sentences."""
    SegtokSentenceSplitter().split(text, link_sentences=False)


def best_time(function: Callable[[str], None], text: str) -> float:
    """Return the least processor time of five runs, in seconds."""
    times = []
    for _ in range(5):
        start = time.process_time()
        function(text)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the ratio for each pattern."""
    for function, patterns in ((tokenize, WORDS), (split, SENTENCES)):
        for pattern in patterns:
            short, long = (
                best_time(function, pattern * (size // len(pattern)) + "ab") for size in (LENGTH, 8 * LENGTH)
            )
            print(f"{function.__name__:10} {pattern!r:40} {long / short:6.1f}")


if __name__ == "__main__":
    main()
