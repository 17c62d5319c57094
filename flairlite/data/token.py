"""A token: one word of a sentence, seen through the sentence that stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flairlite.data.embedded import joined
from flairlite.data.label import DataPoint, Label
from flairlite.errors import LabelError

if TYPE_CHECKING:
    import torch

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
    """

    __slots__ = ("_index", "_is_bound", "_store")

    def __init__(self, text: str, head_id: int | None = None, whitespace_after: int = 1) -> None:
        from flairlite.data.sentence import Sentence

        self._store = Sentence([text], spaces=[whitespace_after])
        self._store._tokens = [self]
        self._index = 0
        self._is_bound = False  # the sentence is private
        if head_id is not None:
            self.add_label("head", str(head_id))

    @classmethod
    def _view(cls, sentence: Sentence, index: int) -> Token:
        token = cls.__new__(cls)
        token._bind(sentence, index)
        return token

    def _bind(self, sentence: Sentence, index: int) -> None:
        self._store, self._index, self._is_bound = sentence, index, True

    @property
    def sentence(self) -> Sentence | None:
        """The sentence this token belongs to, or None for a token made by hand."""
        return self._store if self._is_bound else None

    @property
    def idx(self) -> int:
        """1-based position in the sentence."""
        return self._index + 1

    @property
    def text(self) -> str:
        """The word."""
        return self._store.words[self._index]

    @property
    def form(self) -> str:
        """The word, under CoNLL-U's name."""
        return self.text

    @property
    def whitespace_after(self) -> int:
        """Number of spaces behind the word in the text."""
        return self._store._spaces_after(self._index)

    @property
    def start_position(self) -> int:
        """Offset of the first character in the sentence's text."""
        return self._store._start_of(self._index)

    @property
    def end_position(self) -> int:
        """Offset behind the last character in the sentence's text."""
        return self.start_position + len(self.text)

    @property
    def head_id(self) -> int | None:
        """1-based index of the syntactic head, 0 for the root, None when it is not known."""
        head = self._store._token_value("head", self._index)
        return None if head is None else int(head)

    def get_head(self) -> Token | None:
        """Return the syntactic head, or None for the root or when it is not known."""
        return self._store[self.head_id - 1] if self.head_id else None

    @property
    def unlabeled_identifier(self) -> str:
        """Position and word, as in `Token[2]: "Berlin"`."""
        return f'Token[{self._index}]: "{self.text}"'

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return this token's labels of one type, or of all."""
        return self._store._labels_of_token(self._index, label_type)

    def add_label(self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Token:
        """Add a label beside those that are there, and return this token."""
        self._store._add_token_label(self._index, label_type, value, score, metadata)
        return self

    def remove_labels(self, label_type: str) -> None:
        """Remove this token's labels of one type."""
        self._store._remove_token_labels(self._index, label_type)

    @property
    def embedding(self) -> torch.Tensor:
        """The vector (D,) that `embed` computed: a row of the sentence's matrix.

        Raises:
            LabelError: when none was computed.
        """
        vector = self.get_embedding()
        if not len(vector):
            raise LabelError("this token has no embedding: call embed(sentence) of a token embedding first")
        return vector

    def get_embedding(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the vector (D,) of the embeddings named, joined, or of all; (0,) where there is none."""
        return joined(self._store._vectors.of_token(self._index, names))

    def get_each_embedding(self, names: list[str] | None = None) -> list[torch.Tensor]:
        """Return the vectors, (D,) each, of the embeddings named, or of all."""
        return self._store._vectors.of_token(self._index, names)

    def set_embedding(self, name: str, vector: torch.Tensor) -> None:
        """Keep a vector (D,) for this token."""
        self._store._vectors.set_of_token(self._index, name, vector, len(self._store))

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Forget this token's vectors of the embeddings named, or all."""
        vectors = self._store._vectors
        for name in list(vectors.tokens):
            if embedding_names is None or name in embedding_names:
                vectors.set_of_token(self._index, name, None, len(self._store))

    def to_dict(self, tag_type: str | None = None) -> dict[str, Any]:
        """Return text, offsets and labels as plain data."""
        labels = [label.to_dict() for label in self.get_labels(tag_type)]
        return {"text": self.text, "start_pos": self.start_position, "end_pos": self.end_position, "labels": labels}

    def __len__(self) -> int:
        return 1
