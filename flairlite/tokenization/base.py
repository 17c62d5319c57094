"""The base class of tokenizers, and the alignment of words with their text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

from flairlite.errors import FlairliteError, SettingError


class Tokenizer(ABC):
    """Splits a text into words.

    A subclass defines `tokenize`. The arguments of its constructor are attributes named in `options`, with plain values
    that a model file can store. Tokenizers of one class with the same options are equal.
    """

    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, in order."""

    @property
    def name(self) -> str:
        """The name in reports and errors."""
        return type(self).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return the class and its options as plain values, for `Tokenizer.from_dict`."""
        values = {option: getattr(self, option) for option in self.options}
        return {"class_module": type(self).__module__, "class_name": type(self).__name__, **values}

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Tokenizer:
        """Build a tokenizer from the result of `to_dict`: of this class, or of an imported subclass.

        Raises:
            SettingError: If the class is unknown or does not take these options. Nothing is imported by name, so that a
                model file cannot run other code.
        """
        options = dict(config)
        package, name = str(options.pop("class_module", "")).partition(".")[0], options.pop("class_name", None)
        known = next((known for known in _family(cls) if (_package(known), known.__name__) == (package, name)), None)
        if known is None:
            raise SettingError(f"expected a known {cls.__name__}, got {config}: import the module that defines it")
        if known is not cls:
            return known.from_dict(config)
        try:
            return cls(**options)
        except TypeError as error:
            raise SettingError(f"{cls.__name__} does not take the options {options}: {error}") from error

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Tokenizer) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __copy__(self) -> Tokenizer:
        return self  # immutable, so copies of a sentence share it

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        return self


def align(text: str, words: Sequence[str], *, tokenizer: str = "the tokenizer") -> list[int]:
    """Return the offset of each word in the text, each after the end of the previous word.

    Args:
        text: The text that was tokenized.
        words: Its words in order, each a substring of the text.
        tokenizer: The name for errors.

    Raises:
        FlairliteError: If a word is empty, or the rest of the text lacks it because the tokenizer changed it.

    Example:
        >>> align("It's  it", ["It", "'s", "it"])
        [0, 2, 6]
    """
    starts = []
    end = 0
    for number, word in enumerate(words, start=1):
        start = text.find(word, end)
        if start < 0 or not word:
            raise FlairliteError(
                f"{tokenizer} gave {word!r} as word {number}, expected a part of the text from character {end} on "
                f"({text[end : end + 30]!r}): use a tokenizer that leaves the characters as they are"
            )
        starts.append(start)
        end = start + len(word)
    return starts


@lru_cache(maxsize=64)
def compile_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compile a regular expression.

    Raises:
        SettingError: If `pattern` is not a valid regular expression.
    """
    try:
        return re.compile(pattern, flags)
    except (re.error, TypeError) as error:
        raise SettingError(f"expected a regular expression, got {pattern!r}: {error}") from error


def _family(cls: type[Tokenizer]) -> list[type[Tokenizer]]:
    return [cls, *(known for child in cls.__subclasses__() for known in _family(child))]


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]
