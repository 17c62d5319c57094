"""The sentences before and behind a sentence in its document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flairlite.data.sentence import Sentence
    from flairlite.data.token import Token


class Context:
    """What a sentence knows of its document.

    The neighbours are known one by one, or through a data set and the sentence's position in it. A copy, or what is
    pickled, knows none of them.
    """

    __slots__ = ("is_document_boundary", "is_set", "next", "position_in_dataset", "previous")

    def __init__(self, is_document_boundary: bool = False) -> None:
        self.previous: Sentence | None = None
        self.next: Sentence | None = None
        self.position_in_dataset: tuple[Sequence[Sentence], int] | None = None
        self.is_set = False
        self.is_document_boundary = is_document_boundary

    def __reduce__(self) -> tuple[Any, ...]:
        return Context, (self.is_document_boundary,)


class InDocument(ABC):
    """A sentence as one of several: its neighbours, and the tokens to its left and right.

    A copy of a sentence, or a pickled one, stands alone: otherwise it would bring its whole document along.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _context(self) -> Context: ...

    @property
    def is_document_boundary(self) -> bool:
        """Whether this sentence only marks where a document begins, such as `-DOCSTART-`; it can be assigned."""
        return self._context.is_document_boundary

    @is_document_boundary.setter
    def is_document_boundary(self, value: bool) -> None:
        self._context.is_document_boundary = value

    def next_sentence(self) -> Sentence | None:
        """Return the sentence behind this one, or None where none is known."""
        return self._next_sentence or self._neighbour(1)

    def previous_sentence(self) -> Sentence | None:
        """Return the sentence before this one, or None where none is known."""
        return self._previous_sentence or self._neighbour(-1)

    def is_context_set(self) -> bool:
        """Tell whether the sentence was told its neighbours, even if it has none."""
        context = self._context
        return context.is_set or (context.previous or context.next or context.position_in_dataset) is not None

    def left_context(self, context_length: int, respect_document_boundaries: bool = True) -> list[Token]:
        """Return the tokens before this sentence.

        Args:
            context_length: How many at most.
            respect_document_boundaries: Stop at a sentence that marks where a document begins.
        """
        tokens: list[Token] = []
        sentence = self.previous_sentence()
        while sentence is not None and len(tokens) < context_length:
            if respect_document_boundaries and sentence.is_document_boundary:
                break
            tokens += reversed(sentence.tokens)
            sentence = sentence.previous_sentence()
        return tokens[:context_length][::-1]

    def right_context(self, context_length: int, respect_document_boundaries: bool = True) -> list[Token]:
        """Return the tokens behind this sentence; see `left_context`."""
        tokens: list[Token] = []
        sentence = self.next_sentence()
        while sentence is not None and len(tokens) < context_length:
            if respect_document_boundaries and sentence.is_document_boundary:
                break
            tokens += sentence.tokens
            sentence = sentence.next_sentence()
        return tokens[:context_length]

    def copy_context_from_sentence(self, sentence: Sentence) -> None:
        """Take over the neighbours of another sentence."""
        self._previous_sentence, self._next_sentence = sentence._previous_sentence, sentence._next_sentence
        self._position_in_dataset = sentence._position_in_dataset

    @classmethod
    def set_context_for_sentences(cls, sentences: Sequence[Sentence]) -> None:
        """Tell sentences that they follow each other; those that know their neighbours already are passed over."""
        previous: Sentence | None = None
        for sentence in sentences:
            if sentence.is_context_set():
                continue
            sentence._context.is_set = True
            sentence._previous_sentence = previous
            if previous is not None:
                previous._next_sentence = sentence
            previous = sentence

    @property
    def _previous_sentence(self) -> Sentence | None:
        return self._context.previous

    @_previous_sentence.setter
    def _previous_sentence(self, sentence: Sentence | None) -> None:
        self._context.previous = sentence

    @property
    def _next_sentence(self) -> Sentence | None:
        return self._context.next

    @_next_sentence.setter
    def _next_sentence(self, sentence: Sentence | None) -> None:
        self._context.next = sentence

    @property
    def _position_in_dataset(self) -> tuple[Sequence[Sentence], int] | None:
        return self._context.position_in_dataset

    @_position_in_dataset.setter
    def _position_in_dataset(self, position: tuple[Sequence[Sentence], int] | None) -> None:
        self._context.position_in_dataset = position

    def _neighbour(self, step: int) -> Sentence | None:
        if self._position_in_dataset is None:
            return None
        dataset, position = self._position_in_dataset
        return dataset[position + step] if 0 <= position + step < len(dataset) else None
