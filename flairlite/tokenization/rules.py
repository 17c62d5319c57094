"""Tokenizers with language rules: the default, based on syntok, and one that is close to segtok."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from flairlite.errors import SettingError
from flairlite.tokenization.base import Tokenizer, compile_pattern

# Words that syntok splits and UD_English-EWT keeps whole. The look-behinds prevent a match from starting inside text
# that an earlier attempt has scanned, so that the search is linear in the text.
KEEP_WHOLE = r"""
(?:https?://|ftp://|www\.)[^\s<>"]*[\w/]       # http://example.org/a-b?c
|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+      # first.last@example.org
|(?<![\w.])(?<!\w['’])(?:[^\W\d_]\.)+(?!\w)    # J. U.S. a.m., but not the t. of don't.
|(?<!\w)(?:Mr|Mrs|Ms|Dr|Prof|Rev|St|Jr|Sr|Gen|Col|Capt|Lt|Sgt|Rep|Sen|Gov|Inc|Corp|Ltd|Co|vs|etc
    |Jan|Feb|Mar|Apr|Aug|Sept|Oct|Nov|Dec)\.(?!\w)
|([!?.*=_~$-])\1+                              # !! .... ----
"""
# Words as segtok splits them. A full stop is part of a word when more text follows: Mr. Lee, the U.S. army.
_SEGTOK = re.compile(
    r"""
(?:[^\W_]\.){2,}(?=\s+\S)
|(?:Mr|Mrs|Ms|Dr|Prof|Rev|St|Jr|Sr|Gen|Col|Capt|Lt|Sgt|Rep|Sen|Gov|Inc|Corp|Ltd|Co|vs|No
    |Jan|Feb|Mar|Apr|Aug|Sept|Oct|Nov|Dec|[A-Z])\.(?=\s+\S)
|[^\W_]+(?:(?:[-'’.]|(?<=\d)[,:](?=\d))[^\W_]+)*(?:(?<=s)['’](?![\w'’]))?   # John's, 15-year-old, 3,000.50, dogs'
|_+|\.{2,3}|[.!?]|[^\w\s.!?]+
""",
    re.VERBOSE,
)
_CONTRACTION = re.compile(r"(?<=\w)(?:n['’]t|['’](?:s|m|d|re|ve|ll))$", re.IGNORECASE)
_MAX_CACHED_LENGTH = 64  # characters; longer chunks rarely repeat and would fill the memory


class SyntokTokenizer(Tokenizer):
    """Splits English and similar languages with the rules of syntok; no character but white space is lost.

    syntok splits contractions (do | n't) and hyphens (15 | - | year) as the treebanks of Universal Dependencies do.
    Here, what `keep` matches is one token, a capital inside a word does not split it (McDonald), and a character that
    syntok alone takes for white space, such as U+200B, is a token. `benchmarks/compare_tokenizers.py` compares it with
    other libraries.

    Args:
        keep: A verbose regular expression of what stays whole; None for syntok's own tokens.

    Raises:
        SettingError: If `keep` is not a valid regular expression.

    Example:
        >>> SyntokTokenizer().tokenize("Mr. Lee doesn't like 12-bit iPhones!!")
        ['Mr.', 'Lee', 'does', "n't", 'like', '12', '-', 'bit', 'iPhones', '!!']

    See https://github.com/fnl/syntok.
    """

    options = ("keep",)

    def __init__(self, *, keep: str | None = KEEP_WHOLE) -> None:
        self.keep = keep
        if keep is not None:
            compile_pattern(keep, re.VERBOSE)  # raises here rather than at the first text

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, in time linear in its length."""
        words: list[str] = []
        for chunk in text.split():
            split = _split_cached if len(chunk) <= _MAX_CACHED_LENGTH else _split_chunk
            words += split(chunk, self.keep)
        return words


class SegtokTokenizer(Tokenizer):
    """Splits nearly like segtok, Flair's default: 15-year-old is one token, do | n't two, `%).` one.

    The rules are this library's own; on UD_English-EWT they find 99 % of segtok's tokens. Unlike segtok, they never
    rewrite or lose a character. For new models, the default tokenizer is the better one.

    Args:
        additional_split_characters: Characters that are always a token of their own, such as `§`.

    Raises:
        SettingError: If `additional_split_characters` is not a list of single characters.

    Example:
        >>> SegtokTokenizer().tokenize("Mr. Lee doesn't like 12-bit iPhones (5%).")
        ['Mr.', 'Lee', 'does', "n't", 'like', '12-bit', 'iPhones', '(', '5', '%).']
        >>> SegtokTokenizer(additional_split_characters=["%"]).tokenize("(5%)")
        ['(', '5', '%', ')']
    """

    options = ("additional_split_characters",)

    def __init__(self, additional_split_characters: list[str] | None = None) -> None:
        self.additional_split_characters = additional_split_characters
        given = [] if additional_split_characters is None else additional_split_characters
        is_list = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
        if not is_list or any(not isinstance(item, str) or len(item) != 1 for item in given):
            raise SettingError(f"additional_split_characters must be a list of single characters, not {given!r}")
        self._split = re.compile(f"([{re.escape(''.join(given))}])") if given else None

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, in time linear in its length."""
        words: list[str] = []
        for piece in self._split.split(text) if self._split else [text]:
            for match in _SEGTOK.finditer(piece):
                word = match.group()
                contraction = _CONTRACTION.search(word)
                cut = contraction.start() if contraction else 0
                words += [word[:cut], word[cut:]] if cut else [word]
        return words


@lru_cache(maxsize=1)
def default_tokenizer() -> Tokenizer:
    """Return the tokenizer that is used by default; always the same object."""
    return SyntokTokenizer()


def _split_chunk(chunk: str, keep: str | None) -> tuple[str, ...]:
    """Split text without white space into words that contain all of its characters."""
    cuts = {0, len(chunk)}
    for token in _load_syntok()(chunk):
        cuts.update((token.offset, token.offset + len(token.value)))
    if keep is not None:
        # syntok takes a capital after a small letter for a missing space, which is rarer than McDonald and iPhone
        cuts = {cut for cut in cuts if not (chunk[cut - 1 : cut].islower() and chunk[cut : cut + 1].isupper())}
        for match in compile_pattern(keep, re.VERBOSE).finditer(chunk):
            cuts.difference_update(range(match.start() + 1, match.end()))
            cuts.update(match.span())
    bounds = sorted(cuts)
    return tuple(chunk[start:end] for start, end in pairwise(bounds))


_split_cached = lru_cache(maxsize=2**15)(_split_chunk)


@lru_cache(maxsize=1)
def _load_syntok() -> Callable[[str], Iterator[Any]]:
    from syntok.tokenizer import Tokenizer as Syntok  # imported on first use

    # `tokenize` yields; `split` keeps all tokens of a long chunk, which the garbage collector scans repeatedly
    syntok = Syntok(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)
    tokenize: Callable[[str], Iterator[Any]] = syntok.tokenize
    return tokenize
