"""A token: one word of a sentence, seen through the sentence that stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flairlite.data.data_point import DataPoint
from flairlite.data.label import Label

if TYPE_CHECKING:
    from flairlite.data.sentence import Sentence


class Token(DataPoint):
    """One word with its labels.

    A token is a view: text, labels and embeddings lie in its sentence, column by column, so that a corpus of millions
    of tokens makes no object a token until somebody asks for one. A token made by hand has a sentence of its own,
    unseen, until it is put into another.

    Args:
        text: The word.
        head_id: 1-based index of the syntactic head, 0 for the root.
        whitespace_after: Number of spaces behind the word.
        start_position: Offset of the word in the text of the sentence it will be part of; 0 when that is not known.
    """

    __slots__ = ("_home", "_is_bound", "_place")

    _home: Sentence
    _place: int

    def __init__(
        self, text: str, head_id: int | None = None, whitespace_after: int = 1, start_position: int = 0
    ) -> None:
        from flairlite.data.sentence import Sentence

        self._home = Sentence([text], start_position=start_position, spaces=[whitespace_after])
        self._home._tokens = [self]
        self._place = 0
        self._is_bound = False  # the sentence is private
        if head_id is not None:
            self.head_id = head_id

    @classmethod
    def _view(cls, sentence: Sentence, index: int) -> Token:
        token = cls.__new__(cls)
        token._bind(sentence, index)
        return token

    def _bind(self, sentence: Sentence, index: int) -> None:
        self._home, self._place, self._is_bound = sentence, index, True

    @property
    def sentence(self) -> Sentence | None:
        """The sentence this token belongs to, or None for a token made by hand."""
        return self._home if self._is_bound else None

    @property
    def idx(self) -> int:
        """1-based position in the sentence, -1 for a token that is in none."""
        return self._place + 1 if self._is_bound else -1

    @property
    def text(self) -> str:
        """The word."""
        return self._home.words[self._place]

    @property
    def form(self) -> str:
        """The word, under CoNLL-U's name."""
        return self.text

    @property
    def whitespace_after(self) -> int:
        """Number of spaces behind the word in the text; it can be assigned, and then the text changes."""
        return self._home._layout.spaces_after(self._place)

    @whitespace_after.setter
    def whitespace_after(self, number: int) -> None:
        self._home.set_spaces([number if token is self else token.whitespace_after for token in self._home.tokens])

    @property
    def start_position(self) -> int:
        """Offset of the first character in the sentence's text."""
        return self._home._layout.start_of(self._place) + (0 if self._is_bound else self._home.start_position)

    @property
    def end_position(self) -> int:
        """Offset behind the last character in the sentence's text."""
        return self.start_position + len(self.text)

    @property
    def head_id(self) -> int | None:
        """1-based index of the syntactic head, 0 for the root, None when it is not known; it can be assigned."""
        head = self._home._labels.value("head", self._place)
        return None if head is None else int(head)

    @head_id.setter
    def head_id(self, head_id: int | None) -> None:
        self.remove_labels("head")
        if head_id is not None:
            self.add_label("head", str(head_id))

    def get_head(self) -> Token | None:
        """Return the syntactic head, or None for the root or when it is not known."""
        return self._home[self.head_id - 1] if self.head_id else None

    @property
    def unlabeled_identifier(self) -> str:
        """Position and word, as in `Token[2]: "Berlin"`."""
        return f'Token[{self._place}]: "{self.text}"'

    @property
    def tags_proba_dist(self) -> dict[str, list[Label]]:
        """All classes with their probabilities, by label type, where a prediction was asked for them."""
        return self._home._extras.distributions.of_token(self, self._place)

    def get_tags_proba_dist(self, tag_type: str) -> list[Label]:
        """Return all classes of a label type with their probabilities, where a prediction was asked for them."""
        return self.tags_proba_dist.get(tag_type, [])

    def add_tags_proba_dist(self, tag_type: str, tags: list[Label]) -> None:
        """Keep all classes of a label type with their probabilities."""
        self._home._extras.distributions.put(tag_type, self._place, tags)

    def to_dict(self, tag_type: str | None = None) -> dict[str, Any]:
        """Return text, offsets and labels as plain data."""
        labels = [label.to_dict() for label in self.get_labels(tag_type)]
        return {"text": self.text, "start_pos": self.start_position, "end_pos": self.end_position, "labels": labels}

    def __len__(self) -> int:
        return 1
