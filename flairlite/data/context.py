"""The previous and next sentences of a sentence in its document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from flairlite.data.label_values import check_count
from flairlite.errors import SettingError

if TYPE_CHECKING:
    from flairlite.data.data_points import Token
    from flairlite.data.sentence import Sentence


class Context:
    """The neighbours of a sentence: two sentences, or a dataset and an index in it.

    A copied or pickled context has no neighbours.
    """

    __slots__ = ("dataset", "index", "is_document_boundary", "is_set", "next", "previous")

    def __init__(self, is_document_boundary: bool = False) -> None:
        self.previous: Sentence | None = None
        self.next: Sentence | None = None
        self.dataset: Sequence[Sentence] | None = None
        self.index = 0
        self.is_set = False
        self.is_document_boundary = is_document_boundary

    def copy_from(self, other: Context) -> None:
        """Take over the neighbours of another context."""
        self.previous, self.next, self.dataset, self.index = other.previous, other.next, other.dataset, other.index

    def neighbour(self, step: int) -> Sentence | None:
        """Return the next sentence (`step` 1) or the previous one (-1), or None if it is not known."""
        known = self.next if step > 0 else self.previous
        if known is None and self.dataset is not None and 0 <= self.index + step < len(self.dataset):
            return self.dataset[self.index + step]
        return known

    def __reduce__(self) -> tuple[Any, ...]:
        return Context, (self.is_document_boundary,)


_NO_CONTEXT = Context()  # read for every sentence without a context of its own; never changed


class SentenceInDocument:
    """The part of a sentence that knows the other sentences of its document.

    Copies and pickles of a sentence have no neighbours: otherwise they would contain the whole document.
    """

    __slots__ = ()

    _context: Context | None

    def _own_context(self) -> Context:
        """Return the context, which is made at the first change."""
        if self._context is None:
            self._context = Context()  # type: ignore[misc]  # a slot of Sentence
        return self._context

    @property
    def is_document_boundary(self) -> bool:
        """Whether this sentence only marks the start of a document, such as `-DOCSTART-`; can be assigned."""
        return self._context is not None and self._context.is_document_boundary

    @is_document_boundary.setter
    def is_document_boundary(self, value: bool) -> None:
        self._own_context().is_document_boundary = value

    def next_sentence(self) -> Sentence | None:
        """Return the next sentence, or None if it is not known."""
        return (self._context or _NO_CONTEXT).neighbour(1)

    def previous_sentence(self) -> Sentence | None:
        """Return the previous sentence, or None if it is not known."""
        return (self._context or _NO_CONTEXT).neighbour(-1)

    def is_context_set(self) -> bool:
        """Tell whether the neighbours of this sentence were set, even to none."""
        context = self._context or _NO_CONTEXT
        return context.is_set or (context.previous or context.next or context.dataset) is not None

    def left_context(self, context_length: int, respect_document_boundaries: bool = True) -> list[Token]:
        """Return the tokens before this sentence.

        Args:
            context_length: Maximum number of tokens.
            respect_document_boundaries: Whether to stop at a sentence that marks the start of a document.

        Raises:
            SettingError: If `context_length` is not an integer of 0 or more.
        """
        length = check_count(context_length, "context_length")
        return list(islice(self._context_tokens(-1, respect_document_boundaries), length))[::-1]

    def right_context(self, context_length: int, respect_document_boundaries: bool = True) -> list[Token]:
        """Return the tokens after this sentence; see `left_context`."""
        length = check_count(context_length, "context_length")
        return list(islice(self._context_tokens(1, respect_document_boundaries), length))

    def copy_context_from_sentence(self, sentence: Sentence) -> None:
        """Take over the neighbours of another sentence."""
        self._own_context().copy_from(sentence._context or _NO_CONTEXT)

    def set_position_in_dataset(self, dataset: Sequence[Sentence], index: int) -> None:
        """Make the sentences beside `dataset[index]` the neighbours of this sentence; they are read when needed."""
        context = self._own_context()
        context.dataset, context.index = dataset, index

    @classmethod
    def set_context_for_sentences(cls, sentences: Sequence[Sentence]) -> None:
        """Make sentences the neighbours of each other; sentences that have neighbours already are skipped.

        Raises:
            SettingError: If an element is not a sentence.
        """
        previous: Sentence | None = None
        for sentence in sentences:
            if not isinstance(sentence, SentenceInDocument):
                raise SettingError(f"neighbours must be sentences, not {sentence!r:.60}: make them with Sentence(text)")
            if sentence.is_context_set():
                continue
            context = sentence._own_context()
            context.is_set, context.previous = True, previous
            if previous is not None:
                previous._own_context().next = sentence
            previous = sentence

    def neighbours(self, step: int, respect_document_boundaries: bool = True) -> Iterator[Sentence]:
        """Yield the sentences after this one (`step` 1), or those before it from last to first (-1).

        Args:
            step: 1 or -1.
            respect_document_boundaries: Whether to stop at a sentence that marks the start of a document.
        """
        sentence = self.next_sentence() if step > 0 else self.previous_sentence()
        while sentence is not None and not (respect_document_boundaries and sentence.is_document_boundary):
            yield sentence
            sentence = sentence.next_sentence() if step > 0 else sentence.previous_sentence()

    def _context_tokens(self, step: int, respect_document_boundaries: bool) -> Iterator[Token]:
        """Yield the tokens of the following sentences (`step` 1), or of the preceding ones from last to first (-1)."""
        for sentence in self.neighbours(step, respect_document_boundaries):
            yield from sentence.tokens[::step]
