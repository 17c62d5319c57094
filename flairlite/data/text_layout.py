"""Positions of words in the text of a sentence, and locations of data points among its words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from flairlite.errors import SettingError

# The (start, end) of a span, end exclusive; the index of a token; None for the whole sentence.
Location = tuple[int, int] | int | None


def is_within(location: Location, num_tokens: int) -> bool:
    """Tell whether a location is within the first `num_tokens` tokens, as the whole sentence always is."""
    return location is None or (location < num_tokens if isinstance(location, int) else location[1] <= num_tokens)


class TextLayout:
    """The text of a sentence and the offset of each word in it, each computed when it is first needed.

    Args:
        words: The words.
        spaces: Number of spaces after each word; one each without `spaces` and `text`.
        text: The text that contains the words.
        starts: The offset of each word in `text`.
    """

    __slots__ = ("_spaces", "_starts", "_text", "_words")

    def __init__(
        self,
        words: list[str],
        spaces: Sequence[int] | None = None,
        *,
        text: str | None = None,
        starts: list[int] | None = None,
    ) -> None:
        self._words, self._spaces, self._text, self._starts = words, spaces, text, starts

    @property
    def text(self) -> str:
        """The text; without the spaces after the last word if it is made from words."""
        if self._text is None:
            spaces = self._spaces_or_ones()
            joined = "".join([word + " " * space for word, space in zip(self._words, spaces, strict=True)])
            last = spaces[-1] if len(spaces) else 0
            self._text = joined[: len(joined) - last]
        return self._text

    def start_of(self, index: int) -> int:
        """Return the offset of the first character of a word."""
        if self._starts is None:
            widths = (len(word) + space for word, space in zip(self._words, self._spaces_or_ones(), strict=True))
            self._starts = [0, *accumulate(widths)][:-1]
        return self._starts[index]

    def end_of(self, index: int) -> int:
        """Return the offset after the last character of a word."""
        return self.start_of(index) + len(self._words[index])

    def spaces_after(self, index: int) -> int:
        """Return the number of characters between a word and the next one, or the end of a given text."""
        if self._spaces is not None:
            return self._spaces[index]
        if self._starts is None or self._text is None:
            return self._spaces_or_ones()[index]
        following = self._starts[index + 1] if index + 1 < len(self._words) else len(self._text)
        return following - self.end_of(index)

    def words_in(self, start: int, end: int) -> tuple[int, int]:
        """Return (first, end) of the words that characters `start` to `end` cover, in part or whole.

        `end` is not above `first` if they cover no word.
        """
        indices = range(len(self._words))
        return bisect_right(indices, start, key=self.end_of), bisect_left(indices, end, key=self.start_of)

    def truncate(self, count: int) -> TextLayout:
        """Return the layout of the first `count` words; the text ends with the last of them."""
        spaces = [self.spaces_after(index) for index in range(count)]
        starts = [self.start_of(index) for index in range(count)]
        text = self.text[: self.end_of(count - 1)] if count else ""
        return TextLayout(self._words[:count], spaces, text=text, starts=starts)

    def _spaces_or_ones(self) -> Sequence[int]:
        if self._spaces is None:
            self._spaces = b"\1" * len(self._words)  # kept: later answers of spaces_after must not differ
        return self._spaces


def layout_with_starts(words: list[str], spaces: Sequence[int], starts: Sequence[int]) -> TextLayout:
    """Return the layout of words some of which have a known offset.

    Args:
        words: The words.
        spaces: Number of spaces after each word; used before words without a known offset.
        starts: The offset of each word, 0 where it is not known.

    Raises:
        SettingError: If a word would begin inside the previous one.
    """
    parts: list[str] = []
    offsets: list[int] = []
    end, gap = 0, 0
    for word, space, start in zip(words, spaces, starts, strict=True):
        offset = start or end + gap
        if offset < end:
            raise SettingError(f"{word!r} cannot begin at character {offset}: the word before ends at {end}")
        parts += [" " * (offset - end), word]
        offsets.append(offset)
        end, gap = offset + len(word), space
    return TextLayout(words, text="".join(parts), starts=offsets)


_NO_SPACE_BEFORE = frozenset((".", ":", ",", ";", ")", "n't", "!", "?"))


def infer_spaces(words: Sequence[str], spaces: Sequence[int]) -> list[int]:
    """Return the number of spaces after each word as English writes them: `( a , " b " ) !` is `(a, "b")!`.

    Args:
        words: The words.
        spaces: The number of spaces after words for which there is no rule.
    """
    inferred = list(spaces)
    is_open = False
    for index, word in enumerate(words):
        if word == '"':
            is_open = not is_open
        if word == "(" or (word == '"' and is_open):
            inferred[index] = 0
        elif index and (word in _NO_SPACE_BEFORE or word.startswith("'") or word == '"'):
            inferred[index - 1] = 0
    return inferred
