"""Tokenizers: from a text to its words."""

from flairlite.tokenization.base import Tokenizer
from flairlite.tokenization.libraries import JapaneseTokenizer, SpacyTokenizer
from flairlite.tokenization.patterns import (
    NoTokenizer,
    RegexTokenizer,
    SpaceTokenizer,
    StaccatoTokenizer,
    TokenizerWrapper,
)
from flairlite.tokenization.rules import SegtokTokenizer, SyntokTokenizer, default_tokenizer

__all__ = [
    "JapaneseTokenizer",
    "NoTokenizer",
    "RegexTokenizer",
    "SegtokTokenizer",
    "SpaceTokenizer",
    "SpacyTokenizer",
    "StaccatoTokenizer",
    "SyntokTokenizer",
    "Tokenizer",
    "TokenizerWrapper",
    "default_tokenizer",
]
