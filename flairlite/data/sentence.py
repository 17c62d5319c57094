"""A sentence: words and labels, stored column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from flairlite.data.embedded import Vectors, joined
from flairlite.data.features import parse_features
from flairlite.data.label import ARROW, DataPoint, Label
from flairlite.data.span import Span
from flairlite.data.token import Token
from flairlite.data.tokenizer import SpaceTokenizer, Tokenizer, align, default_tokenizer
from flairlite.errors import LabelError, SettingError

if TYPE_CHECKING:
    import torch

Values = list[str | None]


class Sentence(DataPoint):
    """A sentence or text: its words, and labels of the whole, of single tokens and of spans.

    Token labels lie in one list a label type beside the list of words, so that reading, encoding and predicting
    handle a column at a time; `Token` and `Label` objects are made when somebody asks for them.

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
        "_columns",
        "_embeddings",
        "_metadata",
        "_offset",
        "_rich",
        "_scores",
        "_spaces",
        "_starts",
        "_text",
        "_tokens",
        "language_code",
        "metadata",
        "words",
    )

    def __init__(
        self,
        text: str | Sequence[str] | Sequence[Token],
        use_tokenizer: bool | Tokenizer = True,
        language_code: str | None = None,
        start_position: int = 0,
        *,
        spaces: Sequence[int] | None = None,
    ) -> None:
        self.words: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.language_code = language_code
        self._offset = start_position
        self._text: str | None = None
        self._spaces: Sequence[int] | None = None
        self._starts: list[int] | None = None
        self._columns: dict[str, Values] = {}  # a token's first label of a type is always here
        self._scores: dict[str, list[float]] = {}  # of the labels in the columns, where one is not 1
        self._metadata: dict[str, dict[int, dict[str, Any]]] = {}  # of those labels that have some, by token
        self._rich: dict[str, list[Label]] = {}  # labels of sentence and spans, and a token's second ones
        self._tokens: list[Token] | None = None
        self._embeddings: Vectors | None = None
        if isinstance(text, str):
            self._tokenize(text, use_tokenizer)
        else:
            self._take_words(list(text))
        if spaces is not None:
            self._take_spaces(text, spaces)

    @classmethod
    def _from_columns(
        cls, words: list[str], spaces: Sequence[int], columns: dict[str, Values], metadata: dict[str, Any]
    ) -> Sentence:
        """Make a sentence from lists that the caller has checked and gives away."""
        sentence = cls(())
        sentence.words, sentence._spaces, sentence._columns, sentence.metadata = words, spaces, columns, metadata
        return sentence

    # Words and text

    @property
    def tokens(self) -> list[Token]:
        """The tokens, in order."""
        if self._tokens is None:
            self._tokens = [Token._view(self, index) for index in range(len(self.words))]
        return self._tokens

    @property
    def text(self) -> str:
        """The text; for every token, `text[token.start_position:token.end_position]` is the token's text."""
        if self._text is None:
            spaces = self._spaces if self._spaces is not None else [1] * len(self.words)
            joined = "".join([word + " " * space for word, space in zip(self.words, spaces, strict=True)])
            last = spaces[-1] if len(spaces) else 0
            self._text = joined[: len(joined) - last]  # what follows the last word is no part of the sentence
        return self._text

    @property
    def start_position(self) -> int:
        """Offset of the sentence in its document."""
        return self._offset

    @property
    def end_position(self) -> int:
        """Offset behind the sentence in its document."""
        return self._offset + len(self.text)

    @property
    def unlabeled_identifier(self) -> str:
        """Length and text, as in `Sentence[3]: "I love Berlin"`."""
        return f'Sentence[{len(self)}]: "{self.text}"'

    def to_original_text(self) -> str:
        """Return the text as it was given."""
        return self.text

    def to_plain_string(self) -> str:
        """Return the words with the spaces between them that the text has."""
        return self.text.rstrip()

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

    # Token labels, a column at a time

    def token_labels(self, label_type: str) -> Sequence[str | None] | None:
        """Return the label of every token, None where it has none, or None when no token has a label of this type.

        A morphological feature, such as `Number`, is a label type of its own where the sentence has `feats`.
        """
        column = self._columns.get(label_type)
        if column is None and (features := self._columns.get("feats")) is not None:
            column = [parse_features(value).get(label_type) for value in features]
        return column if column is not None and _has_labels(column) else None

    def set_token_labels(
        self, label_type: str, values: Sequence[str | None], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put one label on every token, in place of its labels of this type; None leaves a token without.

        Args:
            label_type: The label type, such as `upos`.
            values: A label a token.
            scores: A score a token; 1 when not given.

        Raises:
            SettingError: when there is not one value and one score a token.
        """
        for name, given in (("values", values), ("scores", scores)):
            if given is not None and len(given) != len(self.words):
                raise SettingError(f"{name} must be one a token, {len(self.words)}, but there are {len(given)}")
        self._drop_rich(label_type, lambda point: isinstance(point, Token))
        self._columns[label_type] = list(values)
        self._metadata.pop(label_type, None)
        self._scores.pop(label_type, None)
        if scores is not None:
            self._scores[label_type] = list(scores)
        return self

    # Labels of spans and of the sentence, all of a type at once

    def span_labels(self, label_type: str) -> list[tuple[int, int, str]]:
        """Return first token, the one behind the last, and value of each label that spans have of this type."""
        labels = [(label.data_point, label.value) for label in self._rich.get(label_type, ())]
        return [(point.start, point.stop, value) for point, value in labels if isinstance(point, Span)]

    def set_span_labels(
        self, label_type: str, spans: Sequence[tuple[int, int, str]], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put labels on spans, in place of all that spans have of this type.

        Args:
            label_type: The label type, such as `ner`.
            spans: First token, the one behind the last, and label of each.
            scores: A score a span; 1 when not given.

        Raises:
            SettingError: when a span has no token or leads out of the sentence, or there is not one score a span.
        """
        for start, stop, _ in spans:
            if not 0 <= start < stop <= len(self.words):
                raise SettingError(f"a span of {len(self.words)} tokens lies within them, not from {start} to {stop}")
        points = [Span(self, start, stop) for start, stop, _ in spans]
        values = [value for _, _, value in spans]
        return self._replace_rich(label_type, points, values, scores, lambda point: isinstance(point, Span))

    def sentence_labels(self, label_type: str) -> list[str]:
        """Return the values of the labels that the whole sentence has of this type."""
        return [label.value for label in self._rich.get(label_type, ()) if label.data_point is self]

    def set_sentence_labels(
        self, label_type: str, values: Sequence[str], scores: Sequence[float] | None = None
    ) -> Sentence:
        """Put labels on the whole sentence, in place of all that it has itself of this type.

        Args:
            label_type: The label type, such as `topic`.
            values: The labels.
            scores: A score a label; 1 when not given.

        Raises:
            SettingError: when there is not one score a label.
        """
        return self._replace_rich(label_type, [self] * len(values), values, scores, lambda point: point is self)

    def label_types(self) -> list[str]:
        """Return the label types that something in this sentence has a label of."""
        types = dict.fromkeys(name for name, column in self._columns.items() if _has_labels(column))
        types.update(dict.fromkeys(name for name, labels in self._rich.items() if labels))
        for value in self._columns.get("feats", ()):
            types.update(dict.fromkeys(name for name in parse_features(value) if name not in self._columns))
        return list(types)

    # Labels as objects

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return the labels of the sentence, then those of its tokens and spans by position.

        They are of one label type, or of all; among all, the morphological features in `feats` are one label a token.
        """
        types = [label_type] if label_type is not None else self._stored_types()
        labels = []
        for name in types:
            column = self.token_labels(name) or ()
            labels += [self._token_label(index, name, value) for index, value in enumerate(column) if value is not None]
            labels += self._rich.get(name, ())
        return sorted(labels, key=lambda label: -1 if label.data_point is self else label.data_point.start_position)

    def add_label(self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Sentence:
        """Add a label of the whole sentence, and return the sentence."""
        self._add_rich_label(self, label_type, value, score, metadata)
        return self

    def remove_labels(self, label_type: str) -> None:
        """Remove all labels of one type, those of tokens and spans too."""
        self._rich.pop(label_type, None)
        if self.token_labels(label_type) is not None:
            self.set_token_labels(label_type, [None] * len(self.words))

    def has_label(self, label_type: str) -> bool:
        """Tell whether the sentence, a token or a span has a label of this type."""
        return bool(self._rich.get(label_type)) or self.token_labels(label_type) is not None

    def get_spans(self, label_type: str | None = None) -> list[Span]:
        """Return the spans that have a label of one type, or of any, by position."""
        spans = {
            label.data_point: None
            for name, labels in self._rich.items()
            if label_type in (None, name)
            for label in labels
            if isinstance(label.data_point, Span)
        }
        return sorted(spans, key=lambda span: (span.start, span.stop))

    def get_span(self, start: int, stop: int) -> Span:
        """Return the span of tokens `start` to `stop` (0-based, exclusive)."""
        return self[start:stop]

    def get_token(self, token_id: int) -> Token | None:
        """Return the token of a 1-based position, or None."""
        return self.tokens[token_id - 1] if 1 <= token_id <= len(self.words) else None

    # Embeddings

    @property
    def embedding(self) -> torch.Tensor:
        """The vector (D,) that `embed` of a document embedding computed.

        Raises:
            LabelError: when none was computed.
        """
        vector = self.get_embedding()
        if not len(vector):
            raise LabelError("this sentence has no embedding: call embed(sentence) of a document embedding first")
        return vector

    def get_embedding(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the sentence's own vector (D,) of the embeddings named, joined, or of all; (0,) without any."""
        return joined(self._vectors.of_sentence(names))

    def get_each_embedding(self, names: list[str] | None = None) -> list[torch.Tensor]:
        """Return the sentence's own vectors, (D,) each, of the embeddings named, or of all."""
        return self._vectors.of_sentence(names)

    def set_embedding(self, name: str, vector: torch.Tensor) -> None:
        """Keep a vector (D,) for the sentence itself."""
        self._vectors.own[name] = vector

    def set_token_embeddings(self, name: str, matrix: torch.Tensor) -> None:
        """Keep a vector for every token: `matrix` is (T, D)."""
        self._vectors.tokens[name] = matrix

    def get_token_embeddings(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the vectors (T, D) of the embeddings named, joined in the order of their names, or of all.

        Raises:
            LabelError: when none of them was computed.
        """
        import torch

        chosen = self._vectors.matrices(names)
        if not chosen:
            raise LabelError(
                f"no such embeddings here: call embed(sentence) first; there are {self._embedding_names()}"
            )
        return chosen[0] if len(chosen) == 1 else torch.cat(chosen, dim=1)

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Forget the vectors of the embeddings named, or all, of the sentence and of its tokens."""
        for name in list(self._embedding_names() if embedding_names is None else embedding_names):
            self._vectors.own.pop(name, None)
            self._vectors.tokens.pop(name, None)

    @property
    def _vectors(self) -> Vectors:
        if self._embeddings is None:
            self._embeddings = Vectors()
        return self._embeddings

    def _embedding_names(self) -> list[str]:
        return [*self._vectors.own, *self._vectors.tokens]

    # Container

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
        return Span(self, start, stop)

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.words)

    def __bool__(self) -> bool:
        return True  # an empty sentence is a sentence

    # What construction needs

    def _tokenize(self, text: str, use_tokenizer: bool | Tokenizer) -> None:
        if isinstance(use_tokenizer, Tokenizer):
            tokenizer = use_tokenizer
        else:
            tokenizer = default_tokenizer() if use_tokenizer else SpaceTokenizer()
        self.words = tokenizer.tokenize(text)
        self._text, self._starts = text, align(text, self.words, tokenizer=tokenizer.name)

    def _take_words(self, given: Sequence[str | Token]) -> None:
        tokens = [item for item in given if isinstance(item, Token)]
        if not tokens:
            self.words = [str(word) for word in given]
            return
        if len(tokens) != len(given):
            raise SettingError("a sentence takes words or tokens, not some of both: make the words tokens, Token(word)")
        taken = [token for token in tokens if token.sentence is not None]
        if taken or len(set(map(id, tokens))) < len(tokens):
            which = repr(taken[0].text) if taken else "one that comes twice here"
            raise SettingError(f"a token is part of one sentence only, not {which}: make another, Token(text)")
        labels = [token.get_labels() for token in tokens]
        self.words = [token.text for token in tokens]
        self._spaces = [token.whitespace_after for token in tokens]
        for index, token in enumerate(tokens):
            token._bind(self, index)
        self._tokens = tokens
        for token, own in zip(tokens, labels, strict=True):
            for label in own:
                token.add_label(str(label.typename), label.value, label.score, **label.metadata)

    def _take_spaces(self, given: str | Sequence[str] | Sequence[Token], spaces: Sequence[int]) -> None:
        if isinstance(given, str) or self._tokens is not None:
            raise SettingError("spaces go with words: a text has its own, a token has whitespace_after")
        if len(spaces) != len(self.words) or any(space < 0 for space in spaces):
            raise SettingError(f"spaces must be a number of 0 or more for each of {len(self.words)} words: {spaces}")
        self._spaces = list(spaces)

    # What tokens and spans ask of their sentence

    def _start_of(self, index: int) -> int:
        if self._starts is None:
            spaces = self._spaces if self._spaces is not None else [1] * len(self.words)
            widths = (len(word) + space for word, space in zip(self.words, spaces, strict=True))
            self._starts = [0, *accumulate(widths)][:-1]
        return self._starts[index]

    def _spaces_after(self, index: int) -> int:
        if self._spaces is not None:
            return self._spaces[index]
        if self._starts is None or self._text is None:
            return 1
        end = self._start_of(index) + len(self.words[index])
        return (self._starts[index + 1] if index + 1 < len(self.words) else len(self._text)) - end

    def _token_value(self, label_type: str, index: int) -> str | None:
        if (column := self._columns.get(label_type)) is not None:
            return column[index]
        features = self._columns.get("feats")
        return None if features is None else parse_features(features[index]).get(label_type)

    def _token_label(self, index: int, label_type: str, value: str) -> Label:
        scores = self._scores.get(label_type)
        label = Label(self.tokens[index], value, 1.0 if scores is None else scores[index], typename=label_type)
        if label_type in self._metadata:
            label.metadata = self._metadata[label_type].get(index, label.metadata)
        return label

    def _labels_of_token(self, index: int, label_type: str | None) -> list[Label]:
        types = [label_type] if label_type is not None else self._stored_types()
        labels = []
        for name in types:
            if (value := self._token_value(name, index)) is not None:
                labels.append(self._token_label(index, name, value))
            labels.extend(self._rich_labels_of(self.tokens[index], name))
        return labels

    def _stored_types(self) -> list[str]:
        return list(dict.fromkeys((*self._columns, *self._rich)))

    def _own_column(self, label_type: str) -> Values:
        """Return the list that stores a label type, made from the morphological features where it is one of them."""
        if label_type not in self._columns:
            self._columns[label_type] = list(self.token_labels(label_type) or [None] * len(self.words))
        return self._columns[label_type]

    def _add_token_label(self, index: int, label_type: str, value: str, score: float, metadata: dict[str, Any]) -> None:
        column = self._own_column(label_type)
        if column[index] is not None:
            self._add_rich_label(self.tokens[index], label_type, value, score, metadata)
            return
        column[index] = value
        if metadata:
            self._metadata.setdefault(label_type, {})[index] = metadata
        if score != 1.0 or label_type in self._scores:
            self._scores.setdefault(label_type, [1.0] * len(self.words))[index] = score

    def _remove_token_labels(self, index: int, label_type: str) -> None:
        if self.token_labels(label_type) is not None:
            self._own_column(label_type)[index] = None
            self._metadata.get(label_type, {}).pop(index, None)
        self._remove_rich_labels(self.tokens[index], label_type)

    def _rich_labels_of(self, point: DataPoint, label_type: str | None) -> list[Label]:
        types = [label_type] if label_type is not None else list(self._rich)
        return [label for name in types for label in self._rich.get(name, ()) if label.data_point == point]

    def _add_rich_label(
        self, point: DataPoint, label_type: str, value: str, score: float, metadata: dict[str, Any]
    ) -> None:
        label = Label(point, value, score, typename=label_type)
        label.metadata = metadata
        self._rich.setdefault(label_type, []).append(label)

    def _remove_rich_labels(self, point: DataPoint, label_type: str) -> None:
        self._drop_rich(label_type, lambda other: other == point)

    def _replace_rich(
        self,
        label_type: str,
        points: Sequence[DataPoint],
        values: Sequence[str],
        scores: Sequence[float] | None,
        is_dropped: Any,
    ) -> Sentence:
        if scores is not None and len(scores) != len(points):
            raise SettingError(f"scores must be one a label, {len(points)}, but there are {len(scores)}")
        every = scores if scores is not None else [1.0] * len(points)
        self._drop_rich(label_type, is_dropped)
        if points:
            self._rich.setdefault(label_type, []).extend(
                Label(point, value, score, typename=label_type)
                for point, value, score in zip(points, values, every, strict=True)
            )
        return self

    def _drop_rich(self, label_type: str, is_dropped: Any) -> None:
        if label_type in self._rich:
            self._rich[label_type] = [label for label in self._rich[label_type] if not is_dropped(label.data_point)]


def _has_labels(column: Values) -> bool:
    return column.count(None) < len(column)
