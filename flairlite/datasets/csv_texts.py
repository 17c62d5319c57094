"""Read labelled texts from CSV files, and from other tables with one row per line."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from flairlite.checks import whole_number
from flairlite.data.sentence import Sentence
from flairlite.datasets.column_labels import check_column_map
from flairlite.datasets.fasttext import truncated_sentence
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.text_file import Record, TextFile, split_lines
from flairlite.errors import DataFormatError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_MAX_FIELD = 2**31 - 1  # characters; the default of `csv` is 131,072
_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)[\r\n]*")  # a line before the table that Excel reads
_HEADERS = ("category", "class", "id", "label", "labels", "review", "sentence", "sentiment", "text", "title", "topic")


class CSVClassificationDataset(FileDataset):
    """The texts of a table, one per row, with labels in other columns.

    Rows without a text or without a label are left out, with a logged count. Blanks around a label are removed. A first
    line such as `sep=;`, which Excel reads, determines the delimiter if none is given.

    Args:
        path_to_file: The file.
        column_name_map: The role of each column, counted from 0: `text`, of which several are joined by a space, and
            `label` or a name that begins with it, as in `{0: "text", 1: "label_topic"}`.
        label_type: The label type.
        max_tokens_per_doc: Number of tokens of a text to keep; -1 for all.
        max_chars_per_doc: Number of characters of a text to keep; -1 for all.
        tokenizer: The tokenizer, as for `Sentence`.
        in_memory: Whether to keep the sentences, or to read them from the file on each access.
        skip_header: Whether the first row is a header.
        encoding: The encoding of the file.
        no_class_label: A value that means "no label"; its text is kept.
        fmtparams: Further arguments of `csv.reader`, such as `delimiter`.

    Raises:
        DataFormatError: If the file cannot be read, no text is left, or the rows have different numbers of columns.
        SettingError: If the map has no text or no label, or an argument is invalid.
    """

    def __init__(
        self,
        path_to_file: str | Path,
        column_name_map: Mapping[int, str],
        label_type: str,
        max_tokens_per_doc: int = -1,
        max_chars_per_doc: int = -1,
        tokenizer: bool | Tokenizer = True,
        in_memory: bool = True,
        skip_header: bool = False,
        encoding: str = "utf-8",
        no_class_label: str | None = None,
        **fmtparams: Any,
    ) -> None:
        super().__init__(TextFile(path_to_file, encoding), in_memory)
        self.column_name_map, self.label_type = check_column_map(column_name_map), label_type
        self.max_tokens = whole_number(least=-1)("max_tokens_per_doc", max_tokens_per_doc)
        self.max_chars = whole_number(least=-1)("max_chars_per_doc", max_chars_per_doc)
        self.tokenizer, self.skip_header = tokenizer, skip_header
        self.no_class_label = None if no_class_label is None else str(no_class_label).strip()
        self.text_columns = [index for index, name in self.column_name_map.items() if name == "text"]
        self.label_columns = [index for index, name in self.column_name_map.items() if name.startswith("label")]
        if not self.text_columns or not self.label_columns or min(self.column_name_map) < 0:
            raise SettingError(
                f"column_name_map needs a column 'text' and one 'label', from 0, as in {{0: 'text', 1: 'label'}}, "
                f"not {self.column_name_map}"
            )
        self._num_needed = max(self.column_name_map) + 1
        with self.file.open() as file:
            separator = _SEPARATOR.fullmatch(next(iter(split_lines(file)), b""))
        if separator:
            self.file.skip_lines = 1
            fmtparams.setdefault("delimiter", separator[1].decode(errors="replace"))
        has_blanks_between = fmtparams.get("delimiter") == " "
        self.fmtparams = {"strict": True, "skipinitialspace": not has_blanks_between, **fmtparams}
        try:
            csv.reader((), **self.fmtparams)
        except (TypeError, ValueError, csv.Error) as error:
            raise SettingError(f"{fmtparams} are not arguments of csv.reader: {error}") from error
        self._without_text: list[int] = []
        self._without_label: list[int] = []
        self._store(self._survey())
        for lines, missing in ((self._without_text, "text"), (self._without_label, "label")):
            if lines:
                message = "%s: %d rows without a %s are left out, first in line %d"
                log.warning(message, self.file.path, len(lines), missing, lines[0])

    def _survey(self) -> Iterator[tuple[Record, None]]:
        """Check all rows and yield the records to keep."""
        path, first, is_list = self.file.path, None, False
        for record, row in self._rows():
            if len(row) < 2 and not "".join(row).strip():  # a blank line
                continue
            if first is None:
                first = row
                self._check_header(row)
                if self.skip_header:
                    continue
            self._check_width(record, row, first)
            if not self._text_of(row).strip():
                self._without_text.append(record.line)
            elif not any(row[index].strip() for index in self.label_columns):
                self._without_label.append(record.line)
            else:
                is_list |= any(row[index].strip()[:1] == "[" for index in self.label_columns)
                yield record, None
        if is_list:
            log.warning("%s: lists of labels are read as one label: give each label a column of its own", path)

    def _rows(self) -> Iterator[tuple[Record, list[str]]]:
        """Yield the rows with their lines, of which a quoted value may span several."""
        start, end, line = 0, 0, 1 + self.file.skip_lines
        taken: list[str] = []

        def lines(file: BinaryIO) -> Iterator[str]:
            nonlocal start, end
            for number, raw in enumerate(split_lines(file), 1):
                if number <= self.file.skip_lines:
                    start = end = len(raw)
                    continue
                taken.append(self.file.decode(raw, number, end))
                end += len(raw)
                yield taken[-1]

        with self.file.open() as file:
            rows = csv.reader(lines(file), **self.fmtparams)
            while (row := self._next(rows, line)) is not None:
                yield Record("".join(taken), line, start, end), row
                start, line = end, line + len(taken)
                taken.clear()

    def _next(self, rows: Iterator[list[str]], line: int) -> list[str] | None:
        limit = csv.field_size_limit(_MAX_FIELD)  # of the process, so it is restored
        try:
            return next(rows, None)
        except csv.Error as error:
            problem = f"the row that begins here is not valid CSV: {error}"
            raise self.file.error(problem, line, "Check the quotes, and arguments such as delimiter") from error
        finally:
            csv.field_size_limit(limit)

    def _check_header(self, first: list[str]) -> None:
        named = [index for index in self.column_name_map if index < len(first)]
        if not self.skip_header and any(first[index].strip().lower() in _HEADERS for index in named):
            log.warning(
                "%s: the first row seems to be a header, but is read as a text: %s; skip_header=True leaves it out",
                self.file.path,
                first,
            )

    def _check_width(self, record: Record, row: list[str], first: list[str]) -> None:
        remedy = "Check the delimiter and the quotes"
        if len(row) < self._num_needed:
            problem = f"a row must have {self._num_needed} columns or more, but this has {len(row)}: {row!r:.60}"
            signs = {sign for sign in "\t;|," if sign in record.text and sign != self.fmtparams.get("delimiter", ",")}
            hint = f"; it has {' and '.join(map(repr, sorted(signs)))}: pass delimiter=" if signs else ""
            raise self.file.error(problem, record.line, remedy + hint)
        if len(row) != len(first) and any(value.strip() for value in row[len(first) :] or first[len(row) :]):
            problem = f"the row has {len(row)} columns, but the first row has {len(first)}: {row!r:.60}"
            raise self.file.error(problem, record.line, f"{remedy}: a text with the delimiter in it needs quotes")

    def _text_of(self, row: list[str]) -> str:
        return " ".join(row[index] for index in self.text_columns)

    def _no_sentences(self) -> DataFormatError:
        missing = f"{len(self._without_text)} rows have no text, {len(self._without_label)} no label"
        problem = f"no text with a label is in it: {missing}"
        return self.file.error(problem, remedy=f"Check column_name_map, {self.column_name_map}")

    def _sentence_of(self, record: Record) -> Sentence:
        row = self._next(csv.reader([record.text], **self.fmtparams), record.line) or []
        sentence = truncated_sentence(self._text_of(row), self.tokenizer, self.max_chars, self.max_tokens)
        labels = dict.fromkeys(row[index].strip() for index in self.label_columns)
        for no_label in ("", self.no_class_label):
            labels.pop(no_label or "", None)
        return sentence.set_sentence_labels(self.label_type, list(labels))
