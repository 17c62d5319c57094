"""Tokens and spans, which are views of their sentence."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.data_points import DataPoint
from flairlite.data.label_values import check_count
from flairlite.data.labels import Label
from flairlite.errors import LabelError, SettingError

if TYPE_CHECKING:
    from flairlite.data.sentence import Sentence


class Token(DataPoint):
    """One word of a sentence.

    A sentence makes its tokens when they are first read. A token that is made by hand has no sentence until a
    `Sentence` is made of it. When the words of a sentence change, its old tokens raise an error.

    Args:
        text: The word.
        head_id: 1-based index of the syntactic head, 0 for the root.
        whitespace_after: Number of spaces after the word.
        start_position: Offset of the word in the text of its later sentence; 0 if unknown.

    Raises:
        SettingError: If the word is not a string, or a number is not an integer of 0 or more.
    """

    __slots__ = ("_home", "_is_bound", "_location")

    _home: Sentence
    _location: int

    def __init__(
        self, text: str, head_id: int | None = None, whitespace_after: int = 1, start_position: int = 0
    ) -> None:
        from flairlite.data.sentence import Sentence

        self._home = Sentence([text], start_position=start_position, spaces=[whitespace_after])
        self._home._tokens = [self]
        self._location = 0
        self._is_bound = False  # the sentence is private
        if head_id is not None:
            self.head_id = head_id

    @classmethod
    def _view(cls, sentence: Sentence, index: int) -> Token:
        token = cls.__new__(cls)
        token._bind(sentence, index)
        return token

    def _bind(self, sentence: Sentence, index: int) -> None:
        self._home, self._location, self._is_bound = sentence, index, True

    def _invalidate(self) -> None:
        """Let every later use raise an error: the sentence has no such token any more."""
        del self._home

    def __getattr__(self, name: str) -> Any:
        if name == "_home":  # only after _invalidate
            raise _stale("token", "sentence[index]")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def sentence(self) -> Sentence | None:
        """The sentence of this token, or None for a token that was made by hand."""
        return self._home if self._is_bound else None

    @property
    def idx(self) -> int:
        """1-based index in the sentence, -1 without a sentence."""
        return self._location + 1 if self.sentence is not None else -1

    @property
    def text(self) -> str:
        """The word."""
        return self._home.words[self._location]

    @property
    def form(self) -> str:
        """The word, under CoNLL-U's name."""
        return self.text

    @property
    def whitespace_after(self) -> int:
        """Number of spaces after the word; assigning it changes the text."""
        return self._home._layout.spaces_after(self._location)

    @whitespace_after.setter
    def whitespace_after(self, count: int) -> None:
        self._home.set_spaces([count if token is self else token.whitespace_after for token in self._home.tokens])

    @property
    def start_position(self) -> int:
        """Offset of the first character in the sentence's text."""
        return self._home._layout.start_of(self._location) + (0 if self._is_bound else self._home.start_position)

    @property
    def end_position(self) -> int:
        """Offset after the last character in the sentence's text."""
        return self.start_position + len(self.text)

    @property
    def head_id(self) -> int | None:
        """1-based index of the syntactic head, 0 for the root, None if unknown; can be assigned."""
        head = self._home._labels.value("head", self._location)
        return None if head is None else int(head)

    @head_id.setter
    def head_id(self, head_id: int | None) -> None:
        head = None if head_id is None else check_count(head_id, "head_id")
        self.remove_labels("head")
        if head is not None:
            self.add_label("head", str(head))

    def get_head(self) -> Token | None:
        """Return the syntactic head, or None for the root or an unknown head.

        Raises:
            LabelError: If the sentence has no such token.
        """
        if not self.head_id:
            return None
        if self.head_id > len(self._home):
            raise LabelError(f"the head of {self} is token {self.head_id}, but its sentence has {len(self._home)}")
        return self._home[self.head_id - 1]

    @property
    def unlabeled_identifier(self) -> str:
        """Index and word, as in `Token[2]: "Berlin"`."""
        return f'Token[{self._location}]: "{self.text}"'

    @property
    def tags_proba_dist(self) -> dict[str, list[Label]]:
        """All classes with their probabilities, by label type, if `predict` was called for all probabilities."""
        vectors, index = self._home._vectors, self._location
        if vectors is None:
            return {}
        computed = {
            label_type: [
                Label._unchecked(self, name, probability, label_type)
                for name, probability in zip(names, table[index].tolist(), strict=True)
            ]
            for label_type, (names, table) in vectors.probabilities.items()
        }
        return computed | {name: labels for (name, token), labels in vectors.distributions.items() if token == index}

    def get_tags_proba_dist(self, tag_type: str) -> list[Label]:
        """Return all classes of a label type with their probabilities; see `tags_proba_dist`."""
        return self.tags_proba_dist.get(tag_type, [])

    def add_tags_proba_dist(self, tag_type: str, tags: list[Label]) -> None:
        """Store all classes of a label type with their probabilities."""
        if isinstance(tags, str) or not all(isinstance(tag, Label) for tag in tags):
            raise SettingError(f"tags must be Label objects, as Label(token, 'NOUN', 0.9), not {tags!r:.60}")
        self._home._own_vectors().distributions[tag_type, self._location] = list(tags)

    def to_dict(self, tag_type: str | None = None) -> dict[str, Any]:
        """Return text, offsets and labels as plain data."""
        return self._to_dict(tag_type)

    def __len__(self) -> int:
        return 1


class Span(DataPoint):
    """Consecutive tokens of one sentence; usually a slice, `sentence[0:2]`.

    Spans of the same tokens are equal and have the same labels.

    Args:
        tokens: The tokens, in order.

    Raises:
        SettingError: If there are no tokens, or they are not consecutive tokens of one sentence.
    """

    __slots__ = ("_words", "sentence", "start", "stop")

    sentence: Sentence
    start: int
    stop: int

    def __init__(self, tokens: Sequence[Token]) -> None:
        first = tokens[0] if isinstance(tokens, (list, tuple)) and tokens else None
        sentence = first.sentence if isinstance(first, Token) else None
        if first is None or sentence is None:
            raise SettingError(f"a span needs a list of tokens of a sentence, as sentence[0:2], not {tokens!r:.60}")
        start, stop = first.idx - 1, first.idx - 1 + len(tokens)
        expected = sentence.tokens[start:stop]
        if len(expected) < len(tokens) or any(map(operator.is_not, tokens, expected)):
            raise SettingError(f"the tokens of a span must be consecutive tokens of one sentence, not {list(tokens)}")
        self.sentence, self.start, self.stop, self._words = sentence, start, stop, sentence.words

    @classmethod
    def _view(cls, sentence: Sentence, start: int, stop: int) -> Span:
        span = cls.__new__(cls)
        span.sentence, span.start, span.stop, span._words = sentence, start, stop, sentence.words
        return span

    @property
    def _home(self) -> Sentence:
        if self._words is not self.sentence._words:  # a sentence that is split anew has another list of words
            raise _stale("span", "sentence[start:stop] or sentence.get_spans()")
        return self.sentence

    @property
    def _location(self) -> tuple[int, int]:
        return self.start, self.stop

    @property
    def tokens(self) -> list[Token]:
        """The tokens of this span."""
        return self._home.tokens[self.start : self.stop]

    @property
    def text(self) -> str:
        """The text of the sentence from the first token to the last."""
        return self._home.text[self.start_position : self.end_position]

    @property
    def start_position(self) -> int:
        """Offset of the first character in the sentence's text."""
        return self._home._layout.start_of(self.start)

    @property
    def end_position(self) -> int:
        """Offset after the last character in the sentence's text."""
        return self._home._layout.end_of(self.stop - 1)

    @property
    def unlabeled_identifier(self) -> str:
        """Location and text, as in `Span[0:2]: "George Washington"`."""
        return f'Span[{self.start}:{self.stop}]: "{self.text}"'

    def to_dict(self, tag_type: str | None = None) -> dict[str, Any]:
        """Return text, offsets and labels as plain data."""
        return self._to_dict(tag_type)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Span):
            return NotImplemented
        return (self.sentence is other.sentence) and self._location == other._location and self._words is other._words

    def __hash__(self) -> int:
        return hash((id(self.sentence), self.start, self.stop))

    def __getitem__(self, index: int) -> Token:
        return self.tokens[index]

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return self.stop - self.start


def check_unbound(tokens: Sequence[Token]) -> None:
    """Check that a sentence can be made of tokens.

    Raises:
        SettingError: If a token belongs to a sentence, or comes twice.
    """
    taken = [token for token in tokens if token.sentence is not None]
    if taken or len(set(map(id, tokens))) < len(tokens):
        which = repr(taken[0].text) if taken else "one that comes twice here"
        raise SettingError(f"a token is part of one sentence only, not {which}: make another, Token(text)")


def _stale(kind: str, remedy: str) -> SettingError:
    return SettingError(
        f"this {kind} is outdated: the words of its sentence have changed (retokenize, truncate or another tokenizer). "
        f"Read it from the sentence again: {remedy}"
    )
