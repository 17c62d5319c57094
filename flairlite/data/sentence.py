"""A sentence: words and labels, stored column by column."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from flairlite.data.context import Context, InDocument
from flairlite.data.extras import Extras
from flairlite.data.label import ARROW
from flairlite.data.label_store import NO_LABELS, LabelStore
from flairlite.data.place import Place
from flairlite.data.sentence_labels import SentenceLabels
from flairlite.data.sentence_vectors import SentenceVectors
from flairlite.data.serialization import add_annotations, annotations_of, fill_from_dict, sentence_to_dict
from flairlite.data.span import Span
from flairlite.data.text_layout import TextLayout, infer_spaces, placed_layout
from flairlite.data.token import Token
from flairlite.errors import SettingError
from flairlite.tokenization import NoTokenizer, SpaceTokenizer, Tokenizer, default_tokenizer
from flairlite.tokenization.base import align

if TYPE_CHECKING:
    pass

log = logging.getLogger("flairlite")


class Sentence(SentenceLabels, SentenceVectors, InDocument):
    """A sentence or text: its words, and labels of the whole, of single tokens and of spans.

    Labels of tokens lie in one list a label type beside the list of words; `Token` and `Label` objects are made when
    somebody asks for them.

    Args:
        text: A text, which is split into words, or the words themselves, or tokens made by hand.
        use_tokenizer: True for the default tokenizer, False to split at spaces, or a tokenizer.
        language_code: ISO 639-1 code of the language, when it is known.
        start_position: Offset of the sentence in its document, in characters.
        spaces: Number of spaces behind each word, when words are given; one each by default.

    Raises:
        SettingError: when tokens belong to a sentence already, or there is not one number of spaces a word.

    Example:
        >>> sentence = Sentence("I love Berlin .", use_tokenizer=False)
        >>> len(sentence), sentence[2].text
        (4, 'Berlin')
        >>> print(sentence.set_token_labels("upos", ["PRON", "VERB", "PROPN", "PUNCT"]))
        Sentence[4]: "I love Berlin ." → ["I"/PRON, "love"/VERB, "Berlin"/PROPN, "."/PUNCT]
    """

    __slots__ = (
        "__weakref__",
        "_known_extras",
        "_known_layout",
        "_labels",
        "_metadata",
        "_text",
        "_tokenizer",
        "_tokens",
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
        self.start_position = start_position
        self._labels = NO_LABELS
        self._known_layout: TextLayout | None = None
        self._tokens: list[Token] | None = None
        self._metadata: dict[str, Any] | None = None
        self._known_extras: Extras | None = None
        self._tokenizer: Tokenizer | dict[str, Any] | None = None  # one that was pickled is described
        self._text: str | None = None  # until it is split into words
        self._words: list[str] | None = None
        if isinstance(text, str):
            self._text, self._tokenizer = text, _tokenizer(use_tokenizer)
        else:
            self._take_words(list(text))
        if spaces is not None:
            if isinstance(text, str) or self._tokens is not None:
                raise SettingError("spaces go with words: a text has its own, a token has whitespace_after")
            self.set_spaces(spaces)

    @classmethod
    def _from_columns(
        cls,
        words: list[str],
        spaces: Sequence[int],
        columns: Mapping[str, Sequence[str | None]],
        metadata: dict[str, Any],
    ) -> Sentence:
        """Make a sentence from columns that the caller has checked and gives away; tuples may be shared."""
        sentence = cls(())
        sentence._words, sentence._metadata = words, metadata
        sentence._known_layout, sentence._labels = TextLayout(words, spaces), LabelStore(columns)
        return sentence

    @classmethod
    def from_dict(cls, sentence_dict: Mapping[str, Any]) -> Sentence:
        """Make a sentence of what `to_dict` returned, here or in Flair.

        Raises:
            SettingError: when it has not this form, or its tokenizer is not known or wraps a function.
        """
        sentence = cls(())
        fill_from_dict(sentence, sentence_dict)
        return sentence

    def to_dict(self) -> dict[str, Any]:
        """Return text, tokens, labels and metadata as plain data, which JSON takes if the metadata allow it."""
        return sentence_to_dict(self)

    # Words and text

    @property
    def words(self) -> list[str]:
        """The words, in order; a text is split into them when somebody first asks."""
        return self._words if self._words is not None else self._split_text()

    @property
    def tokenizer(self) -> Tokenizer:
        """What splits the text into words; assigning another one splits it anew, see `retokenize`."""
        if isinstance(self._tokenizer, dict):
            self._tokenizer = Tokenizer.from_dict(self._tokenizer)
        return self._tokenizer or _NO_TOKENIZER

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer) -> None:
        if self._words is None:
            self._tokenizer = tokenizer
        elif tokenizer != self.tokenizer:
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
        """Offset behind the sentence in its document."""
        return self.start_position + len(self.text)

    @property
    def unlabeled_identifier(self) -> str:
        """Length and text, as in `Sentence[3]: "I love Berlin"`."""
        return f'Sentence[{len(self)}]: "{self.text}"'

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known of the sentence beside its labels, such as the comments of a CoNLL-U file."""
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
        """Return the words with what stands between them in the text."""
        return self.text[self._layout.start_of(0) :].rstrip() if self.words else ""

    def to_tokenized_string(self) -> str:
        """Return the words with one space between each two."""
        return " ".join(self.words)

    def to_tagged_string(self, main_label: str | None = None) -> str:
        """Return text and labels, of one label type or of all, as in `Sentence[2]: "Go on" → ["Go"/VERB, "on"/ADP]`."""
        points = dict.fromkeys(label.data_point for label in self.get_labels(main_label))
        points.pop(self, None)
        parts = [f'"{point.text}"{point._printed_labels(main_label, with_scores=False)}' for point in points]
        head = self.unlabeled_identifier + self._printed_labels(main_label)
        return head + (f"{ARROW}[{', '.join(parts)}]" if parts else "")

    def __str__(self) -> str:
        return self.to_tagged_string()

    def set_spaces(self, spaces: Sequence[int]) -> Sentence:
        """Say how many spaces stand behind each word; the text and the places of the words follow.

        Raises:
            SettingError: when there is not one number of 0 or more for each word.
        """
        if len(spaces) != len(self.words) or any(space < 0 for space in spaces):
            raise SettingError(f"spaces must be a number of 0 or more for each of {len(self.words)} words: {spaces}")
        self._known_layout = TextLayout(self.words, list(spaces))
        return self

    def infer_space_after(self) -> Sentence:
        """Take spaces out where English has none: before `,` or behind `(`; for words that came without their text."""
        return self.set_spaces(infer_spaces(self.words, list(map(self._layout.spaces_after, range(len(self))))))

    def retokenize(self, new_tokenizer: Tokenizer) -> None:
        """Split the text anew. Labels of the sentence and of spans stay, those of tokens and all embeddings go.

        A span is put onto the words that it covers, in part or whole; a warning names one that covers none.
        """
        text, annotations = self.text, annotations_of(self)
        self._words, self._text, self._tokenizer = None, text, new_tokenizer
        self._labels, self._known_layout, self._tokens = NO_LABELS, None, None
        if self._known_extras is not None:
            self._extras.forget_parts()
        for lost in add_annotations(self, annotations):
            log.warning("No word of %s is in %s: its labels are gone", new_tokenizer.name, lost)

    def truncate(self, max_tokens: int) -> None:
        """Keep the first tokens only, with the text up to them; spans that reach beyond them go."""
        if max_tokens < 0:
            raise SettingError(f"max_tokens must be 0 or more, not {max_tokens}")
        if len(self) <= max_tokens:
            return
        layout = self._layout.ends_with(max_tokens)
        self._tokens = self.tokens[:max_tokens]
        self._words, self._known_layout = self.words[:max_tokens], layout
        self._labels_to_change().keep_tokens(max_tokens)
        if self._known_extras is not None:
            self._extras.keep_tokens(max_tokens)

    # Tokens and spans

    def get_token(self, token_id: int) -> Token | None:
        """Return the token of a 1-based position, or None."""
        return self.tokens[token_id - 1] if 1 <= token_id <= len(self.words) else None

    def get_span(self, start: int, stop: int) -> Span:
        """Return the span of tokens `start` to `stop` (0-based, exclusive)."""
        return self[start:stop]

    @overload
    def __getitem__(self, index: SupportsIndex) -> Token: ...

    @overload
    def __getitem__(self, index: slice) -> Span: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Token | Span:
        if not isinstance(index, slice):
            return self.tokens[index]
        start, stop, step = index.indices(len(self.words))
        if step != 1 or start >= stop:
            raise SettingError(f"a span is at least one token, side by side: [{index.start}:{index.stop}:{index.step}]")
        return self._span(start, stop)

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.words)

    def __bool__(self) -> bool:
        return True  # an empty sentence is a sentence

    # What construction needs

    def _split_text(self) -> list[str]:
        text, tokenizer = self._text or "", self.tokenizer
        words = tokenizer.tokenize(text)
        starts = align(text, words, tokenizer=tokenizer.name)
        self._set_words(words, TextLayout(words, text=text, starts=starts), tokenizer)
        return words

    def _set_words(self, words: list[str], layout: TextLayout | None, tokenizer: Tokenizer | None) -> None:
        self._words, self._known_layout, self._tokenizer, self._text = words, layout, tokenizer, None

    def _is_tokenized(self) -> bool:
        return self._words is not None

    def _take_words(self, given: list[Any]) -> None:
        types = set(map(type, given))
        if types <= {str}:
            self._words = given
        elif not any(issubclass(kind, Token) for kind in types):
            self._words = [str(word) for word in given]
        elif all(issubclass(kind, Token) for kind in types):
            self._take_tokens(given)
        else:
            raise SettingError("a sentence takes words or tokens, not some of both: make the words tokens, Token(word)")

    def _take_tokens(self, tokens: list[Token]) -> None:
        taken = [token for token in tokens if token.sentence is not None]
        if taken or len(set(map(id, tokens))) < len(tokens):
            which = repr(taken[0].text) if taken else "one that comes twice here"
            raise SettingError(f"a token is part of one sentence only, not {which}: make another, Token(text)")
        labels = [token.get_labels() for token in tokens]
        self._words = words = [token.text for token in tokens]
        spaces, starts = [token.whitespace_after for token in tokens], [token.start_position for token in tokens]
        self._known_layout = placed_layout(words, spaces, starts) if any(starts) else TextLayout(words, spaces)
        for index, token in enumerate(tokens):
            token._bind(self, index)
        self._tokens = tokens
        for token, own in zip(tokens, labels, strict=True):
            for label in own:
                token.add_label(str(label.typename), label.value, label.score, **label.metadata)

    # What tokens and spans ask of their sentence

    @property
    def _home(self) -> Sentence:
        return self

    @property
    def _place(self) -> None:
        return None

    @property
    def _layout(self) -> TextLayout:
        if self._known_layout is None:
            words = self.words  # of a text, they come with their layout
            self._known_layout = self._known_layout or TextLayout(words)
        return self._known_layout

    def _labels_to_change(self) -> LabelStore:
        if self._labels is NO_LABELS:
            self._labels = LabelStore()
        return self._labels

    @property
    def _extras(self) -> Extras:
        if self._known_extras is None:
            self._known_extras = Extras()
        return self._known_extras

    @property
    def _context(self) -> Context:
        return self._extras.context

    def _metadata_of(self, place: Place) -> dict[str, Any]:
        return self.metadata if place is None else self._extras.part_metadata.setdefault(place, {})

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: words, so that no tokenizer need be, which may be large or a function."""
        self.words  # noqa: B018  # splits the text if it is not split yet
        tokenizer = self._tokenizer.to_dict() if isinstance(self._tokenizer, Tokenizer) else self._tokenizer
        return self._state() | {"_tokenizer": tokenizer}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._labels = self._labels or NO_LABELS

    def __deepcopy__(self, memo: dict[int, Any]) -> Sentence:
        memo[id(self)] = twin = self.__class__.__new__(self.__class__)
        twin.__setstate__(copy.deepcopy(self._state(), memo))
        return twin

    def _state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in Sentence.__slots__ if name != "__weakref__"}
        own = getattr(self, "__dict__", {})  # of a subclass
        return state | own | {"_labels": None if self._labels is NO_LABELS else self._labels}


_NO_TOKENIZER, _SPACE_TOKENIZER = NoTokenizer(), SpaceTokenizer()


def _tokenizer(chosen: bool | Tokenizer) -> Tokenizer:
    if isinstance(chosen, Tokenizer):
        return chosen
    if not isinstance(chosen, bool):
        raise SettingError(f"use_tokenizer must be True, False or a Tokenizer, not {chosen!r}")
    return default_tokenizer() if chosen else _SPACE_TOKENIZER
