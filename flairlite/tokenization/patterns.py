"""Tokenizers based on patterns, and a wrapper of functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flairlite.checks import shown
from flairlite.errors import NotSerializableError, SettingError
from flairlite.tokenization.base import Tokenizer, compile_pattern


class SpaceTokenizer(Tokenizer):
    """Splits at space characters only, like Flair's: a tab or a line break is part of a word."""

    def tokenize(self, text: str) -> list[str]:
        """Return the parts between spaces."""
        return [word for word in text.split(" ") if word]


class RegexTokenizer(Tokenizer):
    r"""Takes each match of a regular expression as a word; other text is left out.

    Raises:
        SettingError: If the pattern is no regular expression.

    Example:
        >>> RegexTokenizer(r"\w+|[^\w\s]").tokenize("It's 5 p.m.")
        ['It', "'", 's', '5', 'p', '.', 'm', '.']
    """

    options = ("pattern",)

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str):
            raise SettingError(f"expected a regular expression, got {shown(pattern)}")
        self.pattern = pattern
        self._expression = compile_pattern(pattern)

    def tokenize(self, text: str) -> list[str]:
        """Return the matches that are not empty."""
        return [match.group() for match in self._expression.finditer(text) if match.group()]


class StaccatoTokenizer(Tokenizer):
    """Splits wherever the kind of character changes, in any language.

    A token is a run of letters of words, of Hiragana or of Katakana, a run of digits, a Chinese character, or a single
    other character that can be seen. Abbreviations with two full stops or more (U.S., e.g.) are one token. White space
    and characters without width are left out.

    Example:
        >>> StaccatoTokenizer().tokenize("It's 03-16-2025 in the U.S.")
        ['It', "'", 's', '03', '-', '16', '-', '2025', 'in', 'the', 'U.S.']
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the runs of characters of one kind."""
        return _staccato().findall(text)


class NoTokenizer(Tokenizer):
    """Takes the whole text as one word; the tokenizer of sentences made from words."""

    def tokenize(self, text: str) -> list[str]:
        """Return the text, or nothing if it is white space."""
        return [text] if text.strip() else []


class TokenizerWrapper(Tokenizer):
    """Wraps a function that splits a text into words."""

    def __init__(self, tokenizer_func: Callable[[str], list[str]]) -> None:
        self.tokenizer_func = tokenizer_func

    @property
    def name(self) -> str:
        """The names of the class and of the function."""
        return f"TokenizerWrapper_{self.to_dict()['function_name']}"

    def tokenize(self, text: str) -> list[str]:
        """Return the result of the function."""
        return self.tokenizer_func(text)

    def to_dict(self) -> dict[str, Any]:
        """Return the names of the function; a tokenizer cannot be built from them."""
        function = self.tokenizer_func
        named = function if hasattr(function, "__name__") else type(function)  # else an object that can be called
        module = getattr(named, "__module__", None)  # methods of built-in types have none
        return {
            **super().to_dict(),
            "function_module": module,
            "function_name": named.__name__,
            "serializable": False,
        }

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Tokenizer:
        """Raise NotSerializableError: functions cannot be stored in a file."""
        place = f"{config.get('function_module')}.{config.get('function_name')}"
        raise NotSerializableError(f"no file holds the function {place}: wrap it again with TokenizerWrapper")

    def __eq__(self, other: object) -> bool:
        return self.tokenizer_func == other.tokenizer_func if isinstance(other, TokenizerWrapper) else NotImplemented

    __hash__ = Tokenizer.__hash__


@lru_cache(maxsize=1)
def _staccato() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in range(0x300, 0xFE00) if unicodedata.category(chr(code)).startswith("M"))
    ideograph, hiragana, katakana = (
        r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff",
        r"\u3040-\u309f",
        r"\u30a0-\u30ff",
    )
    letter = rf"(?![{ideograph}{hiragana}{katakana}])[^\W\d_]"
    no_width = r"\u200b-\u200d\u2060-\u206f\ufe00-\ufe0f\ufeff"
    return re.compile(
        rf"(?<!\w)(?:(?:{letter}){{1,3}}\.){{2,}}|(?:{letter}[{marks}]*)+|\d+"
        rf"|[{ideograph}]|[{hiragana}]+|[{katakana}]+|_|[^\w\s{no_width}]"
    )
