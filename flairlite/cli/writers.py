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
from flairlite.prediction.layers import Layer, to_json

_COLUMNS = {name: FIELDS.index(field) for field, names in LABEL_TYPES.items() for name in names}
_MISC = FIELDS.index("misc")
_LINE_END = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_CELL_END = re.compile(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_COLOURS = (32, 33, 36, 35, 34, 31)  # of a terminal


class Writer(ABC):
    """Formats sentences with their predicted labels.

    Args:
        layers: The label types: one, or several of words and spans.

    Raises:
        SettingError: If the format cannot hold a label.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers

    @abstractmethod
    def format(self, item: Item) -> bytes:
        """Return a sentence with its predicted labels."""

    def rows(self, sentence: Sentence) -> Iterable[tuple[str, ...]]:
        """Return each word with its tags of all label types."""
        return zip(sentence.words, *(layer.tags(sentence) for layer in self.layers), strict=True)


class TextWriter(Writer):
    """A sentence in each line, as in `I/PRON rest/VERB`, `[PER Ada] lives in [LOC London].` or `positive A fine film.`.

    Args:
        layers: As for `Writer`.
        is_coloured: Whether to colour labels, for a terminal.
    """

    def __init__(self, layers: Sequence[Layer], *, is_coloured: bool = False) -> None:
        super().__init__(layers)
        names = [name for layer in layers for name in layer.label_names] if is_coloured else []
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}

    def format(self, item: Item) -> bytes:
        """Return the line of a sentence."""
        sentence, first = item.sentence, self.layers[0]
        if sentence is None:
            return b""
        if first.unit == "sentence":
            line = f"{','.join(map(self._paint, sentence.sentence_labels(first.label_type)))}\t{sentence.text}"
        elif first.unit == "span" and len(self.layers) == 1:
            line = self._mark_spans(sentence, first.label_type)
        else:
            line = " ".join("/".join([word, *map(self._paint, tags)]) for word, *tags in self.rows(sentence))
        return _encode(_LINE_END.sub(" ", line) + "\n")

    def _mark_spans(self, sentence: Sentence, label_type: str) -> str:
        text, end, parts = sentence.text, 0, []
        for span in sentence.get_spans(label_type):
            label = span.get_label(label_type).value
            parts += [text[end : span.start_position], f"[{self._paint(label)} {self._paint(span.text, label)}]"]
            end = span.end_position
        return "".join([*parts, text[end:]])

    def _paint(self, text: str, label: str | None = None) -> str:
        colour = self._colours.get(text if label is None else label)
        return text if colour is None else f"\x1b[{'1;' if label is None else ''}{colour}m{text}\x1b[0m"


class TsvWriter(Writer):
    """A word and its tags in each line, and an empty line after each sentence; or a text and its labels."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(layers)
        for layer in layers:
            _check_names(layer, "\t\r\n")

    def format(self, item: Item) -> bytes:
        """Return the lines of a sentence."""
        sentence = item.sentence
        if sentence is None:
            return b""
        if self.layers[0].unit == "sentence":
            return _encode(f"{_CELL_END.sub(' ', sentence.text)}\t{self.layers[0].of_sentence(sentence)}\n")
        lines = ("\t".join([_cell(word), *(tag or "_" for tag in tags)]) for word, *tags in self.rows(sentence))
        return _encode("".join(f"{line}\n" for line in lines) + "\n")


class ConlluWriter(Writer):
    """CoNLL-U. Labels are in the column of their type, or in MISC as in `ner=B-PER`; those of texts are comments.

    The lines of CoNLL-U input are kept byte for byte, except the predicted values.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(layers)
        for layer in layers:
            _check_names(layer, "\t\r\n|" if _column_of(layer) == _MISC else "\t\r\n")
        self._gap = b""  # the empty line that the last sentence of a file lacks

    def format(self, item: Item) -> bytes:
        """Return the lines of a sentence."""
        rows: Sequence[bytes] = item.raw
        if not rows and item.sentence is not None:
            rows = _make_rows(item.sentence)
        gap, last = self._gap, rows[-1]
        self._gap = b"" if not last.strip(b"\r\n") else b"\n" if last.endswith((b"\n", b"\r")) else b"\n\n"
        if item.sentence is not None:
            for layer in self.layers:
                rows = _label_rows(rows, item.sentence, layer)
        return gap + b"".join(rows)


class JsonWriter(Writer):
    """An object in each line: the text with its tokens, spans or labels, with scores and positions.

    Those of several label types are under the names of the types.
    """

    def format(self, item: Item) -> bytes:
        """Return the line of a sentence."""
        sentence = item.sentence
        if sentence is None:
            return b""
        content: dict[str, Any] = dict(item.content or {"text": sentence.text})
        content |= to_json(sentence, self.layers)
        return _encode(json.dumps(content, ensure_ascii=False) + "\n")


def _check_names(layer: Layer, separators: str) -> None:
    """Check that no label contains a character that separates labels in a format.

    Raises:
        SettingError: If one does.
    """
    for name in layer.label_names:
        if any(character in name for character in separators):
            raise SettingError(f"this format cannot hold the label {name!r}: use --output jsonl")


def _column_of(layer: Layer) -> int | None:
    """Return the column of the labels of words and spans in CoNLL-U."""
    if layer.unit == "sentence":
        return None
    return _COLUMNS.get(layer.label_type, _MISC) if layer.unit == "word" else _MISC


def _label_rows(rows: Sequence[bytes], sentence: Sentence, layer: Layer) -> Sequence[bytes]:
    """Return the lines of a sentence with the labels of a type."""
    column = _column_of(layer)
    if column is None:
        return _comment(rows, layer.label_type, layer.of_sentence(sentence))
    tags = iter(layer.tags(sentence))
    is_named = layer.label_type not in _COLUMNS or layer.unit == "span"  # within MISC
    prefix = f"{layer.label_type}=".encode() if is_named else None
    return [_set_tag(row, column, prefix, next(tags)) if _is_word(row) else row for row in rows]


def _set_tag(row: bytes, column: int, prefix: bytes | None, tag: str) -> bytes:
    """Return the row of a word with another value in a column, or for a prefix such as `ner=` in MISC."""
    body = row.rstrip(b"\r\n")
    cells = body.split(b"\t")
    if prefix is None:
        cells[column] = _encode(tag) or b"_"
    else:
        old = [] if cells[column].strip() == b"_" else cells[column].split(b"|")
        kept = [part for part in old if not part.startswith(prefix)]
        new = [prefix + _encode(tag)] if tag not in ("", "O") else []
        if new or len(kept) < len(old):
            cells[column] = b"|".join([*kept, *new]) or b"_"
    return b"\t".join(cells) + row[len(body) :]


def _comment(rows: Sequence[bytes], label_type: str, labels: str) -> Sequence[bytes]:
    """Return the lines of a sentence with its labels in a comment."""
    name = re.compile(rb"#\s*" + re.escape(label_type.encode()) + rb"\s*=")
    kept = [row for row in rows if not name.match(row)]
    first = next(index for index, row in enumerate(kept) if _is_row(row))
    end = b"\r\n" if kept[first].endswith(b"\r\n") else b"\n"
    return [*kept[:first], _encode(f"# {label_type} = {labels}") + end, *kept[first:]]


def _make_rows(sentence: Sentence) -> tuple[bytes, ...]:
    """Return the lines of a sentence in CoNLL-U, without labels."""
    text = _CELL_END.sub(" ", sentence.text).strip()
    rows = [f"# text = {text}\n"] if text else []
    for token in sentence:
        misc = "SpaceAfter=No" if token.whitespace_after == 0 and token.idx < len(sentence) else "_"
        rows.append(f"{token.idx}\t{_cell(token.text)}" + "\t_" * 7 + f"\t{misc}\n")
    return tuple(map(_encode, (*rows, "\n")))


def _cell(word: str) -> str:
    """Return a word that must fit into a column."""
    if not word.strip(" \u00a0") or _CELL_END.search(word):
        raise SettingError(f"this format cannot hold the word {word!r}: use --output jsonl")
    return word


def _is_row(line: bytes) -> bool:
    return bool(line.strip(b"\r\n")) and not line.startswith((b"#", b"\xef\xbb\xbf"))


def _is_word(line: bytes) -> bool:
    """Return whether a line is the row of a word, and not a comment, a range or an empty node."""
    return _is_row(line) and line.partition(b"\t")[0].decode().strip(" \u00a0").isdigit()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate of JSON becomes its escape again
