"""Read labelled texts: lines in fastText's format, and tables in CSV files."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from flairlite.checks import flag, one_of, strings, whole_number
from flairlite.data.label_values import check_value
from flairlite.data.sentence import Sentence
from flairlite.datasets.column_labels import check_column_map, check_label_names
from flairlite.datasets.text_file import FileDataset, Record, TextFile, split_lines
from flairlite.errors import DataFormatError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

LABEL_PREFIX = "__label__"
MEMORY_MODES = ("full", "partial", "disk")
_LABELS = re.compile(rf"\s*(?:{LABEL_PREFIX}\S*(?:\s+|$))*", re.ASCII)
_LABEL = re.compile(rf"{LABEL_PREFIX}(\S*)", re.ASCII)
_limit = whole_number(least=-1)
_REMEDY = f"A line is like {LABEL_PREFIX}news It rained."
_MAX_FIELD = 2**31 - 1  # characters; the default of `csv` is 131,072
_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)[\r\n]*")  # a line before the table that Excel reads
_HEADERS = ("category", "class", "id", "label", "labels", "review", "sentence", "sentiment", "text", "title", "topic")


class ClassificationDataset(FileDataset):
    """The texts of a file in fastText's format: one per line, with labels before or after the text.

    Lines are left out, with a logged count, if they neither begin nor end with a label, there is a label without text,
    the text is too long, or the label is to be skipped.

    Args:
        path_to_file: The file.
        label_type: The label type.
        truncate_to_max_tokens: Number of tokens of a text to keep; -1 for all.
        truncate_to_max_chars: Number of characters of a text to keep; -1 for all.
        filter_if_longer_than: Leave out texts of more words than this, split at blanks; -1 for none.
        tokenizer: The tokenizer, as for `Sentence`.
        memory_mode: `full` makes all sentences now, `partial` on first access, `disk` reads them on each access.
        label_name_map: New names of labels.
        skip_labels: Leave out texts with one of these labels.
        allow_examples_without_labels: Whether to keep texts without a label.
        encoding: The encoding of the file.

    Raises:
        DataFormatError: If the file cannot be read, no text is left, or a label has no name.
        SettingError: If an argument is invalid.
    """

    def __init__(
        self,
        path_to_file: str | Path,
        label_type: str,
        truncate_to_max_tokens: int = -1,
        truncate_to_max_chars: int = -1,
        filter_if_longer_than: int = -1,
        tokenizer: bool | Tokenizer = True,
        memory_mode: str = "partial",
        label_name_map: Mapping[str, str] | None = None,
        skip_labels: Collection[str] | None = None,
        allow_examples_without_labels: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        memory_mode = one_of(*MEMORY_MODES)("memory_mode", memory_mode)
        super().__init__(TextFile(path_to_file, encoding), in_memory=memory_mode != "disk")
        self.label_type, self.tokenizer = label_type, tokenizer
        self.max_tokens = _limit("truncate_to_max_tokens", truncate_to_max_tokens)
        self.max_chars = _limit("truncate_to_max_chars", truncate_to_max_chars)
        self.filter_if_longer_than = _limit("filter_if_longer_than", filter_if_longer_than)
        self.label_name_map = check_label_names(label_name_map)
        skipped = [skip_labels] if isinstance(skip_labels, str) else skip_labels
        self.skip_labels = frozenset(strings()("skip_labels", skipped))
        self.allow_examples_without_labels = flag("allow_examples_without_labels", allow_examples_without_labels)
        self._left_out: dict[str, list[int]] = {}  # lines by the reason
        self._store(self._survey())
        for reason, lines in self._left_out.items():
            log.warning("%s: %d lines %s are left out, first line %d", self.file.path, len(lines), reason, lines[0])
        if memory_mode == "full":
            list(self)

    def _survey(self) -> Iterator[tuple[Record, None]]:
        """Yield the records to keep."""
        for record in self.file.records():
            labels, text = self._split(record)
            reason = self._reason_to_leave_out(labels, text)
            if reason:
                self._left_out.setdefault(reason, []).append(record.line)
            else:
                yield record, None

    def _reason_to_leave_out(self, labels: list[str], text: str) -> str | None:
        if not labels and not self.allow_examples_without_labels:
            return f"that neither begin nor end with {LABEL_PREFIX} (allow_examples_without_labels=True keeps them)"
        if not text:
            return "with a label and no text"
        if not self.skip_labels.isdisjoint(labels):
            return f"with a label among {', '.join(sorted(self.skip_labels))}"
        if 0 < self.filter_if_longer_than < len(text.split()):
            return f"of more than {self.filter_if_longer_than} words"
        return None

    def _no_sentences(self) -> DataFormatError:
        reasons = "; ".join(f"{len(lines)} lines {reason} are left out" for reason, lines in self._left_out.items())
        first = next(self.file.records(), None)
        shown = f", the first line is {first.lines[0]!r:.60}" if first else ""
        return self.file.error(f"no text with a label is in it{shown}{reasons and f'; {reasons}'}", remedy=_REMEDY)

    def _split(self, record: Record) -> tuple[list[str], str]:
        """Return the labels at the start and the end of a line, under their names in the file, and the text."""
        line = record.lines[0]
        end = _LABELS.match(line).end()  # type: ignore[union-attr]  # it matches any line
        labels = [label.strip() for label in _LABEL.findall(line, 0, end)]
        text = line[end:].strip()
        while (last := text.rsplit(maxsplit=1)[-1:]) and last[0].startswith(LABEL_PREFIX):
            labels.append(last[0].removeprefix(LABEL_PREFIX))
            text = text.removesuffix(last[0]).rstrip()
        if "" in labels:
            raise self.file.error(f"a label has no name: {line!r:.60}", record.line, _REMEDY)
        return labels, text

    def _sentence_of(self, record: Record) -> Sentence:
        labels, text = self._split(record)
        sentence = truncated_sentence(text, self.tokenizer, self.max_chars, self.max_tokens)
        names = dict.fromkeys(self.label_name_map.get(label, label) for label in labels)
        return sentence.set_sentence_labels(self.label_type, list(names))


def truncated_sentence(text: str, tokenizer: bool | Tokenizer, max_chars: int, max_tokens: int) -> Sentence:
    """Make a sentence of the first characters and tokens of a text; numbers that are not above 0 mean all."""
    sentence = Sentence(text[:max_chars] if max_chars > 0 else text, use_tokenizer=tokenizer)
    if max_tokens > 0:
        sentence.truncate(max_tokens)
    return sentence


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
        self.max_tokens = _limit("max_tokens_per_doc", max_tokens_per_doc)
        self.max_chars = _limit("max_chars_per_doc", max_chars_per_doc)
        self.tokenizer, self.skip_header = tokenizer, flag("skip_header", skip_header)
        self.no_class_label = None if no_class_label is None else check_value(no_class_label).strip()
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
