"""Where the words of a sentence stand in its text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


class TextLayout:
    """The text of words and the place of each in it; what was not given is worked out when somebody asks.

    Args:
        words: The words.
        spaces: Number of spaces behind each word; one when not given.
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

    def _widths(self) -> Sequence[int]:
        return self._spaces if self._spaces is not None else [1] * len(self._words)
