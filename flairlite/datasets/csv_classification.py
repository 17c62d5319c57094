"""Read labelled texts from tables of values separated by commas (CSV) or other signs."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from flairlite.data.sentence import Sentence
from flairlite.datasets.classification import sentence_of_text
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")


class CSVClassificationDataset(FileDataset):
    """The texts of a table, a text a row, with labels in other columns.

    Rows without a text or without a label are left out, and the log says how many and the first.

    Args:
        path_to_file: The file.
        column_name_map: What the columns are, from 0: `text`, of which several are joined by a space, and `label` or
            what begins so, as in `{0: "text", 1: "label_topic"}`.
        label_type: What to call the labels.
        max_tokens_per_doc: How many words of a text are kept; -1 for all.
        max_chars_per_doc: How many of its characters; -1 for all.
        tokenizer: What splits texts into words, as for `Sentence`.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        skip_header: Whether the first row is a header.
        encoding: The encoding of the file.
        no_class_label: A value that stands for no label; its text is kept.
        fmtparams: Others of `csv.reader`, such as `delimiter`.

    Raises:
        DataFormatError: for a file that cannot be read, or of which no text is left, and for a row that is not like the
            others.
        SettingError: for a map without a text or a label, or formats that make no sense.
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
        self.column_name_map, self.label_type = dict(column_name_map), label_type
        self.max_tokens, self.max_chars = max_tokens_per_doc, max_chars_per_doc
        self.tokenizer, self.skip_header, self.no_class_label = tokenizer, skip_header, no_class_label
        self.text_columns = [index for index, name in self.column_name_map.items() if name == "text"]
        self.label_columns = [index for index, name in self.column_name_map.items() if name.startswith("label")]
        if not self.text_columns or not self.label_columns or min(self.column_name_map) < 0:
            raise SettingError(
                f"column_name_map needs a column 'text' and one 'label', from 0, as in {{0: 'text', 1: 'label'}}, "
                f"not {self.column_name_map}"
            )
        self.fmtparams = {"strict": True, **fmtparams}
        try:
            csv.reader((), **self.fmtparams)
        except (TypeError, ValueError, csv.Error) as error:
            raise SettingError(f"{fmtparams} are no settings of csv.reader: {error}") from error
        self._without_text: list[int] = []
        self._without_label: list[int] = []
        self._take(self._surveyed())
        for lines, lacking in ((self._without_text, "text"), (self._without_label, "label")):
            if lines:
                message = "%s: %d rows without a %s are left out, first in line %d"
                log.warning(message, self.file.path, len(lines), lacking, lines[0])

    def _surveyed(self) -> Iterator[tuple[Record, None]]:
        for number, (record, row) in enumerate(self._rows()):
            if (number or not self.skip_header) and row:
                self._check(record, row)
                if not self._text_of(row).strip():
                    self._without_text.append(record.line)
                elif not any(row[index].strip() for index in self.label_columns):
                    self._without_label.append(record.line)
                else:
                    yield record, None

    def _rows(self) -> Iterator[tuple[Record, list[str]]]:
        """Yield the rows with the lines that each takes: a value in quotes may go on over several."""
        start, line = 0, 1
        taken: list[str] = []

        def lines(file: BinaryIO) -> Iterator[str]:
            for number, raw in enumerate(file, 1):
                taken.append(self.file.decoded(raw, number, file.tell() - len(raw)))
                yield taken[-1]

        with self.file.opened() as file:
            rows = csv.reader(lines(file), **self.fmtparams)
            while (row := self._next(rows, line)) is not None:
                stop = file.tell()
                yield Record("".join(taken), line, start, stop), row
                start, line = stop, line + len(taken)
                taken.clear()

    def _next(self, rows: Iterator[list[str]], line: int) -> list[str] | None:
        try:
            return next(rows, None)
        except csv.Error as error:
            problem = f"the row that begins here is no CSV: {error}"
            raise self.file.problem(problem, line, "Check the quotes, and settings such as delimiter") from error

    def _check(self, record: Record, row: list[str]) -> None:
        if len(row) <= (last := max(self.column_name_map)):
            problem = f"a row must have {last + 1} columns or more, but this has {len(row)}: {row!r:.60}"
            raise self.file.problem(problem, record.line, "Check the delimiter and the quotes")

    def _text_of(self, row: list[str]) -> str:
        return " ".join(row[index] for index in self.text_columns)

    def _without_sentences(self) -> DataFormatError:
        lacking = f"{len(self._without_text)} rows have no text, {len(self._without_label)} no label"
        problem = f"no text with a label is in it: {lacking}"
        return self.file.problem(problem, remedy=f"Check column_name_map, {self.column_name_map}")

    def _sentence_of(self, record: Record) -> Sentence:
        row = next(csv.reader([record.text], **self.fmtparams))
        sentence = sentence_of_text(self._text_of(row), self.tokenizer, self.max_chars, self.max_tokens)
        labels = dict.fromkeys(row[index] for index in self.label_columns if row[index].strip())
        labels.pop(self.no_class_label or "", None)
        return sentence.set_sentence_labels(self.label_type, list(labels))
