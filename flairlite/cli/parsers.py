"""Parse the formats that `flairlite tag` reads, piece by piece."""

from __future__ import annotations

import csv
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flairlite.data import Sentence
from flairlite.datasets.conllu import parse_sentences
from flairlite.errors import DataFormatError
from flairlite.splitter import SegtokSentenceSplitter
from flairlite.tokenization import Tokenizer

_MAX_LINE = 1 << 26  # bytes; a longer line is not text, and would fill the memory
_MAX_SENTENCE = 1 << 13  # characters of running text without the end of a sentence; it then ends at the end of its line
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WORD = re.compile(r"[^ \t\v\f]+")  # a no-break space may be part of a word


@dataclass(frozen=True)
class Item:
    """A sentence of the input.

    Attributes:
        sentence: The sentence, or None for lines without one that the output keeps.
        raw: In CoNLL-U, its lines with their ends.
        content: In JSON lines, its object.
    """

    sentence: Sentence | None
    raw: tuple[bytes, ...] = ()
    content: dict[str, Any] | None = None


class Parser(ABC):
    """Splits input into lines, and makes sentences of them.

    Args:
        path: The name of the input in errors.
        tokenizer: Splits texts into words; the default tokenizer if None.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer | None = None) -> None:
        self.path, self.tokenizer = path, tokenizer
        self._pieces: list[bytes] = []  # of a line that is not complete
        self._size = 0  # of these pieces
        self._line = 0  # the number of lines so far

    def feed(self, piece: bytes) -> Iterator[Item]:
        """Yield the sentences that are complete with further bytes.

        Raises:
            DataFormatError: If a line is malformed.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        if b"\n" in piece or b"\r" in piece or self._pieces[0].endswith(b"\r"):
            lines = b"".join(self._pieces).splitlines(keepends=True)
            self._pieces = [] if lines[-1].endswith(b"\n") else [lines.pop()]  # a carriage return may be half an end
            self._size = sum(map(len, self._pieces))
            for line in lines:
                yield from self._read(line)
        elif self._size > _MAX_LINE:
            raise self._error(f"the line has more than {_MAX_LINE:,} bytes", self._line + 1)
        yield from self._pause()

    def finish(self) -> Iterator[Item]:
        """Yield the last sentences.

        Raises:
            DataFormatError: If a line is malformed.
        """
        for line in b"".join(self._pieces).splitlines(keepends=True):
            yield from self._read(line)
        self._pieces = []
        yield from self._end()

    def _read(self, line: bytes) -> Iterator[Item]:
        self._line += 1
        if self._line == 1:
            line = self._take_start(line)
        try:
            wrong = line.find(b"\0")
            text = line.decode()
        except UnicodeDecodeError as error:
            wrong = error.start
        if wrong >= 0:
            raise self._error(f"byte 0x{line[wrong]:02x} is not UTF-8 text", remedy="Convert the input to UTF-8")
        yield from self._parse(text.rstrip("\r\n"), line)

    def _take_start(self, line: bytes) -> bytes:
        """Return the first line without the byte order mark of some editors."""
        return line.removeprefix(_BYTE_ORDER_MARK)

    @abstractmethod
    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        """Yield the sentences that a line completes, which is given without its end, and as bytes with it."""

    def _pause(self) -> Iterator[Item]:
        """Yield the sentences that are complete while more input may follow."""
        return iter(())

    def _end(self) -> Iterator[Item]:
        """Yield the sentences that the end of the input completes."""
        return iter(())

    def _error(self, problem: str, line: int | None = None, remedy: str = "") -> DataFormatError:
        return DataFormatError(problem, path=self.path, line=line or self._line, remedy=remedy)


class LineParser(Parser):
    """A sentence in each line; empty lines are ignored."""

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        if not text.isspace() and text:
            yield Item(Sentence(text.strip(), True if self.tokenizer is None else self.tokenizer))


class WordParser(Parser):
    """A sentence in each line, with spaces between its words; empty lines are ignored."""

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        if words := _WORD.findall(text):
            yield Item(Sentence(words))


class TextParser(Parser):
    """Running text: sentences that may span lines, and end at empty lines at the latest.

    Args:
        path: As for `Parser`.
        tokenizer: As for `Parser`.
        ends_at_lines: Whether a sentence ends at the end of its line at the latest.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer | None = None, *, ends_at_lines: bool = False) -> None:
        super().__init__(path, tokenizer)
        self._splitter = SegtokSentenceSplitter(tokenizer)
        self._ends_at_lines = ends_at_lines
        self._paragraph: list[str] = []
        self._num_characters = 0

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        if text.isspace() or not text:
            yield from self._end()
            return
        self._paragraph.append(f"{text}\n")
        self._num_characters += len(text) + 1
        if self._ends_at_lines:
            yield from self._end()
        elif self._num_characters > _MAX_SENTENCE:
            yield from self._pause()

    def _pause(self) -> Iterator[Item]:
        """Yield all sentences of the paragraph but the last one, which the next line may continue."""
        text = "".join(self._paragraph)
        sentences = self._splitter.split(text, link_sentences=False)
        if len(text) > _MAX_SENTENCE and len(sentences) == 1:
            yield from self._end()
        elif len(sentences) > 1:
            self._paragraph = [text[sentences[-1].start_position :]]
            self._num_characters = len(self._paragraph[0])
            yield from map(Item, sentences[:-1])

    def _end(self) -> Iterator[Item]:
        text, self._paragraph, self._num_characters = "".join(self._paragraph), [], 0
        yield from map(Item, self._splitter.split(text, link_sentences=False))


class ConlluParser(Parser):
    """CoNLL-U, with its lines as they are.

    Args:
        path: As for `Parser`.
        label_types: The label types that will be predicted, which sentences do not get from the file.
    """

    def __init__(self, path: Path, label_types: Sequence[str]) -> None:
        super().__init__(path)
        self._label_types = label_types
        self._block: list[bytes] = []

    def _take_start(self, line: bytes) -> bytes:
        if line.startswith(_BYTE_ORDER_MARK):
            self._block.append(_BYTE_ORDER_MARK)
        return super()._take_start(line)

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        self._block.append(line)
        if not text:
            yield from self._end()

    def _end(self) -> Iterator[Item]:
        block, self._block = self._block, []
        if not block:
            return
        lines = [line.rstrip(b"\r\n") for line in block if line != _BYTE_ORDER_MARK]
        text = b"\n".join(lines).rstrip(b"\n")
        first = self._line - len(lines) + 1
        sentence = next(parse_sentences(text, first, self.path), None)
        if sentence is not None:
            for label_type in self._label_types:
                sentence.remove_labels(label_type)
        yield Item(sentence, raw=tuple(block))


class TableParser(Parser):
    """A table with a text in each row, in the column `text` of its header, or else in the first column.

    Quoted texts may span lines; rows without a text are ignored.

    Args:
        path: As for `Parser`.
        tokenizer: As for `Parser`.
        delimiter: What separates the columns.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer | None = None, *, delimiter: str = ",") -> None:
        super().__init__(path, tokenizer)
        self._delimiter = delimiter
        self._column: int | None = None  # of the texts, when the first row was read
        self._row: list[str] = []  # the lines of a row that is not complete
        self._num_quotes = 0  # in them

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        self._row.append(f"{text}\n")
        self._num_quotes += text.count('"')
        if self._num_quotes % 2 == 0:
            yield from self._end()

    def _end(self) -> Iterator[Item]:
        lines, self._row, self._num_quotes = self._row, [], 0
        limit = csv.field_size_limit(_MAX_LINE)  # of the process, so it is restored
        try:
            rows = list(csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True, strict=True))
        except csv.Error as error:
            first = self._line - len(lines) + 1
            raise self._error(
                f"the row that begins here is not valid CSV: {error}", first, "Check the quotes"
            ) from error
        finally:
            csv.field_size_limit(limit)
        for row in filter(None, rows):
            is_header = False
            if self._column is None:
                names = [cell.strip().lower() for cell in row]
                is_header = "text" in names
                self._column = names.index("text") if is_header else 0
            if len(row) <= self._column:
                raise self._error(f"the row has {len(row)} columns, and the texts are in column {self._column + 1}")
            text = row[self._column].strip()
            if text and not is_header:
                yield Item(Sentence(text, True if self.tokenizer is None else self.tokenizer))


class JsonParser(Parser):
    """JSON lines: objects with a text or with words."""

    def _parse(self, text: str, line: bytes) -> Iterator[Item]:
        if not text or text.isspace():
            return
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._error(f"this is not JSON: {error}", remedy='A line is like {"text": "in Berlin"}') from error
        value = None
        if isinstance(content, dict):
            value = next((content[key] for key in ("words", "text", "data", "tokens") if key in content), None)
        if isinstance(value, str):
            yield Item(Sentence(value, True if self.tokenizer is None else self.tokenizer), content=content)
        elif isinstance(value, list) and all(isinstance(word, str) for word in value):
            yield Item(Sentence(value), content=content)
        else:
            found = ", ".join(map(repr, content)) or "nothing" if isinstance(content, dict) else text[:40]
            remedy = 'A line is like {"text": "in Berlin"} or {"words": ["in", "Berlin"]}'
            raise self._error(f"an object with a text or words is expected; it has {found}", remedy=remedy)
