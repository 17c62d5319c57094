"""What is written as one word, such as `don't`, in place of the syntactic words that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from flairlite.data.sentence import Sentence

# label types, and where a range's own values stand in its row; those without a place are taken from its parts
_ROW = {"lemma": 2, "upos": 3, "xpos": 4, "pos": 4, "feats": 5, "misc": 9, "head": 0, "deprel": 0, "dependency": 0}
_KEY = "multiword_tokens"


def with_multiwords(sentence: Sentence) -> Sentence:
    """Return the sentence with each range of CoNLL-U, such as `1-2 don't`, as one word.

    Such a word has the lemma, tags and features of its own row, which mostly has none, and head and relation of that of
    its parts whose head is outside of it. Enhanced dependencies, whose ids would be wrong, are left out. A sentence
    without a range is returned as it is.
    """
    rows = sentence.metadata.get(_KEY)
    if not rows:
        return sentence
    ranges = {}  # by the first word: the one behind the last, and the row
    for row in rows:
        first, last = map(int, row[0].split("-"))
        ranges[first - 1] = last, row
    starts = [0]
    while starts[-1] < len(sentence.words):
        starts.append(ranges[starts[-1]][0] if starts[-1] in ranges else starts[-1] + 1)
    place_of = {old: new for new, (start, stop) in enumerate(pairwise(starts)) for old in range(start, stop)}
    heads = sentence.token_labels("head")
    kept = [_outermost(start, stop, heads) for start, stop in pairwise(starts)]
    words = [ranges[start][1][1] if start in ranges else sentence.words[start] for start in starts[:-1]]
    spaces = [sentence.tokens[stop - 1].whitespace_after for stop in starts[1:]]
    columns: dict[str, list[str | None]] = {}
    for name, field in _ROW.items():
        column = sentence.token_labels(name)
        if column is None:
            continue
        values = [column[place] for place in kept]
        if name == "head":
            values = [str(place_of[int(head) - 1] + 1) if head and head != "0" else head for head in values]
        elif field:
            values = [
                _known(ranges[start][1][field]) if start in ranges else value
                for start, value in zip(starts[:-1], values, strict=True)
            ]
        columns[name] = values
    metadata = {key: value for key, value in sentence.metadata.items() if key not in (_KEY, "empty_nodes")}
    return Sentence.from_columns(words, spaces, columns, metadata)


def _outermost(start: int, stop: int, heads: Sequence[str | None] | None) -> int:
    """Return the first of some words whose head is none of them."""
    if heads is None:
        return start
    inside = {str(place + 1) for place in range(start, stop)}
    return next((place for place in range(start, stop) if heads[place] not in inside), start)


def _known(value: str) -> str | None:
    return None if value == "_" else value
