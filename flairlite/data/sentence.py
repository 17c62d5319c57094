"""A sentence: words and their annotations, stored column by column."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsIndex, overload

from flairlite.data.annotations import SentenceAnnotations
from flairlite.data.context import Context, SentenceInDocument
from flairlite.data.data_points import DataPoint, Span, Token, check_unbound
from flairlite.data.label_values import check_count, to_plain_str
from flairlite.data.labels import ARROW, NO_LABELS, LabelStore
from flairlite.data.serialization import add_annotations, annotations_of, fill_from_dict, sentence_to_dict
from flairlite.data.text_layout import (
    NO_TOKENIZER,
    Location,
    TextLayout,
    check_spaces,
    check_word,
    choose_tokenizer,
    infer_spaces,
    layout_with_starts,
    list_words,
    split_text,
)
from flairlite.data.vectors import Vectors
from flairlite.errors import SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")


class Sentence(SentenceAnnotations, SentenceInDocument):
    """A sentence or text: its words, and labels of the whole sentence, of single tokens and of spans.

    Labels of tokens are stored in one list per label type; `Token` and `Label` objects are made when they are read. A
    text is split into words when they are first read.

    Args:
        text: A text, or a list of words, or a list of tokens that were made by hand.
        use_tokenizer: True for the default tokenizer, False to split at spaces, or a tokenizer.
        language_code: ISO 639-1 code of the language.
        start_position: Offset of the sentence in its document, in characters.
        spaces: Number of spaces after each word, if words are given; one each by default.

    Raises:
        SettingError: If `text` is neither a string nor a list of strings or tokens, if a token belongs to a sentence
            already, or if `spaces` does not fit the words.

    Example:
        >>> sentence = Sentence("I love Berlin .", use_tokenizer=False)
        >>> len(sentence), sentence[2].text
        (4, 'Berlin')
        >>> print(sentence.set_token_labels("upos", ["PRON", "VERB", "PROPN", "PUNCT"]))
        Sentence[4]: "I love Berlin ." → ["I"/PRON, "love"/VERB, "Berlin"/PROPN, "."/PUNCT]
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_known_layout",
        "_labels",
        "_metadata",
        "_text",
        "_tokenizer",
        "_tokens",
        "_vectors",
        "_words",
        "language_code",
        "start_position",
    )

    start_position: int

    def __init__(
        self,
        text: str | Sequence[str] | Sequence[Token],
        use_tokenizer: bool | Tokenizer = True,
        language_code: str | None = None,
        start_position: int = 0,
        *,
        spaces: Sequence[int] | None = None,
    ) -> None:
        self.language_code = language_code
        self.start_position = start_position if type(start_position) is int else check_count(start_position, "start")
        self._labels = NO_LABELS
        self._known_layout: TextLayout | None = None
        self._tokens: list[Token] | None = None
        self._metadata: dict[str, Any] | None = None
        self._vectors: Vectors | None = None
        self._context: Context | None = None
        self._tokenizer: Tokenizer | dict[str, Any] | None = None  # of an unpickled sentence, its description
        self._text: str | None = None  # until it is split into words
        self._words: list[str] | None = None
        if type(text) is list or type(text) is tuple:
            self._take_words(list(text))
        elif (plain := to_plain_str(text)) is not None:
            self._text, self._tokenizer = plain, choose_tokenizer(use_tokenizer)
        else:
            self._take_words(list_words(text))
        if spaces is not None:
            if self._text is not None or self._tokens is not None:
                raise SettingError("spaces go with words: a text has its own, a token has whitespace_after")
            self.set_spaces(spaces)

    @classmethod
    def from_columns(
        cls,
        words: list[str],
        spaces: Sequence[int],
        columns: Mapping[str, Sequence[str | None]],
        metadata: dict[str, Any],
    ) -> Sentence:
        """Make a sentence of columns without copying or checking them, for readers that have checked a file.

        Args:
            words: The words.
            spaces: Number of spaces after each word.
            columns: One label or None a word, by label type; label types may share a tuple, but not a list.
            metadata: The metadata of the sentence.
        """
        sentence = cls(())
        sentence._words, sentence._metadata = words, metadata
        sentence._known_layout, sentence._labels = TextLayout(words, spaces), LabelStore(columns)
        return sentence

    @classmethod
    def from_dict(cls, sentence_dict: Mapping[str, Any]) -> Sentence:
        """Make a sentence from the plain data that `to_dict` returned, here or in Flair.

        Raises:
            SettingError: If the data have another form, or the tokenizer is unknown or wraps a function.
        """
        sentence = cls(())
        fill_from_dict(sentence, sentence_dict)
        return sentence

    def to_dict(self) -> dict[str, Any]:
        """Return text, tokens, labels and metadata as plain data, ready for JSON if the metadata are."""
        return sentence_to_dict(self)

    # Words and text

    @property
    def words(self) -> list[str]:
        """The words, in order."""
        return self._words if self._words is not None else self._split_text()

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that splits the text into words; assigning another one calls `retokenize`."""
        if isinstance(self._tokenizer, dict):
            self._tokenizer = Tokenizer.from_dict(self._tokenizer)
        return self._tokenizer or NO_TOKENIZER

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer) -> None:
        if self._words is None or tokenizer != self.tokenizer:
            self.retokenize(tokenizer)

    @property
    def tokens(self) -> list[Token]:
        """The tokens, in order."""
        if self._tokens is None:
            self._tokens = [Token._view(self, index) for index in range(len(self.words))]
        return self._tokens

    @property
    def text(self) -> str:
        """The text; for every token, `text[token.start_position:token.end_position]` is the token's text."""
        return self._text if self._text is not None else self._layout.text

    @property
    def end_position(self) -> int:
        """Offset after the sentence in its document."""
        return self.start_position + len(self.text)

    @property
    def unlabeled_identifier(self) -> str:
        """Length and text, as in `Sentence[3]: "I love Berlin"`."""
        return f'Sentence[{len(self)}]: "{self.text}"'

    @property
    def metadata(self) -> dict[str, Any]:
        """Further properties of the sentence, such as the comments of a CoNLL-U file."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    def to_original_text(self) -> str:
        """Return the text as it was given."""
        return self.text

    def to_plain_string(self) -> str:
        """Return the text from the first word to the last."""
        return self.text[self._layout.start_of(0) :].rstrip() if self.words else ""

    def to_tokenized_string(self) -> str:
        """Return the words, joined with single spaces."""
        return " ".join(self.words)

    def to_tagged_string(self, main_label: str | None = None) -> str:
        """Return text and labels, of one label type or of all, as in `Sentence[2]: "Go on" → ["Go"/VERB, "on"/ADP]`."""
        points = dict.fromkeys(label.data_point for label in self.get_labels(main_label))
        points.pop(self, None)
        parts = [f'"{point.text}"{point._format_labels(main_label, with_scores=False)}' for point in points]
        head = self.unlabeled_identifier + self._format_labels(main_label)
        return head + (f"{ARROW}[{', '.join(parts)}]" if parts else "")

    def __str__(self) -> str:
        return self.to_tagged_string()

    def set_spaces(self, spaces: Sequence[int]) -> Sentence:
        """Set the number of spaces after each word; the text and the offsets of the words change with it.

        Raises:
            SettingError: If there is not an integer of 0 or more for each word.
        """
        self._known_layout = TextLayout(self.words, check_spaces(spaces, len(self.words)))
        return self

    def infer_space_after(self) -> Sentence:
        """Remove the spaces that English does not write, as before `,` and after `(`, for words without their text."""
        return self.set_spaces(infer_spaces(self.words, list(map(self._layout.spaces_after, range(len(self))))))

    def retokenize(self, new_tokenizer: Tokenizer, *, warn: bool = True) -> None:
        """Split the text into words with another tokenizer.

        If the words are the same, everything stays. Else labels of the sentence and of spans stay, while labels of
        tokens, embeddings and existing `Token` and `Span` objects become invalid. A span is moved to the words that it
        covers in part or whole.

        Args:
            new_tokenizer: The tokenizer.
            warn: Whether to log a warning if labels are lost.

        Raises:
            SettingError: If `new_tokenizer` is not a `Tokenizer`.
        """
        if not isinstance(new_tokenizer, Tokenizer):
            raise SettingError(f"a sentence needs a Tokenizer, not {new_tokenizer!r:.60}: TokenizerWrapper(function)")
        if self._words is None:
            self._tokenizer = new_tokenizer
            return
        old_layout, text = self._layout, self.text
        words, starts = split_text(text, new_tokenizer)
        if words == self._words and starts == list(map(old_layout.start_of, range(len(words)))):
            self._tokenizer = new_tokenizer
            return
        annotations, num_lost = annotations_of(self), self._labels.count_token_labels()
        for token in self._tokens or ():
            token._invalidate()
        self._tokens, self._labels, self._vectors = None, NO_LABELS, None
        self._set_words(words, TextLayout(words, text=text, starts=starts), new_tokenizer)
        lost_spans = add_annotations(self, annotations)
        if warn and num_lost:
            log.warning("%d labels of tokens are lost: %s splits %.60r differently", num_lost, new_tokenizer.name, text)
        for name in lost_spans if warn else ():
            log.warning("The labels of %s are lost: no word of %s is in it", name, new_tokenizer.name)

    def truncate(self, max_tokens: int) -> None:
        """Keep the first `max_tokens` tokens and the text up to them; spans that end after them are removed."""
        count = check_count(max_tokens, "max_tokens")
        if len(self) <= count:
            return
        self._known_layout, tokens = self._layout.truncate(count), self.tokens
        for token in tokens[count:]:
            token._invalidate()
        self._words, self._tokens = self.words[:count], tokens[:count]
        self._own_labels().keep_tokens(count)
        for point in self._labels.points(None).values():
            if isinstance(point, Span):
                point._words = self._words
        if self._vectors is not None:
            self._vectors.keep_tokens(count)

    # Tokens and spans

    def get_token(self, token_id: int) -> Token | None:
        """Return the token of a 1-based index, or None."""
        return self.tokens[token_id - 1] if 1 <= token_id <= len(self.words) else None

    @overload
    def __getitem__(self, index: SupportsIndex) -> Token: ...

    @overload
    def __getitem__(self, index: slice) -> Span: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Token | Span:
        if not isinstance(index, slice):
            return self.tokens[index]
        start, stop, step = index.indices(len(self.words))
        if step != 1 or start >= stop:
            shown = f"[{index.start}:{index.stop}:{index.step}]"
            raise SettingError(f"a span is at least one token, and all tokens from start to stop, not {shown}")
        return self.get_span(start, stop)

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.words)

    def __bool__(self) -> bool:
        return True  # also without words

    # Construction

    def _split_text(self) -> list[str]:
        text, tokenizer = self._text or "", self.tokenizer
        words, starts = split_text(text, tokenizer)
        self._set_words(words, TextLayout(words, text=text, starts=starts), tokenizer)
        return words

    def _set_words(self, words: list[str], layout: TextLayout | None, tokenizer: Tokenizer | None) -> None:
        self._words, self._known_layout, self._tokenizer, self._text = words, layout, tokenizer, None

    def _take_words(self, listed: list[Any]) -> None:
        types = set(map(type, listed))
        if types <= {str}:
            self._words = listed
        elif all(issubclass(kind, Token) for kind in types):
            self._take_tokens(listed)
        elif any(issubclass(kind, Token) for kind in types):
            raise SettingError("a sentence takes words or tokens, not some of both: make the words tokens, Token(word)")
        else:
            self._words = [check_word(word, index) for index, word in enumerate(listed)]

    def _take_tokens(self, tokens: list[Token]) -> None:
        check_unbound(tokens)
        labels = [[(label, dict(label.metadata)) for label in token.get_labels()] for token in tokens]
        self._words = words = [token.text for token in tokens]
        spaces, starts = [token.whitespace_after for token in tokens], [token.start_position for token in tokens]
        self._known_layout = layout_with_starts(words, spaces, starts) if any(starts) else TextLayout(words, spaces)
        for index, token in enumerate(tokens):
            token._bind(self, index)
        self._tokens = tokens
        for token, token_labels in zip(tokens, labels, strict=True):
            for label, metadata in token_labels:
                self._own_labels().add(token, str(label.typename), label.value, label.score, metadata)

    # Storage of this sentence and its parts

    @property
    def _home(self) -> Sentence:
        return self

    @property
    def _location(self) -> None:
        return None

    @property
    def _layout(self) -> TextLayout:
        if self._known_layout is None:
            words = self.words  # splitting a text also sets the layout
            self._known_layout = self._known_layout or TextLayout(words)
        return self._known_layout

    def add_metadata(self, key: str, value: Any) -> None:
        """Store a value under a name; see `metadata`."""
        self.metadata[key] = value

    def _metadata_to_read(self) -> Mapping[str, Any]:
        return self._metadata or {}

    def _point_at(self, location: Location) -> DataPoint:
        if location is None:
            return self
        return self.tokens[location] if isinstance(location, int) else self.get_span(*location)

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickle: words, so that the tokenizer, which may be a function, is not pickled."""
        self.words  # noqa: B018  # splits the text
        tokenizer = self._tokenizer.to_dict() if isinstance(self._tokenizer, Tokenizer) else self._tokenizer
        return self._state() | {"_tokenizer": tokenizer}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._labels = self._labels or NO_LABELS

    def __copy__(self) -> Sentence:
        """Return a copy with labels and metadata of its own, but without neighbours; words and tensors are shared."""
        twin = self.__class__.__new__(self.__class__)
        own = {"_tokens": None, "_labels": None, "_vectors": self._vectors and self._vectors.copy()}
        copied = {"_context": copy.copy(self._context), "_metadata": copy.copy(self._metadata)}
        twin.__setstate__(self._state() | own | copied)
        if self._labels is not NO_LABELS:
            twin._labels = self._labels.copy_for(twin._point_at)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Sentence:
        memo[id(self)] = twin = self.__class__.__new__(self.__class__)
        twin.__setstate__(copy.deepcopy(self._state(), memo))
        return twin

    def _state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in Sentence.__slots__ if name != "__weakref__"}
        own = getattr(self, "__dict__", {})  # of a subclass
        return state | own | {"_labels": None if self._labels is NO_LABELS else self._labels}
