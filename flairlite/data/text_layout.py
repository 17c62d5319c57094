"""Where the words of a sentence stand in its text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from flairlite.errors import SettingError


class TextLayout:
    """The text of words and the place of each in it; what was not given is worked out when somebody asks.

    Args:
        words: The words.
        spaces: Number of spaces behind each word; one when neither they nor a text are given.
        text: The text that the words were found in.
        starts: The offset of each word in it.
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
        """The text; what follows the last of given words is no part of it."""
        if self._text is None:
            spaces = self._widths()
            joined = "".join([word + " " * space for word, space in zip(self._words, spaces, strict=True)])
            last = spaces[-1] if len(spaces) else 0
            self._text = joined[: len(joined) - last]
        return self._text

    def start_of(self, index: int) -> int:
        """Return the offset of a word."""
        if self._starts is None:
            widths = (len(word) + space for word, space in zip(self._words, self._widths(), strict=True))
            self._starts = [0, *accumulate(widths)][:-1]
        return self._starts[index]

    def end_of(self, index: int) -> int:
        """Return the offset behind a word."""
        return self.start_of(index) + len(self._words[index])

    def spaces_after(self, index: int) -> int:
        """Return how many characters stand between a word and the next one, or the end of a text that was given."""
        if self._spaces is not None:
            return self._spaces[index]
        if self._starts is None or self._text is None:
            return 1
        following = self._starts[index + 1] if index + 1 < len(self._words) else len(self._text)
        return following - self.end_of(index)

    def ends_with(self, number: int) -> TextLayout:
        """Return the layout of the first words alone, the text ending behind the last of them."""
        spaces = [self.spaces_after(index) for index in range(number)]
        starts = [self.start_of(index) for index in range(number)]
        text = self.text[: self.end_of(number - 1)] if number else ""
        return TextLayout(self._words[:number], spaces, text=text, starts=starts)

    def _widths(self) -> Sequence[int]:
        return self._spaces if self._spaces is not None else [1] * len(self._words)


def placed_layout(words: list[str], spaces: Sequence[int], starts: Sequence[int]) -> TextLayout:
    """Return the layout of words some of which have their place in the text.

    Args:
        words: The words.
        spaces: Number of spaces behind each word whose follower has no place.
        starts: The offset of each word, 0 where it has none.

    Raises:
        SettingError: when the place of a word is inside the one before.
    """
    parts: list[str] = []
    places: list[int] = []
    end, gap = 0, 0
    for word, space, start in zip(words, spaces, starts, strict=True):
        place = start or end + gap
        if place < end:
            raise SettingError(f"{word!r} cannot begin at character {place}: the word before ends at {end}")
        parts += [" " * (place - end), word]
        places.append(place)
        end, gap = place + len(word), space
    return TextLayout(words, text="".join(parts), starts=places)


def infer_spaces(words: Sequence[str], spaces: Sequence[int]) -> list[int]:
    """Return the numbers of spaces behind words, none where English has none: `( a , " b " ) !` is `(a, "b")!`.

    Args:
        words: The words.
        spaces: The numbers that stay elsewhere.
    """
    inferred = list(spaces)
    is_open = False
    for index, word in enumerate(words):
        if word == '"':
            is_open = not is_open
        opens = word == "(" or (word == '"' and is_open)
        if opens:
            inferred[index] = 0
        elif index and (word in _NO_SPACE_BEFORE or word.startswith("'") or word == '"'):
            inferred[index - 1] = 0
    return inferred


_NO_SPACE_BEFORE = frozenset((".", ":", ",", ";", ")", "n't", "!", "?"))
