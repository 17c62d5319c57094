"""Tokenizers: from a text to its words, and from the words back to their places in the text."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar

from flairlite.errors import FlairliteError, SettingError

# What syntok cuts up and UD_English-EWT keeps whole. The look-behinds let no match start inside what an earlier start
# has read in vain, so that the search is linear in the text.
KEEP_WHOLE = r"""
(?:https?://|ftp://|www\.)[^\s<>"]*[\w/]       # http://example.org/a-b?c
|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+      # first.last@example.org
|(?<![\w.])(?:[^\W\d_]\.)+(?!\w)               # J. U.S. a.m.
|(?<!\w)(?:Mr|Mrs|Ms|Dr|Prof|Rev|St|Jr|Sr|Gen|Col|Capt|Lt|Sgt|Rep|Sen|Gov|Inc|Corp|Ltd|Co|vs|etc
    |Jan|Feb|Mar|Apr|Aug|Sept|Oct|Nov|Dec)\.(?!\w)
|([!?.*=_~$-])\1+                              # !! .... ----
"""
_MAX_CACHED_LENGTH = 64  # characters; longer stretches hardly come twice and would fill the memory


class Tokenizer(ABC):
    """Splits a text into words.

    A subclass has `tokenize`; the arguments of its constructor are attributes, which `options` lists, plain values that
    a model file can hold. Tokenizers of one class with the same options are equal.
    """

    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, in order."""

    @property
    def name(self) -> str:
        """What reports and errors call this tokenizer."""
        return type(self).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return the class and its options as plain values, for `Tokenizer.from_dict`."""
        values = {option: getattr(self, option) for option in self.options}
        return {"class_module": type(self).__module__, "class_name": type(self).__name__, **values}

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Tokenizer:
        """Build the tokenizer that `to_dict` described: of this class, or of a subclass that has been imported.

        Raises:
            SettingError: The class is not known or does not take these options. Nothing is imported by its name, so
                that a model file cannot make a program run other code.
        """
        options = dict(config)
        place = options.pop("class_module", None), options.pop("class_name", None)
        known = next((known for known in _family(cls) if (known.__module__, known.__name__) == place), None)
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


class SyntokTokenizer(Tokenizer):
    """Splits English and similar languages with the rules of syntok; no character but white space is lost.

    syntok splits contractions (do | n't) and hyphens (15 | - | year) as the treebanks of Universal Dependencies do.
    Here, what `keep` matches is one token, a capital inside a word does not split it (McDonald), and a character that
    syntok alone takes for white space, such as U+200B, is a token. `benchmarks/compare_tokenizers.py` compares it with
    other libraries.

    Args:
        keep: A verbose regular expression of what stays whole; None for syntok's own tokens.

    Raises:
        SettingError: `keep` is no regular expression.

    Example:
        >>> SyntokTokenizer().tokenize("Mr. Lee doesn't like 12-bit iPhones!!")
        ['Mr.', 'Lee', 'does', "n't", 'like', '12', '-', 'bit', 'iPhones', '!!']

    See https://github.com/fnl/syntok.
    """

    options = ("keep",)

    def __init__(self, *, keep: str | None = KEEP_WHOLE) -> None:
        self.keep = keep
        if keep is not None:
            _compile(keep, re.VERBOSE)  # a faulty one is reported here, not at the first text

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, in time linear in its length."""
        words: list[str] = []
        for chunk in text.split():
            split = _split_cached if len(chunk) <= _MAX_CACHED_LENGTH else _split_chunk
            words += split(chunk, self.keep)
        return words


class SpaceTokenizer(Tokenizer):
    """Splits at the space character alone, as Flair's does: a tab or a line break is part of a word."""

    def tokenize(self, text: str) -> list[str]:
        """Return what stands between spaces."""
        return [word for word in text.split(" ") if word]


class RegexTokenizer(Tokenizer):
    r"""Takes each match of a regular expression for a word; what no match covers is left out.

    Example:
        >>> RegexTokenizer(r"\w+|[^\w\s]").tokenize("It's 5 p.m.")
        ['It', "'", 's', '5', 'p', '.', 'm', '.']
    """

    options = ("pattern",)

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._expression = _compile(pattern)

    def tokenize(self, text: str) -> list[str]:
        """Return the matches that are not empty."""
        return [match.group() for match in self._expression.finditer(text) if match.group()]


class TokenizerWrapper(Tokenizer):
    """Makes a tokenizer of a function from a text to its words."""

    def __init__(self, tokenizer_func: Callable[[str], list[str]]) -> None:
        self.tokenizer_func = tokenizer_func

    @property
    def name(self) -> str:
        """The names of the class and of the function."""
        return f"TokenizerWrapper_{self.to_dict()['function_name']}"

    def tokenize(self, text: str) -> list[str]:
        """Return what the function returns."""
        return self.tokenizer_func(text)

    def to_dict(self) -> dict[str, Any]:
        """Return the names of the function, which say what to wrap again but build nothing."""
        function = self.tokenizer_func
        named = function if hasattr(function, "__qualname__") else type(function)  # else an object that can be called
        return {**super().to_dict(), "function_module": named.__module__, "function_name": named.__qualname__}

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Tokenizer:
        """Raise SettingError: no file holds a function."""
        place = f"{config.get('function_module')}.{config.get('function_name')}"
        raise SettingError(f"no file holds the function {place}: wrap it again with TokenizerWrapper")

    def __eq__(self, other: object) -> bool:
        return self.tokenizer_func == other.tokenizer_func if isinstance(other, TokenizerWrapper) else NotImplemented

    __hash__ = Tokenizer.__hash__


class SpacyTokenizer(Tokenizer):
    """Splits with the tokenizer of a spaCy model; spaCy is an optional package.

    Args:
        model: A loaded pipeline, or what `spacy.load` takes: a name such as `en_core_web_sm`, a path, `blank:en`.

    Raises:
        FlairliteError: spaCy or the model is not installed.
    """

    def __init__(self, model: Any) -> None:
        self.model_name = model if isinstance(model, str) else f"{model.meta['lang']}_{model.meta['name']}"
        self.model = _load_spacy(model) if isinstance(model, str) else model

    @property
    def name(self) -> str:
        """The names of the class and of the model."""
        return f"SpacyTokenizer_{self.model_name}"

    def tokenize(self, text: str) -> list[str]:
        """Return the words of the model's tokenizer, without its tokens of white space."""
        return [token.text for token in self.model.make_doc(text) if token.text.strip()]

    def to_dict(self) -> dict[str, Any]:
        """Return the class and the name to load the model by."""
        return {**super().to_dict(), "model": self.model_name}


@lru_cache(maxsize=1)
def default_tokenizer() -> Tokenizer:
    """Return the one tokenizer that is used where none is given."""
    return SyntokTokenizer()


def align(text: str, words: Sequence[str], *, tokenizer: str = "the tokenizer") -> list[int]:
    """Return the offset of each word in the text, each found after the end of the one before.

    Args:
        text: The text that was tokenized.
        words: Its words in order, each a stretch of the text.
        tokenizer: The name that an error gives.

    Raises:
        FlairliteError: A word is empty, or is not in the rest of the text because the tokenizer rewrote it.

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
                f"{tokenizer} gave {word!r} as word {number}, expected a stretch of the text from character {end} on "
                f"({text[end : end + 30]!r}): use a tokenizer that leaves the characters as they are"
            )
        starts.append(start)
        end = start + len(word)
    return starts


def _split_chunk(chunk: str, keep: str | None) -> tuple[str, ...]:
    """Return the words of a stretch without white space, cut from it, so that all its characters are in them."""
    cuts = {0, len(chunk)}
    for token in _load_syntok()(chunk):
        cuts.update((token.offset, token.offset + len(token.value)))
    if keep is not None:
        # syntok takes a capital after a small letter for a missing space, which is rarer than McDonald and iPhone
        cuts = {cut for cut in cuts if not (chunk[cut - 1 : cut].islower() and chunk[cut : cut + 1].isupper())}
        for match in _compile(keep, re.VERBOSE).finditer(chunk):
            cuts.difference_update(range(match.start() + 1, match.end()))
            cuts.update(match.span())
    bounds = sorted(cuts)
    return tuple(chunk[start:end] for start, end in pairwise(bounds))


_split_cached = lru_cache(maxsize=2**15)(_split_chunk)


@lru_cache(maxsize=1)
def _load_syntok() -> Callable[[str], Iterator[Any]]:
    from syntok.tokenizer import Tokenizer as Syntok  # not with flairlite, as much of its use needs no tokenizer

    # `tokenize` yields; `split` keeps all tokens of a long stretch, which the garbage collector walks over and over
    syntok = Syntok(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)
    tokenize: Callable[[str], Iterator[Any]] = syntok.tokenize
    return tokenize


@lru_cache(maxsize=64)
def _compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(pattern, flags)
    except (re.error, TypeError) as error:
        raise SettingError(f"expected a regular expression, got {pattern!r}: {error}") from error


def _load_spacy(name: str) -> Any:
    try:
        spacy = importlib.import_module("spacy")
    except ImportError as error:
        raise FlairliteError("SpacyTokenizer needs spaCy: pip install spacy, or use SyntokTokenizer") from error
    try:
        return spacy.load(name)
    except OSError as error:
        raise FlairliteError(f"spaCy has no model {name!r}: python -m spacy download {name}") from error


def _family(cls: type[Tokenizer]) -> list[type[Tokenizer]]:
    return [cls, *(known for child in cls.__subclasses__() for known in _family(child))]
