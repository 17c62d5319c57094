"""Read column files: one line per word, with its labels in columns, and an empty line after each sentence."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from sys import intern

from flairlite.checks import flag, strings, whole_number
from flairlite.data.sentence import Sentence
from flairlite.data.tag_schemes import NOTHING, OUTSIDE, TagForm, is_tag
from flairlite.datasets.column_labels import (
    FEATURES,
    HEADS,
    SPACE_AFTER,
    TEXT,
    FeatureColumn,
    LabelColumn,
    assign_forms,
    check_columns,
    check_label_names,
    parse_feature_values,
)
from flairlite.datasets.column_rows import RowReader, Rows
from flairlite.datasets.text_file import FileDataset, Record, TextFile
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_MAX_FIRST_WORDS = 100  # that are checked for a column map that takes another column for the words
_BANNED = "%d sentences are left out, banned"
_EMPTY = "%d rows have neither a word nor a label and are left out"
_NO_WORDS = "%d rows of multiword ranges and empty nodes are left out"
_DOUBTFUL = "%d lines are read as comments, with as many columns as a word; comment_symbol=None reads them as words"


class ColumnDataset(FileDataset):
    """The sentences of a column file.

    A column has labels of spans if at least half of its values are `O` or tags such as `B-PER`, in BIO1, BIO2, BIOES or
    BILOU, or if all are written as `b-per`, `B_PER`, `PER-B`, `B` (a span named after the column) or `(PER*`; else it
    has labels of words. All rows are considered. Invalid sequences of tags are read by the rule of
    `flairlite.data.tag_schemes`, with a logged count. `_` and an empty value are no label; `O` is a label of words. A
    row of `-DOCSTART-` is a sentence without labels, whatever its other columns.

    Columns named `feats` or `misc` hold values such as `Number=Sing|name=B-PER`, each a label type of its own, of spans
    if all its values are tags, and `SpaceAfter=No`. In a column named `space-after`, `-` means that no space follows. A
    column named `head` has numbers. If the first column is not named and has the ids of CoNLL-U, multiword ranges
    (`3-4`) and empty nodes (`5.1`) are left out. Blanks around values are removed.

    Args:
        path_to_column_file: The file.
        column_name_map: The label type of each column to read, and `text` for the words; columns count from 0, or
            backwards from -1, the last one.
        column_delimiter: A regular expression for the delimiter. When None it is detected: a tab if most rows have
            enough of them, else spaces and tabs.
        comment_symbol: The start of comments. Comments such as `# id = 7` are kept in `sentence.metadata`.
        banned_sentences: Leave out sentences that contain one of these texts, with a logged count.
        in_memory: Whether to keep the sentences, or to read them from the file on each access.
        document_separator_token: The only word of a sentence that marks the start of a document.
        every_sentence_is_independent: Whether sentences have no neighbours as context.
        encoding: The encoding of the file.
        skip_first_line: Whether the first line is a header.
        label_name_map: New names of labels; `O` leaves a label out.
        default_whitespace_after: Number of spaces after a word if the file does not tell.
        documents_as_sentences: Whether all lines between two separators are one sentence.
        use_tokenizer: Splits the text into words again. Labels of spans are kept; those of words are lost, which is
            logged.
        span_label_types: The label types of spans, or the `span_forms` of another dataset; detected when None.
        tag_to_bioes: Label types that have spans in any case, beside those detected; Flair's former name.
        require_labels: Whether a file without any label is an error.

    Attributes:
        unlabelled: The columns without a label: label type, and description of the content.

    Raises:
        DataFormatError: If the file cannot be read, has no sentence, or a row is malformed, with the line.
        SettingError: If an argument is invalid.
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
        require_labels: bool = False,
    ) -> None:
        file = TextFile(path_to_column_file, encoding, skip_lines=int(flag("skip_first_line", skip_first_line)))
        super().__init__(file, in_memory)
        self.column_name_map = check_columns(column_name_map)
        self.banned_sentences = _check_names("banned_sentences", banned_sentences)
        self.label_name_map = check_label_names(label_name_map)
        self.default_whitespace_after: int = whole_number(least=0)("default_whitespace_after", default_whitespace_after)
        self.document_separator_token = document_separator_token
        is_independent = flag("every_sentence_is_independent", every_sentence_is_independent)
        self.every_sentence_is_independent = flag("documents_as_sentences", documents_as_sentences) or is_independent
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
        self._features = [FeatureColumn(index) for index, name in self.column_name_map.items() if name in FEATURES]
        self._left_out: dict[str, list[int]] = {}  # lines by the reason
        self._first_words: list[str] = []
        self._store(self._survey())
        is_map = span_label_types is None or isinstance(span_label_types, Mapping)
        wanted = span_label_types if is_map else _check_names("span_label_types", span_label_types)
        self._forms = self._detect_forms(wanted, _check_names("tag_to_bioes", tag_to_bioes))
        self.unlabelled = {column.name: column.describe() for column in self._columns if not column.has_labels}
        self._report(flag("require_labels", require_labels), wanted is None)

    @property
    def span_label_types(self) -> list[str]:
        """The label types of spans."""
        return list(self._forms)

    @property
    def span_forms(self) -> dict[str, TagForm]:
        """The label types of spans, with the form of their tags."""
        return dict(self._forms)

    def _survey(self) -> Iterator[tuple[Record, None]]:
        """Check all records, count their values and yield the records to keep."""
        skipped = next(TextFile(self.file.path, self.file.encoding).records(), None) if self.file.skip_lines else None
        if skipped is not None:
            log.info("%s: the first line is left out: %s", self.file.path, skipped.lines[0])
        for record in self.file.records(self._reader.is_border):
            found = self._rows_of(record, is_survey=True)
            if found.doubtful_comment is not None:
                self._note(_DOUBTFUL, found.doubtful_comment)
            for _ in range(found.num_left_out):
                self._note(_NO_WORDS, record.line)
            if not found.rows:
                continue
            if self.banned_sentences and self._is_banned(found):
                self._note(_BANNED, record.line)
                continue
            if not found.is_document_start:
                self._count(found)
            yield record, None

    def _note(self, reason: str, line: int) -> None:
        self._left_out.setdefault(reason, []).append(line)

    def _rows_of(self, record: Record, *, is_survey: bool = False) -> Rows:
        """Return the rows of a record, without those that have neither a word nor a label."""
        found = self._reader.rows_of(record)
        text = self._reader.text_index
        if found.is_document_start or all(row[text] for row in found.rows):
            return found
        kept = []
        for row, line in zip(found.rows, found.lines, strict=True):
            if row[text]:
                kept.append((row, line))
            elif any(row[column.index] not in (OUTSIDE, *NOTHING) for column in self._columns):
                raise self.file.error(f"a label without a word, in column {text}: {row}", line, "Correct the row")
            elif is_survey:
                self._note(_EMPTY, line)
        return replace(found, rows=[row for row, _ in kept], lines=[line for _, line in kept])

    def _count(self, found: Rows) -> None:
        for index, name in self.column_name_map.items():
            if name in HEADS:
                for row, line in zip(found.rows, found.lines, strict=True):
                    if row[index] not in NOTHING and not (row[index].isascii() and row[index].isdigit()):
                        raise self.file.error(f"the {name}, {row[index]!r}, must be a number or _", line)
        if len(self._first_words) < _MAX_FIRST_WORDS:
            self._first_words += [row[self._reader.text_index] for row in found.rows]
        for column in self._columns:
            column.add([row[column.index] for row in found.rows], found.lines)
        for features in self._features:
            features.add([row[features.index] for row in found.rows])

    def _detect_forms(self, wanted: Collection[str] | None, forced: Sequence[str]) -> dict[str, TagForm]:
        features: dict[str, TagForm] = {}
        for column in self._features:
            features |= column.span_features(self.file)
        forms = assign_forms(self._columns, features, wanted, forced, bool(self._features))
        for label_column in self._columns:
            label_column.form = forms.get(label_column.name)
        return forms

    def _report(self, require_labels: bool, is_detected: bool) -> None:
        """Check the values of the columns, and log what may surprise."""
        path = self.file.path
        is_wrong = all(map(str.isdigit, self._first_words)) or all(map(is_tag, self._first_words))
        if is_wrong and set(self._first_words) - {OUTSIDE}:
            message = "%s: column %d has the words according to column_name_map, but they are %s and the like"
            log.warning(message, path, self._reader.text_index, ", ".join(map(repr, self._first_words[:3])))
        if self.unlabelled and len(self.unlabelled) == len(self._columns):
            shown = "; ".join(self.unlabelled.values())
            if require_labels:
                remedy = "Check column_name_map, or pass require_labels=False to read only the words"
                raise self.file.error(f"no word has a label: {shown}", remedy=remedy)
            log.warning("%s: no word has a label: %s", path, shown)
        for column in self._columns:
            if column.form is not None:
                column.check_tags(self.file)
            elif is_detected:
                column.warn_of_outside(self.file)
        of_words = [column.name for column in self._columns if column.form is None]
        if self.use_tokenizer is not None and of_words:
            message = "%s: use_tokenizer splits the text again, so labels of words are lost: %s"
            log.warning(message, path, ", ".join(of_words))
        for reason, lines in self._left_out.items():
            level = logging.INFO if reason in (_BANNED, _NO_WORDS) else logging.WARNING
            log.log(level, f"%s: {reason}, first in line %d", path, len(lines), lines[0])

    def _is_banned(self, found: Rows) -> bool:
        text = self._make_sentence(found, {}).to_plain_string()
        return any(banned in text for banned in self.banned_sentences)

    def _sentence_of(self, record: Record) -> Sentence:
        found = self._rows_of(record)
        sentence = self._make_sentence(found, {} if found.is_document_start else self._word_columns(found.rows))
        if not found.is_document_start:
            self._add_labels(sentence, found.rows)
        for comment in found.comments:
            for part in comment.removeprefix(str(self._reader.comment_symbol).strip()).split("\t"):
                key, sign, value = part.partition("=")
                if sign and key.strip():
                    sentence.metadata[key.strip()] = value.strip()
        if self.use_tokenizer is not None and not found.is_document_start:
            sentence.retokenize(self.use_tokenizer, warn=False)
        return sentence

    def _make_sentence(self, found: Rows, columns: dict[str, list[str | None]]) -> Sentence:
        """Make a sentence with these labels of words."""
        text = 0 if found.is_document_start else self._reader.text_index
        words = [intern(row[text]) for row in found.rows]
        spaces = [self.default_whitespace_after] * len(words)
        if not found.is_document_start:
            for index, name in self.column_name_map.items():
                if name == SPACE_AFTER or name in FEATURES:
                    joined = [_is_joined(row[index], name) for row in found.rows]
                    spaces = [0 if is_joined else space for is_joined, space in zip(joined, spaces, strict=True)]
        spaces[-1] = 0
        return Sentence.from_columns(words, spaces, columns, {})

    def _word_columns(self, rows: list[list[str]]) -> dict[str, list[str | None]]:
        """Return the columns with labels of words."""
        columns: dict[str, list[str | None]] = {}
        for index, name in self.column_name_map.items():
            if name in HEADS or (_is_label(name) and name not in self._forms):
                rename = self._rename if self.label_name_map else intern
                columns["head" if name in HEADS else name] = [
                    None if (value := row[index]) in NOTHING else rename(value) for row in rows
                ]
        return columns

    def _add_labels(self, sentence: Sentence, rows: list[list[str]]) -> None:
        """Add the labels of spans, and those of columns of features."""
        for index, name in self.column_name_map.items():
            values = [row[index] for row in rows]
            if name in self._forms:
                self._add_spans(sentence, name, values)
            elif name in FEATURES:
                self._add_features(sentence, name, values)

    def _add_spans(self, sentence: Sentence, name: str, values: Sequence[str]) -> None:
        spans = self._forms[name].spans_of(values, name)
        renamed = [(start, end, self._rename(label)) for start, end, label in spans]
        sentence.set_span_labels(name, [(start, end, label) for start, end, label in renamed if label])

    def _add_features(self, sentence: Sentence, name: str, values: Sequence[str]) -> None:
        """Label words with features, as `Number` of `Number=Sing`; other values get the name of the column."""
        tags: dict[str, list[str]] = {}
        for index, value in enumerate(values):
            for feature, label in parse_feature_values(value):
                if feature in self._forms:
                    tags.setdefault(feature, [OUTSIDE] * len(values))[index] = label
                elif (renamed := self._rename(label)) and (feature, label) != ("SpaceAfter", "No"):
                    sentence[index].add_label(feature or name, renamed)
        for feature, feature_tags in tags.items():
            self._add_spans(sentence, feature, feature_tags)

    def _attach(self, sentence: Sentence, index: int) -> Sentence:
        is_separator = self.document_separator_token is not None and sentence.text == self.document_separator_token
        if is_separator or self.every_sentence_is_independent:
            sentence.is_document_boundary = True
        sentence.set_position_in_dataset(self, index)
        return sentence

    def _rename(self, label: str) -> str | None:
        """Return the new name of a label, or None to leave the label out, if its new name is `O`."""
        name = intern(self.label_name_map.get(label, label))
        return None if name == OUTSIDE and label != OUTSIDE else name


def _check_names(name: str, value: str | Collection[str] | None) -> tuple[str, ...]:
    return strings(allow_one=True)(name, value)  # type: ignore[no-any-return]


def _is_label(name: str) -> bool:
    return name not in (TEXT, SPACE_AFTER, *HEADS, *FEATURES)


def _is_joined(value: str, name: str) -> bool:
    """Return whether no space follows the word, according to a value of a column."""
    return value == "-" if name == SPACE_AFTER else "SpaceAfter=No" in value.split("|")
