"""Tokenizers of optional libraries."""

from __future__ import annotations

import importlib
from typing import Any

from flairlite.checks import one_of, shown
from flairlite.errors import MissingExtraError, SettingError
from flairlite.tokenization.base import Tokenizer


class SpacyTokenizer(Tokenizer):
    """Splits with the tokenizer of a spaCy model; spaCy is an optional package.

    Args:
        model: A loaded pipeline, or an argument of `spacy.load`: a name such as `en_core_web_sm`, a path, `blank:en`.

    Raises:
        MissingExtraError: If spaCy or the model is not installed.
        SettingError: If the model is neither a pipeline nor a string.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, str) and not (hasattr(model, "make_doc") and hasattr(model, "meta")):
            raise SettingError(f"model must be a pipeline of spaCy or an argument of spacy.load; it is {shown(model)}")
        self.model_name = model if isinstance(model, str) else f"{model.meta['lang']}_{model.meta['name']}"
        self.model = load_spacy(model) if isinstance(model, str) else model

    @property
    def name(self) -> str:
        """The names of the class and of the model."""
        return f"SpacyTokenizer_{self.model_name}"

    def tokenize(self, text: str) -> list[str]:
        """Return the words of the model's tokenizer, without tokens of white space."""
        return [token.text for token in self.model.make_doc(text) if token.text.strip()]

    def to_dict(self) -> dict[str, Any]:
        """Return the class and the name of the model."""
        return {**super().to_dict(), "model": self.model_name}


class JapaneseTokenizer(Tokenizer):
    """Splits Japanese with MeCab, Janome or SudachiPy by way of konoha; all of them are optional packages.

    Args:
        tokenizer: `mecab`, `janome` or `sudachi`.
        sudachi_mode: How finely SudachiPy splits: `A` (most), `B` or `C`.

    Raises:
        SettingError: If the tokenizer or the mode is unknown.
        MissingExtraError: If konoha or the tokenizer is not installed.
    """

    options = ("tokenizer", "sudachi_mode")

    def __init__(self, tokenizer: str, sudachi_mode: str = "A") -> None:
        one_of("mecab", "janome", "sudachi")("tokenizer", tokenizer)
        self.tokenizer, self.sudachi_mode = tokenizer, one_of("A", "B", "C")("sudachi_mode", sudachi_mode)
        try:
            konoha = importlib.import_module("konoha")
            self._split_sentences = konoha.SentenceTokenizer().tokenize
            self._split_words = konoha.WordTokenizer(tokenizer, mode=sudachi_mode).tokenize
        except ImportError as error:
            command = f"pip install 'konoha[{tokenizer.lower()}]'"
            raise MissingExtraError(f"JapaneseTokenizer needs konoha with {tokenizer}", command=command) from error

    @property
    def name(self) -> str:
        """The names of the class and of the tokenizer."""
        return f"JapaneseTokenizer_{self.tokenizer}"

    def tokenize(self, text: str) -> list[str]:
        """Return the words of all sentences of the text."""
        return [str(word) for sentence in self._split_sentences(text) for word in self._split_words(sentence)]


def load_spacy(name: str) -> Any:
    """Load a pipeline of spaCy.

    Raises:
        MissingExtraError: If spaCy or the pipeline is not installed.
    """
    try:
        spacy = importlib.import_module("spacy")
    except ImportError as error:
        command = "pip install spacy, or use SyntokTokenizer and SyntokSentenceSplitter"
        raise MissingExtraError("spaCy is not installed", command=command) from error
    try:
        return spacy.load(name)
    except OSError as error:
        raise MissingExtraError(f"spaCy has no model {name!r}", command=f"python -m spacy download {name}") from error
