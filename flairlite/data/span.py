"""A span: a stretch of tokens of one sentence that carries labels of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flairlite.data.label import DataPoint, Label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flairlite.data.sentence import Sentence
    from flairlite.data.token import Token


class Span(DataPoint):
    """Tokens `start` to `stop` (exclusive, 0-based) of a sentence; got by slicing, `sentence[0:2]`."""

    __slots__ = ("sentence", "start", "stop")

    def __init__(self, sentence: Sentence, start: int, stop: int) -> None:
        self.sentence, self.start, self.stop = sentence, start, stop

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
        return self.sentence._start_of(self.start)

    @property
    def end_position(self) -> int:
        """Offset behind the last character in the sentence's text."""
        return self.sentence._start_of(self.stop - 1) + len(self.sentence.words[self.stop - 1])

    @property
    def unlabeled_identifier(self) -> str:
        """Position and text, as in `Span[0:2]: "George Washington"`."""
        return f'Span[{self.start}:{self.stop}]: "{self.text}"'

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return this span's labels of one type, or of all."""
        return self.sentence._rich_labels_of(self, label_type)

    def add_label(self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Span:
        """Add a label beside those that are there, and return this span."""
        self.sentence._add_rich_label(self, label_type, value, score, metadata)
        return self

    def remove_labels(self, label_type: str) -> None:
        """Remove this span's labels of one type."""
        self.sentence._remove_rich_labels(self, label_type)

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
