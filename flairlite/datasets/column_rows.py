"""The lines of a column file as rows and comments: what separates columns, what is a comment, what a document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flairlite.datasets.text_file import Record, TextFile, is_blank
from flairlite.errors import SettingError

Row = list[str]
DOCUMENT_START = "-DOCSTART-"  # of CoNLL 2003
BLANKS = r"[ \t]+"


@dataclass(frozen=True)
class Rows:
    """The rows of a sentence.

    Attributes:
        rows: A row a word, with one value a column.
        numbers: The 1-based line of each.
        comments: The comment lines.
        is_separator: Whether the only row stands for the start of a document.
        doubtful: The line of a comment that may be a word, or None.
    """

    rows: list[Row]
    numbers: Sequence[int]
    comments: list[str]
    is_separator: bool = False
    doubtful: int | None = None


class RowReader:
    """Divides the lines of a column file into columns.

    Args:
        file: The file.
        indices: The columns that are wanted, from 0; negative ones count from the last.
        delimiter: A regular expression for what separates columns. When None it is found: a tab where most rows have
            enough of them, else spaces and tabs, any number.
        comment_symbol: What comments begin with, or None.
        separator: The word of a row that stands for the start of a document, beside -DOCSTART-.
        is_document: Whether a whole document is one sentence.

    Raises:
        SettingError: for a delimiter that is no regular expression, and whole documents without a separator.
    """

    def __init__(
        self,
        file: TextFile,
        indices: Mapping[int, str],
        delimiter: str | None,
        comment_symbol: str | None,
        separator: str | None,
        is_document: bool,
    ) -> None:
        if is_document and not separator:
            raise SettingError("documents_as_sentences needs a document_separator_token, such as -DOCSTART-")
        self.file = file
        self.num_needed = 1 + max([-1, *(i for i in indices if i >= 0)]) - min([0, *indices])
        self.comment_symbol, self.separator, self.is_document = comment_symbol, separator, is_document
        self._comment_start = (comment_symbol or "").strip()
        self.delimiter = delimiter if delimiter is not None else self._found_delimiter()
        self._pattern = None if self.delimiter in ("\t", r"\t") else _pattern(self.delimiter)

    @property
    def is_border(self) -> Callable[[bytes], bool]:
        """Tells a line that stands between two sentences."""
        if not self.is_document:
            return bytes.isspace
        separator = str(self.separator).encode(self.file.encoding)
        return lambda line: line.startswith(separator)

    def rows_of(self, record: Record) -> Rows:
        """Return the rows of a record.

        A line that begins with the comment symbol is a comment. But where it stands behind a word, and has as many
        columns as that word, it is a word too: `# # B-NP` is one in CoNLL 2000. Before the first word a line of one
        more blank, `#` and a tab, is a comment where it has other columns than the words.

        Raises:
            DataFormatError: for a row with too few columns, or not as many as the others, or no word.
        """
        rows = self._plain_rows(record.text)
        if rows is not None:
            return Rows(rows, range(record.line, record.line + len(rows)), [])
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
        numbers = [number for number, _, _ in words]
        is_separator = len(rows) == 1 and rows[0][0] in (DOCUMENT_START, self.separator)
        if not is_separator:
            self._check(rows, numbers)
        width = len(rows[0]) if rows else 0
        doubtful = next((number for number, _, row in comments if len(row) == width > 1), None)
        return Rows(rows, numbers, [line for _, line, _ in comments], is_separator, doubtful)

    def _plain_rows(self, text: str) -> list[Row] | None:
        """Return the rows of most sentences, all alike and without comments, quickly; None for those of the others."""
        sign = {"\t": "\t", BLANKS: " "}.get(self.delimiter)
        if not text or sign is None or self.is_document or "\r" in text:
            return None
        if self._comment_start and self._comment_start in text:
            return None
        if sign == " " and ("\t" in text or "  " in text or " \n" in text or text[-1] == " "):
            return None
        rows = [line.split(sign) for line in text.removesuffix("\n").split("\n")]
        widths = set(map(len, rows))
        is_separator = len(rows) == 1 and rows[0][0] in (DOCUMENT_START, self.separator)
        return rows if len(widths) == 1 and widths.pop() >= self.num_needed and not is_separator else None

    def _split(self, line: str) -> Row:
        if self._pattern is None:
            return line.split("\t")
        row = self._pattern.split(line)
        while len(row) > 1 and not row[-1]:  # what separates columns may also stand at the end of a line
            row.pop()
        return row

    def _is_comment(self, line: str) -> bool:
        return bool(self.comment_symbol) and line.startswith(str(self.comment_symbol))

    def _begins_with_comment(self, words: list[tuple[int, str, Row]]) -> bool:
        """Tell whether the first row is a comment by its columns: the symbol alone, and not as many as the others."""
        if not self.comment_symbol or len(words) < 2:
            return False
        row = words[0][2]
        return row[0] == self._comment_start and len(row) != len(words[1][2])

    def _check(self, rows: list[Row], numbers: Sequence[int]) -> None:
        widths = list(map(len, rows))
        if len(set(widths)) > 1:
            usual = Counter(widths).most_common(1)[0][0]
            place = next(place for place, width in enumerate(widths) if width != usual)
            problem = f"the row has {widths[place]} columns, {rows[place]}, but others of its sentence have {usual}"
            raise self.file.problem(problem, numbers[place], self._remedy())
        if rows and widths[0] < self.num_needed:
            problem = f"a row must have {self.num_needed} columns or more, but {rows[0]} has {widths[0]}"
            raise self.file.problem(problem, numbers[0], self._remedy())

    def _remedy(self) -> str:
        between = {r"\t": "a tab", "\t": "a tab", BLANKS: "spaces or tabs"}.get(self.delimiter, repr(self.delimiter))
        return (
            f"Columns are separated by {between}: correct the row, or give column_delimiter, "
            f"or comment_symbol (it is {self.comment_symbol!r})"
        )

    def _found_delimiter(self) -> str:
        least = max(1, self.num_needed - 1)
        comment = self._comment_start.encode(self.file.encoding)
        num_rows = num_tabbed = 0
        with self.file.opened() as file:
            for line in file:
                if not line.isspace() and not (comment and line.startswith(comment)):
                    num_rows += 1
                    num_tabbed += line.count(b"\t") >= least
        return "\t" if 2 * num_tabbed > num_rows else BLANKS


def _pattern(delimiter: str) -> re.Pattern[str]:
    try:
        return re.compile(delimiter)
    except re.error as error:
        raise SettingError(f"column_delimiter must be a regular expression, not {delimiter!r}: {error}") from error
