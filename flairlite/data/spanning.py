"""Labels of stretches of text, put onto the words that they cover."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from flairlite.errors import LabelError

if TYPE_CHECKING:
    from flairlite.data.sentence import Sentence


def label_characters(sentence: Sentence, label_type: str, start: int, end: int, label: str) -> bool:
    """Label the words of a stretch of the sentence's text.

    White space at its borders is left out. A word that the stretch covers in part is taken whole.

    Args:
        sentence: The sentence.
        label_type: The type of the label.
        start: The first character.
        end: The one behind the last.
        label: The label.

    Returns:
        Whether the borders are those of words.

    Raises:
        LabelError: when the stretch leads out of the text or covers no word, or the label is empty.
    """
    text = sentence.text
    if not 0 <= start < end <= len(text) or not label:
        raise LabelError(
            f"a span must lie within the {len(text)} characters of the text and have a label, "
            f"not from {start} to {end} with {label!r}"
        )
    covered = text[start:end]
    inner_start = end - len(covered.lstrip())
    inner_end = start + len(covered.rstrip())
    first, behind = covered_words(sentence, inner_start, inner_end)
    if first >= behind:
        raise LabelError(f"the span from {start} to {end}, {covered!r}, covers no word")
    span = sentence[first:behind].add_label(label_type, label)
    return (span.start_position, span.end_position) == (inner_start, inner_end)


def covered_words(sentence: Sentence, start: int, end: int) -> tuple[int, int]:
    """Return the first word that a stretch of the text covers, in part or whole, and the one behind the last.

    The second number is not greater than the first when there is none.
    """
    layout, numbers = sentence._layout, range(len(sentence))
    return bisect_right(numbers, start, key=layout.end_of), bisect_left(numbers, end, key=layout.start_of)
