"""Read JSON lines: one object per line, with a text and its spans, as annotation tools write them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flairlite.checks import flag, shown
from flairlite.data.sentence import Sentence
from flairlite.data.serialization import label_characters
from flairlite.datasets.text_file import FileDataset, Record, TextFile
from flairlite.errors import DataFormatError, LabelError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_REMEDY = 'A line is like {"data": "in Berlin", "label": [[3, 9, "LOC"]]}'
# what annotation tools (doccano, Label Studio, Prodigy, spaCy) write instead of Flair's names
_TEXT_KEYS = ("data", "text")
_SPAN_KEYS = ("label", "labels", "entities", "spans")
_START_KEYS, _END_KEYS = ("start", "start_offset"), ("end", "end_offset")
_REJECTED = ("reject", "ignore")  # answers of an annotator in Prodigy's files


class JsonlDataset(FileDataset):
    """The texts of a file of JSON lines, with their spans as labels.

    A line is an object with a text, its spans in characters, and metadata, as in
    `{"data": "in Berlin", "label": [[3, 9, "LOC"]], "metadata": [["id", 7]]}`. A span may also be an object with
    `start` and `end` (or `start_offset` and `end_offset`) and `label`. If a line lacks the default keys, those of
    doccano, Label Studio, Prodigy and spaCy are looked for: `text`, and `labels`, `entities` or `spans`; texts that an
    annotator rejected (`"answer": "reject"` or `"ignore"`) are left out, with a logged count. Spans may be null, and be
    missing beside an answer.

    A span that begins or ends inside a word is extended to the whole word, with a logged count.
    Blank lines are ignored.

    Args:
        path_to_jsonl_file: The file.
        encoding: The encoding of the file.
        text_column_name: The key of the text.
        label_column_name: The key of the spans.
        metadata_column_name: The key of the metadata, which may be missing.
        label_type: The label type.
        use_tokenizer: The tokenizer, as for `Sentence`.
        in_memory: Whether to keep the sentences, or to read them from the file on each access.
        require_labels: Whether a file without any span is an error.

    Raises:
        DataFormatError: If the file cannot be read or has no text, or a line is not such an object or has a span
            outside the text.
        SettingError: If the path is not a path, or the encoding is unknown.
    """

    def __init__(
        self,
        path_to_jsonl_file: str | Path,
        encoding: str = "utf-8",
        text_column_name: str = "data",
        label_column_name: str = "label",
        metadata_column_name: str = "metadata",
        label_type: str = "ner",
        use_tokenizer: bool | Tokenizer = True,
        *,
        in_memory: bool = True,
        require_labels: bool = False,
    ) -> None:
        super().__init__(TextFile(path_to_jsonl_file, encoding), in_memory)
        self.text_column_name = _check_key("text_column_name", text_column_name)
        self.label_column_name = _check_key("label_column_name", label_column_name)
        self.metadata_column_name = _check_key("metadata_column_name", metadata_column_name)
        is_required = flag("require_labels", require_labels)
        self.label_type, self.use_tokenizer = label_type, use_tokenizer
        self._num_spans = 0
        self._inexact: list[int] = []  # the line of each span that begins or ends inside a word
        self._rejected: list[int] = []  # lines
        self._store(self._survey())
        path = self.file.path
        if not self._num_spans:
            problem = f"no line has a span under {self.label_column_name!r}"
            if is_required:
                raise self.file.error(problem, remedy=_REMEDY)
            log.warning("%s: %s", path, problem)
        if self._inexact:
            message = "%s: %d of %d spans begin or end inside a word, first in line %d: they are extended to words"
            log.warning(message, path, len(self._inexact), self._num_spans, self._inexact[0])
        if self._rejected:
            message = "%s: %d lines that an annotator rejected or ignored are left out, first line %d"
            log.warning(message, path, len(self._rejected), self._rejected[0])

    def _survey(self) -> Iterator[tuple[Record, Sentence]]:
        """Check all lines and yield those to keep."""
        for record in self.file.records():
            content = self._object_of(record)
            if content.get("answer") in _REJECTED:
                self._rejected.append(record.line)
                continue
            sentence, num_inexact = self._label(record, content)
            self._num_spans += len(sentence.span_labels(self.label_type))
            self._inexact += [record.line] * num_inexact
            yield record, sentence

    def _sentence_of(self, record: Record) -> Sentence:
        return self._label(record, self._object_of(record))[0]

    def _label(self, record: Record, content: dict[str, Any]) -> tuple[Sentence, int]:
        """Return the sentence of a line, and how many of its spans begin or end inside a word."""
        text, spans = self._text_and_spans(record, content)
        sentence = Sentence(text, use_tokenizer=self.use_tokenizer)
        num_inexact = 0
        known: set[tuple[int, int, str]] = set()  # some tools write a span again for each annotator
        for span in spans:
            try:
                parsed = _parse_span(span)
                if parsed not in known:
                    num_inexact += not label_characters(sentence, self.label_type, *parsed)
                    known.add(parsed)
            except LabelError as error:
                raise self._line_error(record, str(error)) from error
            except (TypeError, ValueError, KeyError) as error:
                raise self._line_error(record, f"a span must be [start, end, label], not {span!r:.60}") from error
        metadata = content.get(self.metadata_column_name) or []
        try:
            sentence.metadata.update(metadata)
        except (TypeError, ValueError) as error:
            problem = f"{self.metadata_column_name!r} must be [[key, value], ...] or an object, not {metadata!r:.60}"
            raise self._line_error(record, problem) from error
        return sentence, num_inexact

    def _object_of(self, record: Record) -> dict[str, Any]:
        try:
            content = json.loads(record.lines[0], object_pairs_hook=_unique_keys)
        except (ValueError, RecursionError) as error:
            is_whole = record.lines[0].rstrip() in ("[", "{")  # one value over several lines
            hint = "; write each object of the file in one line" if is_whole else ""
            raise self._line_error(record, f"the line is not valid JSON: {error}{hint}") from error
        if not isinstance(content, dict):
            hint = ", as of each object in the list" if isinstance(content, list) else ""
            raise self._line_error(record, f"the line must be a JSON object{hint}, not {record.lines[0]:.60}")
        return content

    def _text_and_spans(self, record: Record, content: dict[str, Any]) -> tuple[str, list[Any]]:
        text_keys = _TEXT_KEYS if self.text_column_name == "data" else (self.text_column_name,)
        span_keys = _SPAN_KEYS if self.label_column_name == "label" else (self.label_column_name,)
        values: list[Any] = []
        for keys, kind, expected in ((text_keys, str, "a text"), (span_keys, list, "a list of spans")):
            name = next((key for key in keys if key in content), None)
            if name is None and not (kind is list and "answer" in content):  # Prodigy may leave out spans
                found = ", ".join(map(repr, content)) or "nothing"
                raise self._line_error(record, f"no {keys[0]!r} in it; it has {found}")
            value = None if name is None else content[name]
            if kind is list and value is None:
                value = []
            if not isinstance(value, kind):
                raise self._line_error(record, f"{name!r} must be {expected}, not {value!r:.60}")
            values.append(value)
        return values[0], values[1]

    def _line_error(self, record: Record, problem: str) -> DataFormatError:
        return self.file.error(problem, record.line, _REMEDY)


def _check_key(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{name} must be a key of the objects in the file; it is {shown(value)}")
    return value


def _parse_span(span: Any) -> tuple[int, int, str]:
    """Return start, exclusive end and label of a span.

    Raises:
        TypeError, ValueError, KeyError: If the span is malformed.
    """
    if isinstance(span, dict):
        start, end = (span[keys[0] if keys[0] in span else keys[1]] for keys in (_START_KEYS, _END_KEYS))
        (label,) = [span["label"]] if "label" in span else span["labels"]
    else:
        start, end, label = span
    if type(start) is not int or type(end) is not int or type(label) not in (str, int):
        raise TypeError("offsets must be whole numbers, labels texts or whole numbers")
    return start, end, str(label).strip()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"a key occurs twice among {', '.join(key for key, _ in pairs)}")
    return content
