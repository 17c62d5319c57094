"""Splitting running text into sentences."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.tokenization import SpacyTokenizer, Tokenizer, default_tokenizer
from flairlite.tokenization.libraries import load_spacy

Stretch = tuple[int, int]  # first character, the one behind the last


class SentenceSplitter(ABC):
    """Splits a text into sentences, which know their places in it and each other.

    A subclass has `_perform_split`; `_sentences` makes sentences of stretches of the text.

    Args:
        tokenizer: What splits the sentences into words; the default tokenizer when None. It can be assigned.
    """

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer if tokenizer is not None else default_tokenizer()

    def split(self, text: str, link_sentences: bool = True) -> list[Sentence]:
        """Return the sentences of a text; white space between them is in none.

        Args:
            text: The text.
            link_sentences: Tell each sentence which one is before and behind it.
        """
        sentences = self._perform_split(text)
        if link_sentences:
            Sentence.set_context_for_sentences(sentences)
        return sentences

    @property
    def name(self) -> str:
        """What distinguishes this splitter from others."""
        return f"{type(self).__name__}_{self.tokenizer.name}"

    @abstractmethod
    def _perform_split(self, text: str) -> list[Sentence]: ...

    def _sentences(self, text: str, stretches: Iterable[Stretch]) -> list[Sentence]:
        """Make a sentence of each stretch that is not white space."""
        parts = [(text[start:end], start) for start, end in stretches]
        return [Sentence(part, self.tokenizer, start_position=start) for part, start in parts if part.strip()]


class SyntokSentenceSplitter(SentenceSplitter):
    """Splits English, Spanish, German and similar languages with the rules of syntok; an empty line always splits.

    Example:
        >>> [sentence.text for sentence in SyntokSentenceSplitter().split("I saw Dr. Lee. He left at 5 p.m. today!")]
        ['I saw Dr. Lee.', 'He left at 5 p.m. today!']

    See https://github.com/fnl/syntok.
    """

    def _perform_split(self, text: str) -> list[Sentence]:
        return self._sentences(text, _syntok_stretches(text))


class SegtokSentenceSplitter(SyntokSentenceSplitter):
    """Splits as `SyntokSentenceSplitter` does: syntok is what segtok's author made of it later. The name is Flair's."""


class SpacySentenceSplitter(SentenceSplitter):
    """Splits with a spaCy model; spaCy is an optional package.

    Args:
        model: A loaded pipeline, or the name of one, which marks where sentences begin.
        tokenizer: What splits the sentences into words; the model's own tokenizer when None.

    Raises:
        FlairliteError: spaCy or the model is not installed.
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
    """Splits wherever a tag stands, which is in no sentence.

    Args:
        tag: The tag.
        tokenizer: What splits the sentences into words; the default tokenizer when None.

    Raises:
        SettingError: The tag is empty.
    """

    def __init__(self, tag: str, tokenizer: Tokenizer | None = None) -> None:
        if not tag:
            raise SettingError("a tag that splits sentences has at least one character")
        super().__init__(tokenizer)
        self.tag = tag

    @property
    def name(self) -> str:
        """The name of the class, the tag and the name of the tokenizer."""
        return f"{type(self).__name__}_{self.tag}_{self.tokenizer.name}"

    def _perform_split(self, text: str) -> list[Sentence]:
        stretches, start = [], 0
        for part in text.split(self.tag):
            stretches.append((start, start + len(part)))
            start += len(part) + len(self.tag)
        return self._sentences(text, stretches)


class NewlineSentenceSplitter(TagSentenceSplitter):
    """Takes each line for a sentence."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        super().__init__("\n", tokenizer)

    @property
    def name(self) -> str:
        """The names of the class and of the tokenizer."""
        return f"{type(self).__name__}_{self.tokenizer.name}"


class NoSentenceSplitter(SentenceSplitter):
    """Takes the whole text for one sentence, even an empty one."""

    def _perform_split(self, text: str) -> list[Sentence]:
        return [Sentence(text, self.tokenizer)]


def _syntok_stretches(text: str) -> Iterable[Stretch]:
    from syntok.segmenter import segment  # not with flairlite, as much of its use splits no text
    from syntok.tokenizer import Tokenizer as Syntok

    syntok = Syntok(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)
    for paragraph in re.finditer(r"\S.*(?:\n(?!\s*\n).*)*", text):
        tokens = syntok.tokenize(paragraph.group())
        starts = [paragraph.start() + tokens[0].offset for tokens in segment(tokens)][1:]
        bounds = [paragraph.start(), *starts, paragraph.end()]
        for start, end in pairwise(bounds):
            yield start, start + len(text[start:end].rstrip())
