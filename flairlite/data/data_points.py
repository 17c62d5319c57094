"""What can have labels: the base class of data points, tokens and spans."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.data.label_values import check_count, check_score, check_type, check_type_or_all, check_value
from flairlite.data.labels import ARROW, Label
from flairlite.data.text_layout import Location
from flairlite.data.vectors import join_vectors
from flairlite.errors import LabelError, SettingError

if TYPE_CHECKING:
    import torch

    from flairlite.data.sentence import Sentence


Self = TypeVar("Self", bound="DataPoint")


class DataPoint(ABC):
    """A sentence, a token or a span.

    The sentence stores the labels, metadata and embeddings of its tokens and spans, each at its location.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _home(self) -> Sentence:
        """The sentence that stores the data of this data point."""

    @property
    @abstractmethod
    def _location(self) -> Location: ...

    @property
    @abstractmethod
    def text(self) -> str:
        """The text of this data point."""

    @property
    @abstractmethod
    def start_position(self) -> int:
        """Offset of the first character."""

    @property
    @abstractmethod
    def end_position(self) -> int:
        """Offset after the last character."""

    @property
    @abstractmethod
    def unlabeled_identifier(self) -> str:
        """A string that identifies this data point, without its labels."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __lt__(self, other: DataPoint) -> bool:
        return self.start_position < other.start_position

    # Labels

    def get_labels(self, typename: str | None = None) -> list[Label]:
        """Return the labels of one type, or of all."""
        return self._home._labels.labels_of(self, check_type_or_all(typename))

    def add_label(self: Self, typename: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Add a label to the existing ones, and return this data point.

        Numbers become their text, and members of an enumeration of strings become their value.

        Raises:
            LabelError: If the value is empty or missing, or the score is not a number between 0 and 1.
            SettingError: If the label type is not a string, or empty.
        """
        self._home._own_labels().add(self, typename, value, score, metadata)
        return self

    def remove_labels(self, typename: str) -> None:
        """Remove all labels of one type."""
        self._home._own_labels().remove(self._location, check_type(typename))

    def set_label(self: Self, typename: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Replace the labels of a type by one label, and return this data point; see `add_label`."""
        # raise before anything is removed
        typename, value, score = check_type(typename), check_value(value), check_score(score)
        self.remove_labels(typename)
        return self.add_label(typename, value, score, **metadata)

    def get_label(self, label_type: str | None = None, zero_tag_value: str = "O") -> Label:
        """Return the first label of one type (or of all); without labels, one of value `zero_tag_value`."""
        labels = self.get_labels(label_type)
        return labels[0] if labels else Label._unchecked(self, zero_tag_value)

    def has_label(self, label_type: str) -> bool:
        """Tell whether there is a label of this type."""
        return bool(self.get_labels(label_type))

    @property
    def labels(self) -> list[Label]:
        """All labels."""
        return self.get_labels()

    @property
    def annotation_layers(self) -> Mapping[str, list[Label]]:
        """The labels by type, read-only; use `add_label` and `remove_labels` for changes."""
        layers: dict[str, list[Label]] = {}
        for label in self.get_labels():
            layers.setdefault(str(label.typename), []).append(label)
        return MappingProxyType(layers)

    @property
    def tag(self) -> str:
        """The value of the first label."""
        return self.get_label().value

    @property
    def score(self) -> float:
        """The score of the first label."""
        return self.get_label().score

    # Metadata

    def add_metadata(self, key: str, value: Any) -> None:
        """Store a value under a name."""
        self._home._own_labels().add_part_metadata(self._location, key, value)

    def get_metadata(self, key: str) -> Any:
        """Return the value that is stored under a name.

        Raises:
            KeyError: If there is no such value.
        """
        return self._metadata_to_read()[key]

    def has_metadata(self, key: str) -> bool:
        """Tell whether a value is stored under a name."""
        return key in self._metadata_to_read()

    def _metadata_to_read(self) -> Mapping[str, Any]:
        return self._home._labels.part_metadata(self._location)

    # Embeddings

    def set_embedding(self, name: str, vector: torch.Tensor) -> None:
        """Store a vector (D,) under the name of its embedding."""
        self._home._own_vectors().set(self._location, name, vector, len(self._home))

    def get_embedding(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the concatenated vectors (D,) of the embeddings named, or of all; (0,) without vectors."""
        return join_vectors(self.get_each_embedding(names))

    def get_each_embedding(self, embedding_names: list[str] | None = None) -> list[torch.Tensor]:
        """Return the vectors, (D,) each, of the embeddings named, or of all, sorted by name."""
        vectors = self._home._vectors
        return [] if vectors is None else list(vectors.at(self._location, embedding_names).values())

    def embedding_names(self) -> list[str]:
        """Return the names of the embeddings of which this data point has a vector."""
        vectors = self._home._vectors
        return [] if vectors is None else list(vectors.at(self._location, None))

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Remove the vectors of the embeddings named, or all."""
        if self._home._vectors is not None:
            self._home._vectors.clear(self._location, embedding_names, len(self._home))

    def to(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move the vectors to a device; with `pin_memory`, vectors on the CPU go to page-locked memory."""
        if self._home._vectors is not None:
            self._home._vectors.move(self._location, device, pin_memory, len(self._home))

    @property
    def embedding(self) -> torch.Tensor:
        """The concatenated vectors (D,) of all embeddings.

        Raises:
            LabelError: If there are no vectors.
        """
        vector = self.get_embedding()
        if not len(vector):
            raise LabelError(
                f"this {type(self).__name__.lower()} has no embedding: call embed(sentence) first, of document "
                f"embeddings for the sentence itself, of token embeddings for its tokens"
            )
        return vector

    # Printing

    def _format_labels(self, label_type: str | None = None, *, with_scores: bool = True) -> str:
        own: Iterator[Label] = (label for label in self.get_labels(label_type) if label.data_point == self)
        if with_scores:
            text = "; ".join(f"{label.value}{label.metadata_str} ({label.score:.4f})" for label in own)
            return ARROW + text if text else ""
        return "".join(f"/{label.value}{label.metadata_str}" for label in own)

    def _to_dict(self, label_type: str | None) -> dict[str, Any]:
        labels = [label.to_dict() for label in self.get_labels(label_type)]
        return {"text": self.text, "start_pos": self.start_position, "end_pos": self.end_position, "labels": labels}

    def __str__(self) -> str:
        return self.unlabeled_identifier + self._format_labels()

    def __repr__(self) -> str:
        return str(self)


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
        """Classes with their probabilities, by label type: all, if `predict` was called for all probabilities."""
        vectors, index = self._home._vectors, self._location
        if vectors is None:
            return {}
        computed = {
            label_type: [
                Label._unchecked(self, name, probability, label_type) for name, probability in table.of_token(index)
            ]
            for label_type, table in vectors.probabilities.items()
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
