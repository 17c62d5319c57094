"""Read column files: a line a word, with its labels in columns, and an empty line behind each sentence."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from sys import intern

from flairlite.data.sentence import Sentence
from flairlite.data.tag_schemes import NOTHING, OUTSIDE, spans_of
from flairlite.datasets.column_labels import (
    FEATURES,
    HEADS,
    SPACE_AFTER,
    TEXT,
    LabelColumn,
    checked_columns,
    outside_as_none,
    span_columns,
)
from flairlite.datasets.column_rows import RowReader, Rows
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.text_file import Record, TextFile
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")


class ColumnDataset(FileDataset):
    """The sentences of a column file.

    A column of labels becomes labels of words, or of spans where most of its values are tags such as `B-PER`, in BIO1,
    BIO2, BIOES or BILOU; all rows are looked at to tell, not the first few. Tags that cannot stand where they do are
    read by the rule of `flairlite.data.tag_schemes`, and the log says how many there are. `_` and nothing at all are no
    label; `O` is one of words, where it is not that of spans. A row of `-DOCSTART-` that stands alone is a sentence
    without labels, whatever its other columns.

    Columns named `feats` or `misc` hold values such as `Number=Sing|Person=3`, each a label type of its own, and
    `SpaceAfter=No`. In a column named `space-after`, `-` says that no space follows. One named `head` has numbers.

    Args:
        path_to_column_file: The file.
        column_name_map: The label type of each column that is wanted, and `text` for that of the words; columns count
            from 0, or from -1, the last.
        column_delimiter: A regular expression for what separates columns. When None it is found: a tab where most rows
            have enough of them, else spaces and tabs.
        comment_symbol: What comments begin with. Those such as `# id = 7` are kept in `sentence.metadata`.
        banned_sentences: Sentences with one of these texts in them are left out, and the log says how many were.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        document_separator_token: The only word of a sentence that stands for the start of a document.
        every_sentence_is_independent: Whether no sentence has its neighbours as context.
        encoding: The encoding of the file.
        skip_first_line: Whether the first line is a header.
        label_name_map: Other names for labels; `O` leaves a label out.
        default_whitespace_after: Number of spaces behind a word where the file does not say.
        documents_as_sentences: Whether all that stands between two separators is one sentence.
        use_tokenizer: What splits the text into words anew, in place of those of the file. Labels of spans stay; those
            of words go, and the log says so.
        span_label_types: The columns with tags of spans; found from the values when None.
        tag_to_bioes: One of those, or several; Flair's older name, beside which others are found.
        require_labels: Whether a file without any label is an error.

    Raises:
        DataFormatError: for a file that cannot be read or has no sentence or label, and for a row that has not the
            columns it should, or another value than it should, with the line.
        SettingError: for settings that make no sense.
    """

    def __init__(
        self,
        path_to_column_file: str | Path,
        column_name_map: Mapping[int, str],
        column_delimiter: str | None = None,
        comment_symbol: str | None = None,
        banned_sentences: Sequence[str] | None = None,
        in_memory: bool = True,
        document_separator_token: str | None = None,
        every_sentence_is_independent: bool = False,
        encoding: str = "utf-8",
        skip_first_line: bool = False,
        label_name_map: Mapping[str, str] | None = None,
        default_whitespace_after: int = 1,
        documents_as_sentences: bool = False,
        use_tokenizer: Tokenizer | None = None,
        *,
        span_label_types: Collection[str] | None = None,
        tag_to_bioes: str | Collection[str] | None = None,
        require_labels: bool = True,
    ) -> None:
        super().__init__(TextFile(path_to_column_file, encoding, skip_lines=int(skip_first_line)), in_memory)
        self.column_name_map = checked_columns(column_name_map)
        self.banned_sentences = banned_sentences or ()
        self.label_name_map = label_name_map or {}
        self.default_whitespace_after = default_whitespace_after
        self.document_separator_token = document_separator_token
        self.every_sentence_is_independent = every_sentence_is_independent or documents_as_sentences
        self.use_tokenizer = use_tokenizer
        self._reader = RowReader(
            self.file,
            self.column_name_map,
            column_delimiter,
            comment_symbol,
            document_separator_token,
            documents_as_sentences,
        )
        self._columns = [LabelColumn(index, name) for index, name in self.column_name_map.items() if _is_label(name)]
        forced = (tag_to_bioes,) if isinstance(tag_to_bioes, str) else tag_to_bioes or ()
        self.span_label_types: list[str] = []
        self._num_banned = 0
        self._wordless: list[int] = []  # the lines without a word
        self._first_doubtful: int | None = None
        self._take(self._surveyed())
        self.span_label_types = span_columns(self._columns, span_label_types, forced)
        self._check_labels(require_labels)

    def _surveyed(self) -> Iterator[tuple[Record, None]]:
        """Check all records and count what is in them; yield those that are sentences and not banned."""
        skipped = next(TextFile(self.file.path, self.file.encoding).records(), None) if self.file.skip_lines else None
        if skipped is not None:
            log.info("%s: the first line is left out: %s", self.file.path, skipped.lines[0])
        for record in self.file.records(self._reader.is_border):
            found = self._rows_of(record, is_survey=True)
            self._first_doubtful = self._first_doubtful or found.doubtful
            if not found.rows:
                continue
            if self.banned_sentences and self._is_banned(found):
                self._num_banned += 1
                continue
            if not found.is_separator:
                self._check(found)
            yield record, None

    def _rows_of(self, record: Record, *, is_survey: bool = False) -> Rows:
        """Return the rows of a record, without those that have neither a word nor a label."""
        found = self._reader.rows_of(record)
        text = self._index_of(TEXT)
        if found.is_separator or all(row[text] for row in found.rows):
            return found
        kept = []
        for row, line in zip(found.rows, found.numbers, strict=True):
            if row[text]:
                kept.append((row, line))
            elif any(row[column.index] not in (OUTSIDE, *NOTHING) for column in self._columns):
                raise self.file.problem(f"a label without a word, in column {text}: {row}", line, "Correct the row")
            elif is_survey:
                self._wordless.append(line)
        return replace(found, rows=[row for row, _ in kept], numbers=[line for _, line in kept])

    def _check(self, found: Rows) -> None:
        for index, name in self.column_name_map.items():
            if name in HEADS:
                for row, line in zip(found.rows, found.numbers, strict=True):
                    if row[index] not in NOTHING and not (row[index].isascii() and row[index].isdigit()):
                        raise self.file.problem(f"the {name}, {row[index]!r}, must be a number or _", line)
        for column in self._columns:
            column.add([row[column.index] for row in found.rows], found.numbers)

    def _check_labels(self, are_required: bool) -> None:
        path = self.file.path
        empty = [column.shown() for column in self._columns if not column.has_labels]
        if empty and len(empty) == len(self._columns):
            if are_required:
                remedy = "Check column_name_map, or pass require_labels=False to read the words alone"
                raise self.file.problem(f"no word has a label: {'; '.join(empty)}", remedy=remedy)
            log.warning("%s: no word has a label: %s", path, "; ".join(empty))
        for column in self._columns:
            if column.name in self.span_label_types:
                found = column.check_tags(self.file)
                log.log(logging.WARNING if column.is_repaired() else logging.DEBUG, "%s: %s", path, found)
        of_words = [column.name for column in self._columns if column.name not in self.span_label_types]
        if self.use_tokenizer is not None and of_words:
            log.warning("%s: use_tokenizer splits the text anew, so labels of words go: %s", path, ", ".join(of_words))
        if self._num_banned:
            log.info("%s: %d sentences are left out, banned", path, self._num_banned)
        if self._wordless:
            message = "%s: %d rows have neither a word nor a label and are left out, first in line %d"
            log.warning(message, path, len(self._wordless), self._wordless[0])
        if self._first_doubtful is not None:
            log.warning(
                "%s, line %d: taken for a comment, with as many columns as a word; comment_symbol=None keeps it",
                path,
                self._first_doubtful,
            )

    def _is_banned(self, found: Rows) -> bool:
        text = self._unlabelled(found, {}).to_plain_string()
        return any(banned in text for banned in self.banned_sentences)

    def _sentence_of(self, record: Record) -> Sentence:
        found = self._rows_of(record)
        sentence = self._unlabelled(found, {} if found.is_separator else self._columns_of_words(found.rows))
        if not found.is_separator:
            self._add_labels(sentence, found.rows)
        for comment in found.comments:
            for part in comment.removeprefix(str(self._reader.comment_symbol).strip()).split("\t"):
                key, sign, value = part.partition("=")
                if sign and key.strip():
                    sentence.metadata[key.strip()] = value.strip()
        if self.use_tokenizer is not None and not found.is_separator:
            sentence.retokenize(self.use_tokenizer, warn=False)
        return sentence

    def _unlabelled(self, found: Rows, columns: dict[str, list[str | None]]) -> Sentence:
        """Make the sentence with the labels that words have in columns, and no others."""
        text = 0 if found.is_separator else self._index_of(TEXT)
        words = [intern(row[text]) for row in found.rows]
        spaces = [self.default_whitespace_after] * len(words)
        if not found.is_separator:
            for index, name in self.column_name_map.items():
                if name == SPACE_AFTER or name in FEATURES:
                    joined = [_is_joined(row[index], name) for row in found.rows]
                    spaces = [0 if is_joined else space for is_joined, space in zip(joined, spaces, strict=True)]
        spaces[-1] = 0
        return Sentence.from_columns(words, spaces, columns, {})

    def _columns_of_words(self, rows: list[list[str]]) -> dict[str, list[str | None]]:
        columns: dict[str, list[str | None]] = {}
        for index, name in self.column_name_map.items():
            if name in HEADS or (_is_label(name) and name not in self.span_label_types):
                values = [row[index] for row in rows]
                columns["head" if name in HEADS else name] = [
                    None if value in NOTHING else self._mapped(value) for value in values
                ]
        return columns

    def _add_labels(self, sentence: Sentence, rows: list[list[str]]) -> None:
        """Add the labels of spans, and those that stand several in a column."""
        for index, name in self.column_name_map.items():
            if name in self.span_label_types:
                tags = outside_as_none([row[index] for row in rows])
                spans = [(start, stop, self._mapped(label)) for start, stop, label in spans_of(tags)]
                sentence.set_span_labels(name, [(start, stop, label) for start, stop, label in spans if label])
            elif name in FEATURES:
                self._add_features(sentence, name, outside_as_none([row[index] for row in rows]))

    def _linked(self, sentence: Sentence, place: int) -> Sentence:
        is_separator = self.document_separator_token is not None and sentence.text == self.document_separator_token
        if is_separator or self.every_sentence_is_independent:
            sentence.is_document_boundary = True
        sentence.set_position_in_dataset(self, place)
        return sentence

    def _add_features(self, sentence: Sentence, name: str, values: Sequence[str | None]) -> None:
        """Label words with features, as `Number` of `Number=Sing`; what is none goes under the column's own name."""
        for token, value in zip(sentence, values, strict=True):
            for part in value.split("|") if value else ():
                feature, _, label = part.partition("=")
                is_feature = bool(feature and label)
                mapped = self._mapped(label if is_feature else part)
                if mapped and part != "SpaceAfter=No":
                    token.add_label(feature if is_feature else name, mapped)

    def _mapped(self, label: str) -> str | None:
        """Return what a label is to be called, or None where it is to be left out, as `O`."""
        name = intern(self.label_name_map.get(label, label))
        return None if name == OUTSIDE and label != OUTSIDE else name

    def _index_of(self, name: str) -> int:
        return next(index for index, known in self.column_name_map.items() if known == name)


def _is_label(name: str) -> bool:
    return name not in (TEXT, SPACE_AFTER, *HEADS, *FEATURES)


def _is_joined(value: str, name: str) -> bool:
    """Tell whether a value of a column says that no space follows."""
    return value == "-" if name == SPACE_AFTER else "SpaceAfter=No" in value.split("|")
