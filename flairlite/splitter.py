"""Splitting running text into sentences."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.tokenization import SpacyTokenizer, Tokenizer, default_tokenizer
from flairlite.tokenization.libraries import load_spacy

Bounds = tuple[int, int]  # start and exclusive end, in characters


class SentenceSplitter(ABC):
    """Splits a text into sentences that know their offsets and their neighbours.

    A subclass defines `_perform_split`; `_sentences` makes sentences from their bounds in the text.

    Args:
        tokenizer: The tokenizer of the sentences; the default tokenizer when None. It can be assigned.
    """

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer if tokenizer is not None else default_tokenizer()

    def split(self, text: str, link_sentences: bool = True) -> list[Sentence]:
        """Return the sentences of a text, without the white space between them.

        Args:
            text: The text.
            link_sentences: Whether to link each sentence to the previous and the next one.
        """
        sentences = self._perform_split(text)
        if link_sentences:
            Sentence.set_context_for_sentences(sentences)
        return sentences

    @property
    def name(self) -> str:
        """The name of this splitter."""
        return f"{type(self).__name__}_{self.tokenizer.name}"

    @abstractmethod
    def _perform_split(self, text: str) -> list[Sentence]: ...

    def _sentences(self, text: str, bounds: Iterable[Bounds]) -> list[Sentence]:
        """Make a sentence of each part of the text that is not white space."""
        parts = [(text[start:end], start) for start, end in bounds]
        return [Sentence(part, self.tokenizer, start_position=start) for part, start in parts if part.strip()]


class SegtokSentenceSplitter(SentenceSplitter):
    """Splits English where sentences end, and at every empty line; named as Flair's default splitter.

    The rules are this library's own: a full stop ends a sentence unless it follows an abbreviation, which ends
    one only before a word that often begins sentences. `benchmarks/compare_splitters.py` compares them with segtok's.

    Example:
        >>> [sentence.text for sentence in SegtokSentenceSplitter().split("I saw Dr. Lee. He left at 5 p.m. today!")]
        ['I saw Dr. Lee.', 'He left at 5 p.m. today!']
    """

    def _perform_split(self, text: str) -> list[Sentence]:
        return self._sentences(text, _bounds_of(text, _ends_by_rules))


class SyntokSentenceSplitter(SentenceSplitter):
    """Splits English, Spanish and German with the rules of syntok, and at every empty line.

    See https://github.com/fnl/syntok.
    """

    def _perform_split(self, text: str) -> list[Sentence]:
        return self._sentences(text, _bounds_of(text, _ends_by_syntok))


class SpacySentenceSplitter(SentenceSplitter):
    """Splits with a spaCy model; spaCy is an optional package.

    Args:
        model: A loaded pipeline, or the name of one, which marks where sentences begin.
        tokenizer: The tokenizer of the sentences; the model's own when None.

    Raises:
        FlairliteError: If spaCy or the model is not installed.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer | None = None) -> None:
        self.model = load_spacy(model) if isinstance(model, str) else model
        super().__init__(tokenizer if tokenizer is not None else SpacyTokenizer(model))

    @property
    def name(self) -> str:
        """The names of the class, of the model and of the tokenizer."""
        return f"{type(self).__name__}_{self.model.meta['name']}_{self.model.meta['version']}_{self.tokenizer.name}"

    def _perform_split(self, text: str) -> list[Sentence]:
        return self._sentences(text, [(part.start_char, part.end_char) for part in self.model(text).sents])


class TagSentenceSplitter(SentenceSplitter):
    """Splits at each occurrence of a tag, which is left out.

    Args:
        tag: The tag.
        tokenizer: The tokenizer of the sentences; the default tokenizer when None.

    Raises:
        SettingError: If the tag is empty.
    """

    def __init__(self, tag: str, tokenizer: Tokenizer | None = None) -> None:
        if not tag:
            raise SettingError("tag must have at least one character")
        super().__init__(tokenizer)
        self.tag = tag

    @property
    def name(self) -> str:
        """The name of the class, the tag and the name of the tokenizer."""
        return f"{type(self).__name__}_{self.tag}_{self.tokenizer.name}"

    def _perform_split(self, text: str) -> list[Sentence]:
        bounds, start = [], 0
        for part in text.split(self.tag):
            bounds.append((start, start + len(part)))
            start += len(part) + len(self.tag)
        return self._sentences(text, bounds)


class NewlineSentenceSplitter(TagSentenceSplitter):
    """Takes each line as a sentence."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        super().__init__("\n", tokenizer)

    @property
    def name(self) -> str:
        """The names of the class and of the tokenizer."""
        return f"{type(self).__name__}_{self.tokenizer.name}"


class NoSentenceSplitter(SentenceSplitter):
    """Takes the whole text as one sentence, even if it is empty."""

    def _perform_split(self, text: str) -> list[Sentence]:
        return [Sentence(text, self.tokenizer)]


# The possible end of a sentence, with closing marks, before a word. A match begins at the start of a run of marks, so
# that the search is linear in the text.
_END = re.compile(
    r"""
(?<![.!?…])(?P<mark>[.!?…]+)
(?P<closing>['"”’)\]*]*)
(?:\s?[:;]-?[)(DP](?!\w))*                     # :-)
(?=\s+(?P<next>[^\s)\]:;,.!?…]\S*))
""",
    re.VERBOSE,
)
_TITLE = re.compile(  # a name or a number follows
    r"""
(?<![\w.])(?:Mr|Mrs|Ms|Dr|Prof|Rev|St|Gen|Col|Capt|Lt|Sgt|Maj|Adm|Rep|Sen|Gov|Hon|Pres|Mt|Ft
    |Nos?|vs|cf|Figs?|Eqs?|pp|approx|e\.g|i\.e)$
""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"""
(?<![\w.])(?:etc|al|Inc|Corp|Ltd|Co|Jr|Sr|Bros|Ave|Blvd|Rd|Dept|Univ
    |Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|[A-Z]|(?:[A-Za-z]\.)+[A-Za-z])$
""",
    re.VERBOSE,
)
_MAX_ABBREVIATION = 16  # characters
_STARTER = re.compile(  # words that often begin a sentence, other than names
    r"""
(?:A|An|And|As|At|But|For|From|He|Her|His|How|However|I|If|In|It|Its|My|No|Not|On|Our|She|So|Some|That|The|Their|Then
    |There|These|They|This|Those|To|We|What|When|Where|While|Who|Why|With|Yes|You|Your)\b
""",
    re.VERBOSE,
)


def _bounds_of(text: str, ends: Callable[[str], Iterable[int]]) -> Iterator[Bounds]:
    """Yield the bounds of sentences by paragraph; `ends` returns the exclusive end of each but the last."""
    for paragraph in re.finditer(r"\S.*(?:\n(?!\s*\n).*)*", text):
        inner = (paragraph.start() + end for end in ends(paragraph.group()))
        for start, end in pairwise([paragraph.start(), *inner, paragraph.end()]):
            part = text[start:end]
            yield end - len(part.lstrip()), start + len(part.rstrip())


def _ends_by_rules(paragraph: str) -> Iterator[int]:
    for match in _END.finditer(paragraph):
        mark, following = match["mark"], match["next"].lstrip("\"'“‘([*-–—")
        before = paragraph[max(0, match.start() - _MAX_ABBREVIATION) : match.start()]
        if mark == "." and (_TITLE.search(before) or (_ABBREVIATION.search(before) and not _STARTER.match(following))):
            continue
        if following[:1].islower() and (match["closing"] or mark.startswith(("..", "…"))):
            continue
        yield match.end()


def _ends_by_syntok(paragraph: str) -> Iterator[int]:
    from syntok.segmenter import segment  # imported on first use
    from syntok.tokenizer import Tokenizer as Syntok

    syntok = Syntok(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)
    return (tokens[0].offset for tokens in islice(segment(syntok.tokenize(paragraph)), 1, None))
