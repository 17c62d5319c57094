"""The words of a text: which tokenizer splits it, and checks of given words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from flairlite.data.label_values import to_plain_str
from flairlite.errors import SettingError
from flairlite.tokenization import NoTokenizer, SpaceTokenizer, Tokenizer, default_tokenizer
from flairlite.tokenization.base import align

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
