"""Split the lines of a column file into rows and comments, and find document starts and CoNLL-U ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flairlite.checks import shown
from flairlite.datasets.column_labels import TEXT
from flairlite.datasets.text_file import Record, TextFile, is_blank, split_lines
from flairlite.errors import SettingError

Row = list[str]
DOCUMENT_START = "-DOCSTART-"  # of CoNLL 2003
WHITE_SPACE = r"[ \t]+"
_CONLLU_ID = re.compile(r"[1-9][0-9]*-[1-9][0-9]*|[0-9]+\.[1-9][0-9]*")  # of ranges and empty nodes
# the white space that `str.strip` removes, without blanks, tabs and line feeds; a list is faster than a category
_OTHER_SPACE = re.compile("[\r\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


@dataclass(frozen=True)
class Rows:
    """The rows of a sentence.

    Attributes:
        rows: One row per word, with one value per column.
        lines: The 1-based line of each row.
        comments: The comment lines.
        is_document_start: Whether the only row marks the start of a document.
        doubtful_comment: The line of a comment that may be a word, or None.
        num_left_out: Number of rows of multiword ranges and empty nodes.
    """

    rows: list[Row]
    lines: Sequence[int]
    comments: list[str]
    is_document_start: bool = False
    doubtful_comment: int | None = None
    num_left_out: int = 0


class RowReader:
    """Splits the lines of a column file into columns.

    Args:
        file: The file.
        columns: The names of the columns by index; a negative index counts from the end.
        delimiter: A regular expression for the delimiter. When None it is detected: a tab if most rows have enough of
            them, else spaces and tabs.
        comment_symbol: The start of comments, or None.
        separator: The word of a row that marks the start of a document, in addition to -DOCSTART-.
        is_document: Whether each document is one sentence.

    Raises:
        SettingError: If the delimiter is not a regular expression, or there is no separator for documents.
    """

    def __init__(
        self,
        file: TextFile,
        columns: Mapping[int, str],
        delimiter: str | None,
        comment_symbol: str | None,
        separator: str | None,
        is_document: bool,
    ) -> None:
        for name, text in {"comment_symbol": comment_symbol, "document_separator_token": separator}.items():
            _check_text(name, text, file.encoding)
        if is_document and not separator:
            raise SettingError("documents_as_sentences needs a document_separator_token, such as -DOCSTART-")
        self.file, self.columns = file, columns
        self.num_needed = 1 + max([-1, *(i for i in columns if i >= 0)]) - min([0, *columns])
        self.text_index = next(index for index, name in columns.items() if name == TEXT)
        self.comment_symbol, self.separator, self.is_document = comment_symbol, separator, is_document
        self._may_have_ids = 0 not in columns
        self._comment_start = (comment_symbol or "").strip()
        pattern = None if delimiter is None else _compile(delimiter)
        self.delimiter = delimiter if delimiter is not None else self._detect_delimiter()
        self._pattern = None if self.delimiter in ("\t", r"\t") else pattern or _compile(self.delimiter)

    @property
    def is_border(self) -> Callable[[bytes], bool]:
        """Whether a line separates two sentences."""
        if not self.is_document:
            return bytes.isspace
        separator = str(self.separator).encode(self.file.encoding)
        return lambda line: line.startswith(separator)

    def rows_of(self, record: Record) -> Rows:
        """Return the rows of a record.

        A line that begins with the comment symbol is a comment. But after a word, a line with as many columns as that
        word is a word too: `# # B-NP` occurs in CoNLL 2000. Before the first word, a line of the symbol without its
        trailing blank and a tab is a comment if it has other columns than the words.

        Raises:
            DataFormatError: If a row has too few columns, another number of columns than the others, or no word.
        """
        rows = self._plain_rows(record.text)
        if rows is not None:
            return self._without_ids(Rows(rows, range(record.line, record.line + len(rows)), []))
        words: list[tuple[int, str, Row]] = []
        comments: list[tuple[int, str, Row]] = []
        for number, line in enumerate(record.lines, record.line):
            if is_blank(line):
                continue
            row = self._split(line)
            is_word = not self._is_comment(line) or (words and len(row) == len(words[-1][2]))
            (words if is_word else comments).append((number, line, row))
        if self._begins_with_comment(words):
            comments.append(words.pop(0))
        rows = [row for _, _, row in words]
        lines = [number for number, _, _ in words]
        is_document_start = len(rows) == 1 and self._is_document_start(rows[0])
        if not is_document_start:
            self._check(rows, lines)
            rows = list(map(self._strip, rows))
        width = len(rows[0]) if rows else 0
        doubtful = next((number for number, _, row in comments if len(row) == width > 1), None)
        return self._without_ids(Rows(rows, lines, [line for _, line, _ in comments], is_document_start, doubtful))

    def _plain_rows(self, text: str) -> list[Row] | None:
        """Return the rows of a regular sentence, which most are, quickly; None for an irregular one."""
        sign = {"\t": "\t", WHITE_SPACE: " "}.get(self.delimiter)
        if not text or sign is None or self.is_document or DOCUMENT_START in text:
            return None
        if self._comment_start and self._comment_start in text:
            return None
        if " \n" in text or "\n " in text or text[0] == " " or text[-1] == " " or _OTHER_SPACE.search(text):
            return None
        if ("  " in text or "\t" in text) if sign == " " else (" \t" in text or "\t " in text):
            return None
        rows = [line.split(sign) for line in text.removesuffix("\n").split("\n")]
        widths = set(map(len, rows))
        is_regular = len(widths) == 1 and widths.pop() >= self.num_needed
        return rows if is_regular and not self._is_document_start(rows[0]) else None

    def _is_document_start(self, row: Row) -> bool:
        return row[0].strip() in (DOCUMENT_START, self.separator)

    def _split(self, line: str) -> Row:
        if self._pattern is None:
            return line.split("\t")
        row = self._pattern.split(line)
        while len(row) > 1 and not row[-1]:  # a delimiter at the end of the line
            row.pop()
        return row

    def _strip(self, row: Row) -> Row:
        """Remove blanks around values; a no-break space may be a word."""
        values = [value.strip() for value in row]
        values[self.text_index] = row[self.text_index].strip(" ")
        return values

    def _without_ids(self, found: Rows) -> Rows:
        """Leave out the rows of multiword ranges and empty nodes, if the first column has ids of CoNLL-U."""
        if not self._may_have_ids or all(row[0].isdigit() for row in found.rows):
            return found
        is_word = [row[0].isdigit() for row in found.rows]
        ids = [int(row[0]) for row, is_one in zip(found.rows, is_word, strict=True) if is_one and len(row[0]) < 10]
        others = [row[0] for row, is_one in zip(found.rows, is_word, strict=True) if not is_one]
        if not ids or ids != list(range(1, sum(is_word) + 1)) or not all(map(_CONLLU_ID.fullmatch, others)):
            return found
        rows = [row for row, is_one in zip(found.rows, is_word, strict=True) if is_one]
        lines = [line for line, is_one in zip(found.lines, is_word, strict=True) if is_one]
        return Rows(rows, lines, found.comments, False, found.doubtful_comment, len(others))

    def _is_comment(self, line: str) -> bool:
        return bool(self.comment_symbol) and line.startswith(str(self.comment_symbol))

    def _begins_with_comment(self, words: list[tuple[int, str, Row]]) -> bool:
        """Return whether the first row is a comment: the symbol alone, with other columns than the next row."""
        if not self.comment_symbol or len(words) < 2:
            return False
        row = words[0][2]
        return row[0] == self._comment_start and len(row) != len(words[1][2])

    def _check(self, rows: list[Row], lines: Sequence[int]) -> None:
        widths = list(map(len, rows))
        starts = [index for index, row in enumerate(rows) if row[0] == DOCUMENT_START]
        if starts and not self.is_document:
            problem = f"{DOCUMENT_START} is a row of a sentence"
            raise self.file.error(problem, lines[starts[0]], "Put an empty line before and after it")
        if len(set(widths)) > 1:
            usual = Counter(widths).most_common(1)[0][0]
            index = next(index for index, width in enumerate(widths) if width != usual)
            problem = f"the row has {widths[index]} columns, {rows[index]}, but others of its sentence have {usual}"
            raise self.file.error(problem, lines[index], self._remedy())
        if rows and widths[0] < self.num_needed:
            problem = f"a row must have {self.num_needed} columns or more, but {rows[0]} has {widths[0]}"
            raise self.file.error(problem, lines[0], self._remedy())

    def _remedy(self) -> str:
        names = {r"\t": "a tab", "\t": "a tab", WHITE_SPACE: "spaces or tabs"}
        return (
            f"Columns are separated by {names.get(self.delimiter, repr(self.delimiter))}: correct the row, or check "
            f"column_delimiter, comment_symbol ({self.comment_symbol!r}) and the column map {dict(self.columns)}"
        )

    def _detect_delimiter(self) -> str:
        least = max(1, self.num_needed - 1)
        comment = self._comment_start.encode(self.file.encoding)
        num_rows = num_tabbed = 0
        with self.file.open() as file:
            for line in split_lines(file):
                if not line.isspace() and not (comment and line.startswith(comment)):
                    num_rows += 1
                    num_tabbed += line.count(b"\t") >= least
        return "\t" if 2 * num_tabbed > num_rows else WHITE_SPACE


def _check_text(name: str, text: Any, encoding: str) -> None:
    """Check a text that is searched for in a file of an encoding, or None."""
    try:
        is_valid = text is None or bool(isinstance(text, str) and text.encode(encoding))
    except UnicodeEncodeError:
        is_valid = False
    if not is_valid:
        raise SettingError(f"{name} must be None or a text in {encoding} that is not empty; it is {shown(text)}")


def _compile(delimiter: str) -> re.Pattern[str]:
    try:
        return re.compile(delimiter + "")  # no bytes
    except (re.error, TypeError, ValueError) as error:
        raise SettingError(f"column_delimiter must be a regular expression, not {delimiter!r}: {error}") from error
