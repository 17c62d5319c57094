"""A span: a stretch of tokens of one sentence that carries labels of its own."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.data_point import DataPoint
from flairlite.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flairlite.data.sentence import Sentence
    from flairlite.data.token import Token


class Span(DataPoint):
    """Tokens that stand side by side in a sentence; usually got by slicing, `sentence[0:2]`.

    Spans of the same tokens are equal, and what one carries all carry.

    Args:
        tokens: The tokens, in order.

    Raises:
        SettingError: when they are not side by side in one sentence, or none.
    """

    __slots__ = ("sentence", "start", "stop")

    def __init__(self, tokens: Sequence[Token]) -> None:
        sentence = tokens[0].sentence if tokens else None
        if sentence is None:
            raise SettingError("a span is at least one token of a sentence: slice one, sentence[0:2]")
        start, stop = tokens[0].idx - 1, tokens[0].idx - 1 + len(tokens)
        expected = sentence.tokens[start:stop]
        if len(expected) < len(tokens) or any(map(operator.is_not, tokens, expected)):
            raise SettingError(f"the tokens of a span stand side by side in one sentence: {list(tokens)} do not")
        self.sentence, self.start, self.stop = sentence, start, stop

    @classmethod
    def _of(cls, sentence: Sentence, start: int, stop: int) -> Span:
        span = cls.__new__(cls)
        span.sentence, span.start, span.stop = sentence, start, stop
        return span

    @property
    def _home(self) -> Sentence:
        return self.sentence

    @property
    def _place(self) -> tuple[int, int]:
        return self.start, self.stop

    @property
    def tokens(self) -> list[Token]:
        """The tokens of this span."""
        return self.sentence.tokens[self.start : self.stop]

    @property
    def text(self) -> str:
        """The stretch of the sentence's text from the first token to the last."""
        return self.sentence.text[self.start_position : self.end_position]

    @property
    def start_position(self) -> int:
        """Offset of the first character in the sentence's text."""
        return self.sentence._layout.start_of(self.start)

    @property
    def end_position(self) -> int:
        """Offset behind the last character in the sentence's text."""
        return self.sentence._layout.end_of(self.stop - 1)

    @property
    def unlabeled_identifier(self) -> str:
        """Position and text, as in `Span[0:2]: "George Washington"`."""
        return f'Span[{self.start}:{self.stop}]: "{self.text}"'

    def to_dict(self, tag_type: str | None = None) -> dict[str, Any]:
        """Return text, offsets and labels as plain data."""
        labels = [label.to_dict() for label in self.get_labels(tag_type)]
        return {"text": self.text, "start_pos": self.start_position, "end_pos": self.end_position, "labels": labels}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Span):
            return NotImplemented
        return (self.sentence is other.sentence) and (self.start, self.stop) == (other.start, other.stop)

    def __hash__(self) -> int:
        return hash((id(self.sentence), self.start, self.stop))

    def __getitem__(self, index: int) -> Token:
        return self.tokens[index]

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return self.stop - self.start
