"""Find the rows of words in a table, as written or in a more general form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from flairlite.lookup.packing import PackedWords

DIGIT = re.compile(r"\d")  # as in Flair, the digits of all scripts
# Forms that are looked up in turn while a word is not found as written; the order is Flair's.
_FALLBACKS = (str.lower, lambda word: DIGIT.sub("#", word.lower()), lambda word: DIGIT.sub("0", word.lower()))

# forms in which a lexicon is searched, by name
FORMS: dict[str, Callable[[str], str]] = {"exact": str, "lower": str.lower, "title": str.capitalize, "upper": str.upper}

_MAX_CACHED_ROWS = 100_000  # texts repeat words, and a look-up in the arrays is slower than one in a dict
_NOT_CACHED = -2


def rewriter(*, lower_case: bool, zero_digits: bool) -> Callable[[str], str]:
    """Return the function that gives the form in which a word is looked up: in lower case, with each digit as `0`."""
    if not zero_digits:
        return str.lower if lower_case else str
    return lambda word: DIGIT.sub("0", word.lower() if lower_case else word)


class RowFinder:
    """Looks words up as Flair does: as written, in lower case, then with each digit as '#', then as '0'.

    Args:
        words: The words of the table; of equal words, the first is found.
    """

    def __init__(self, words: PackedWords) -> None:
        self._words = words
        self._row_cache: dict[str, int] = {}

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each of U words, preferably distinct, -1 for a word that is not found: (U,)."""
        if len(self._row_cache) > _MAX_CACHED_ROWS:
            self._row_cache.clear()
        cached = map(self._row_cache.get, words, repeat(_NOT_CACHED))
        rows = np.fromiter(cached, dtype=np.int64, count=len(words))  # (U,)
        missing = np.flatnonzero(rows == _NOT_CACHED)
        if missing.size:
            new = [words[index] for index in missing.tolist()]
            rows[missing] = self._look_up(new)
            self._row_cache.update(zip(new[:_MAX_CACHED_ROWS], rows[missing].tolist(), strict=False))
        return rows

    def _look_up(self, words: Sequence[str]) -> NDArray[np.int64]:
        rows, forms = self._words.find(words), list(words)  # (U,); the form of each word that was looked up last
        for rewrite in _FALLBACKS:
            changed = []
            for index in np.flatnonzero(rows < 0).tolist():
                form = rewrite(words[index])
                if form != forms[index]:
                    forms[index] = form
                    changed.append(index)
            if changed:
                rows[changed] = self._words.find([forms[index] for index in changed])
        return rows
