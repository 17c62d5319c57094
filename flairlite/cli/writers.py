"""Write the predictions of `flairlite tag`: text, TSV, CoNLL-U and JSON lines."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from flairlite.cli.parsers import Item
from flairlite.data import Sentence
from flairlite.datasets.conllu import FIELDS, LABEL_TYPES
from flairlite.errors import SettingError

_COLUMNS = {name: FIELDS.index(field) for field, names in LABEL_TYPES.items() for name in names}
_MISC = FIELDS.index("misc")
_LINE_END = re.compile(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")  # and tabs
_COLOURS = (32, 33, 36, 35, 34, 31)  # of a terminal


class Writer(ABC):
    """Formats the labels of one type.

    Args:
        label_type: The label type.
        unit: What has the labels: `word`, `span` or `sentence`.
        label_names: The labels that can be predicted.

    Raises:
        SettingError: If the format cannot hold one of them.
    """

    separators = ""  # characters that separate labels in the format

    def __init__(self, label_type: str, unit: str, label_names: Sequence[str]) -> None:
        self.label_type, self.unit, self.label_names = label_type, unit, label_names
        for name in label_names:
            if any(character in name for character in self.separators):
                raise SettingError(f"this format cannot hold the label {name!r}: use --output jsonl")

    @abstractmethod
    def format(self, item: Item) -> bytes:
        """Return a sentence with its predicted labels."""

    def tags(self, sentence: Sentence) -> list[str]:
        """Return a tag of each word: its label, or `B-`, `I-` and `O` of spans; the empty string for no label."""
        if self.unit == "word":
            return [label or "" for label in sentence.token_labels(self.label_type) or [None] * len(sentence)]
        tags = ["O"] * len(sentence)
        for start, end, label in sentence.span_labels(self.label_type):
            tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
        return tags


class TextWriter(Writer):
    """A sentence in each line, as in `I/PRON rest/VERB`, `[PER Ada] lives in [LOC London].` or `positive A fine film.`.

    Args:
        label_type: As for `Writer`.
        unit: As for `Writer`.
        label_names: As for `Writer`.
        is_coloured: Whether to colour labels, for a terminal.
    """

    def __init__(self, label_type: str, unit: str, label_names: Sequence[str], *, is_coloured: bool = False) -> None:
        super().__init__(label_type, unit, label_names)
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(label_names) if is_coloured}

    def format(self, item: Item) -> bytes:
        """Return the line of a sentence."""
        sentence = item.sentence
        if sentence is None:
            return b""
        if self.unit == "word":
            tags = self.tags(sentence)
            line = " ".join(f"{word}/{self._paint(tag)}" for word, tag in zip(sentence.words, tags, strict=True))
        elif self.unit == "span":
            line = self._mark_spans(sentence)
        else:
            labels = ",".join(map(self._paint, sentence.sentence_labels(self.label_type)))
            line = f"{labels}\t{sentence.text}"
        return _encode(re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", line) + "\n")

    def _mark_spans(self, sentence: Sentence) -> str:
        text, end, parts = sentence.text, 0, []
        for span in sentence.get_spans(self.label_type):
            label = span.get_label(self.label_type).value
            parts += [text[end : span.start_position], f"[{self._paint(label)} {self._paint(span.text, label)}]"]
            end = span.end_position
        return "".join([*parts, text[end:]])

    def _paint(self, text: str, label: str | None = None) -> str:
        colour = self._colours.get(text if label is None else label)
        return text if colour is None else f"\x1b[{'1;' if label is None else ''}{colour}m{text}\x1b[0m"


class TsvWriter(Writer):
    """A word and its tag in each line, and an empty line after each sentence; or a text and its labels in each line."""

    separators = "\t\r\n"

    def format(self, item: Item) -> bytes:
        """Return the lines of a sentence."""
        sentence = item.sentence
        if sentence is None:
            return b""
        if self.unit == "sentence":
            labels = ",".join(sentence.sentence_labels(self.label_type))
            return _encode(f"{_LINE_END.sub(' ', sentence.text)}\t{labels}\n")
        rows = zip(sentence.words, self.tags(sentence), strict=True)
        return _encode("".join(f"{_cell(word)}\t{tag or '_'}\n" for word, tag in rows) + "\n")


class ConlluWriter(Writer):
    """CoNLL-U. Labels are in the column of their type, or in MISC as in `ner=B-PER`; those of texts are comments.

    The lines of CoNLL-U input are kept byte for byte, except the predicted values.
    """

    def __init__(self, label_type: str, unit: str, label_names: Sequence[str]) -> None:
        self._column = _COLUMNS.get(label_type) if unit == "word" else None
        self.separators = "\t\r\n" if self._column is not None or unit == "sentence" else "\t\r\n|"
        super().__init__(label_type, unit, label_names)
        self._prefix = f"{label_type}=".encode()
        self._gap = b""  # the empty line that the last sentence of a file lacks

    def format(self, item: Item) -> bytes:
        """Return the lines of a sentence."""
        raw = item.raw if item.raw or item.sentence is None else _make_rows(item.sentence)
        gap, last = self._gap, raw[-1]
        self._gap = b"" if not last.strip(b"\r\n") else b"\n" if last.endswith((b"\n", b"\r")) else b"\n\n"
        return gap + b"".join(self._label(raw, item.sentence))

    def _label(self, raw: Sequence[bytes], sentence: Sentence | None) -> Iterable[bytes]:
        if sentence is None:
            return raw
        if self.unit == "sentence":
            return self._comment(raw, ",".join(sentence.sentence_labels(self.label_type)))
        tags = iter(self.tags(sentence))
        return [self._set_tag(row, next(tags)) if _is_word(row) else row for row in raw]

    def _set_tag(self, row: bytes, tag: str) -> bytes:
        """Return the row of a word with another value in the predicted column, or in MISC."""
        body = row.rstrip(b"\r\n")
        cells = body.split(b"\t")
        if self._column is not None:
            cells[self._column] = _encode(tag) or b"_"
        else:
            old = [] if cells[_MISC].strip() == b"_" else cells[_MISC].split(b"|")
            kept = [part for part in old if not part.startswith(self._prefix)]
            new = [self._prefix + _encode(tag)] if tag not in ("", "O") else []
            if new or len(kept) < len(old):
                cells[_MISC] = b"|".join([*kept, *new]) or b"_"
        return b"\t".join(cells) + row[len(body) :]

    def _comment(self, rows: Sequence[bytes], labels: str) -> list[bytes]:
        """Return the rows of a sentence with its labels in a comment."""
        name = re.compile(rb"#\s*" + re.escape(self.label_type.encode()) + rb"\s*=")
        kept = [row for row in rows if not name.match(row)]
        first = next(index for index, row in enumerate(kept) if _is_row(row))
        end = b"\r\n" if kept[first].endswith(b"\r\n") else b"\n"
        return [*kept[:first], _encode(f"# {self.label_type} = {labels}") + end, *kept[first:]]


class JsonWriter(Writer):
    """An object in each line: the text with the tokens, spans or labels, and their scores and positions."""

    def format(self, item: Item) -> bytes:
        """Return the line of a sentence."""
        sentence = item.sentence
        if sentence is None:
            return b""
        content: dict[str, Any] = dict(item.content or {"text": sentence.text})
        if self.unit == "sentence":
            content["labels"] = [_scored(label) for label in sentence.get_labels(self.label_type)]
        else:
            points = sentence.get_spans(self.label_type) if self.unit == "span" else sentence.tokens
            content[f"{'span' if self.unit == 'span' else 'token'}s"] = [
                {
                    "text": point.text,
                    "start": point.start_position,
                    "end": point.end_position,
                    **_scored(point.get_label(self.label_type)),
                }
                for point in points
            ]
        return _encode(json.dumps(content, ensure_ascii=False) + "\n")


def _scored(label: Any) -> dict[str, Any]:
    return {"label": label.value, "score": round(label.score, 6)}


def _make_rows(sentence: Sentence) -> tuple[bytes, ...]:
    """Return the lines of a sentence in CoNLL-U, without labels."""
    text = _LINE_END.sub(" ", sentence.text).strip()
    rows = [f"# text = {text}\n"] if text else []
    for token in sentence:
        misc = "SpaceAfter=No" if token.whitespace_after == 0 and token.idx < len(sentence) else "_"
        rows.append(f"{token.idx}\t{_cell(token.text)}" + "\t_" * 7 + f"\t{misc}\n")
    return tuple(map(_encode, (*rows, "\n")))


def _cell(word: str) -> str:
    """Return a word that must fit into a column."""
    if not word.strip(" \u00a0") or _LINE_END.search(word):
        raise SettingError(f"this format cannot hold the word {word!r}: use --output jsonl")
    return word


def _is_row(line: bytes) -> bool:
    return bool(line.strip(b"\r\n")) and not line.startswith((b"#", b"\xef\xbb\xbf"))


def _is_word(line: bytes) -> bool:
    """Return whether a line is the row of a word, and not a comment, a range or an empty node."""
    return _is_row(line) and line.partition(b"\t")[0].decode().strip(" \u00a0").isdigit()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate of JSON becomes its escape again
