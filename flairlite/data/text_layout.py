"""The words of a text, and their positions in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import accumulate
from typing import Any

from flairlite.data.label_values import to_plain_str
from flairlite.errors import SettingError
from flairlite.tokenization import NoTokenizer, SpaceTokenizer, Tokenizer, default_tokenizer
from flairlite.tokenization.base import align

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


_WRAP = "TokenizerWrapper(function)"
NO_TOKENIZER, _SPACE_TOKENIZER = NoTokenizer(), SpaceTokenizer()


def choose_tokenizer(use_tokenizer: bool | Tokenizer) -> Tokenizer:
    """Return the tokenizer that is meant by a tokenizer, True (the default one) or False (split at spaces).

    Raises:
        SettingError: If `use_tokenizer` is anything else.
    """
    if isinstance(use_tokenizer, Tokenizer):
        return use_tokenizer
    if not isinstance(use_tokenizer, bool):
        raise SettingError(f"use_tokenizer must be True, False or a Tokenizer, such as {_WRAP}, not {use_tokenizer!r}")
    return default_tokenizer() if use_tokenizer else _SPACE_TOKENIZER


def list_words(given: Any) -> list[Any]:
    """Return the words of a sentence as a list.

    Raises:
        SettingError: If `given` is a single value, or has no order or several dimensions.
    """
    is_list = isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray, memoryview, Mapping, Set))
    if not is_list or getattr(given, "ndim", 1) != 1:  # arrays and tables have ndim
        remedy = "decode it, as text.decode('utf-8')" if isinstance(given, (bytes, bytearray)) else "give one of them"
        raise SettingError(
            f"a sentence is made of a text or a list of words, not of {given!r:.60} ({type(given).__name__}): {remedy}"
        )
    return list(given)


def check_word(word: Any, index: int) -> str:
    """Return a word as a plain string.

    Raises:
        SettingError: If it is not a string.
    """
    text = to_plain_str(word)
    if text is None:
        raise SettingError(f"word {index} of a sentence must be a string, not {word!r:.60} ({type(word).__name__})")
    return text


def check_spaces(spaces: Any, num_words: int) -> list[int]:
    """Return the number of spaces after each word as a list.

    Raises:
        SettingError: If there is not an integer of 0 or more for each word.
    """
    is_list = isinstance(spaces, Iterable) and not isinstance(spaces, (str, bytes))
    listed: list[Any] = list(spaces) if is_list else [None]
    if len(listed) != num_words or any(not hasattr(space, "__index__") or space < 0 for space in listed):
        raise SettingError(f"spaces must be an integer of 0 or more for each of {num_words} words: {spaces}")
    return list(map(int, listed))


def split_text(text: str, tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """Return the words of a text and the offset of each.

    Raises:
        SettingError: If the tokenizer does not return a list of strings.
    """
    words = tokenizer.tokenize(text)
    if isinstance(words, (str, bytes)) or not isinstance(words, Iterable):
        raise SettingError(f"{tokenizer.name} must return a list of words, not {words!r:.60}")
    listed = list(words)
    if set(map(type, listed)) != {str}:
        listed = [check_word(word, index) for index, word in enumerate(listed)]
    return listed, align(text, listed, tokenizer=tokenizer.name)
