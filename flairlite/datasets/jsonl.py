"""Read JSON lines: an object a line, with a text and its spans, as annotation tools write them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flairlite.data.sentence import Sentence
from flairlite.data.serialization import label_characters
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError, LabelError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_REMEDY = 'A line is like {"data": "in Berlin", "label": [[3, 9, "LOC"]]}'


class JsonlDataset(FileDataset):
    """The texts of a file of JSON lines, with their spans as labels.

    A line is an object: a text, its spans from character to character, and what else is known of it, as in
    `{"data": "in Berlin", "label": [[3, 9, "LOC"]], "metadata": [["id", 7]]}`. A span whose borders are not those of
    words takes them whole, and the log says how many there are. Blank lines are passed over.

    Args:
        path_to_jsonl_file: The file.
        encoding: Its encoding.
        text_column_name: The key of the text.
        label_column_name: The key of the spans.
        metadata_column_name: The key of what else is known, which may be missing.
        label_type: What to call the labels.
        use_tokenizer: What splits texts into words, as for `Sentence`.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        require_labels: Whether a file without any span is an error.

    Raises:
        DataFormatError: for a file that cannot be read, has no line or no span, and for a line that is no such object,
            or a span outside of the text.
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
        require_labels: bool = True,
    ) -> None:
        super().__init__(TextFile(path_to_jsonl_file, encoding), in_memory)
        self.text_column_name, self.label_column_name = text_column_name, label_column_name
        self.metadata_column_name = metadata_column_name
        self.label_type, self.use_tokenizer = label_type, use_tokenizer
        self._num_spans = 0
        self._inexact: list[int] = []  # the line of each span that does not end at a word
        self._take(self._surveyed())
        if not self._num_spans:
            problem = f"no line has a span under {label_column_name!r}"
            if require_labels:
                raise self.file.problem(problem, remedy=_REMEDY)
            log.warning("%s: %s", self.file.path, problem)
        if self._inexact:
            message = "%s: %d of %d spans do not begin and end with words, first in line %d: they take the words whole"
            log.warning(message, self.file.path, len(self._inexact), self._num_spans, self._inexact[0])

    def _surveyed(self) -> Iterator[tuple[Record, Sentence]]:
        for record in self.file.records():
            sentence, inexact = self._labelled(record)
            self._num_spans += len(sentence.span_labels(self.label_type))
            self._inexact += [record.line] * inexact
            yield record, sentence

    def _sentence_of(self, record: Record) -> Sentence:
        return self._labelled(record)[0]

    def _labelled(self, record: Record) -> tuple[Sentence, int]:
        """Return the sentence of a line, and how many of its spans do not begin and end with words."""
        known = self._object_of(record)
        sentence = Sentence(known[self.text_column_name], use_tokenizer=self.use_tokenizer)
        num_inexact = 0
        for span in known[self.label_column_name]:
            try:
                start, end, label = span
                if type(start) is not int or type(end) is not int or not isinstance(label, str):
                    raise TypeError
                num_inexact += not label_characters(sentence, self.label_type, start, end, label)
            except LabelError as error:
                raise self.file.problem(str(error), record.line, _REMEDY) from error
            except (TypeError, ValueError) as error:
                raise self._problem(record, f"a span must be [start, end, label], not {span!r:.60}") from error
        metadata = known.get(self.metadata_column_name) or []
        try:
            sentence.metadata.update(metadata)
        except (TypeError, ValueError) as error:
            problem = f"{self.metadata_column_name!r} must be [[key, value], ...] or an object, not {metadata!r:.60}"
            raise self._problem(record, problem) from error
        return sentence, num_inexact

    def _object_of(self, record: Record) -> dict[str, Any]:
        try:
            known = json.loads(record.lines[0], object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            raise self._problem(record, f"the line is no JSON: {error}") from error
        if not isinstance(known, dict):
            raise self._problem(record, f"the line must be a JSON object, not {record.lines[0]:.60}")
        for name, kind in ((self.text_column_name, str), (self.label_column_name, list)):
            if name not in known:
                raise self._problem(record, f"no {name!r} in it; it has {', '.join(map(repr, known)) or 'nothing'}")
            if not isinstance(known[name], kind):
                expected = "a text" if kind is str else "a list of spans"
                raise self._problem(record, f"{name!r} must be {expected}, not {known[name]!r:.60}")
        return known

    def _problem(self, record: Record, problem: str) -> DataFormatError:
        return self.file.problem(problem, record.line, _REMEDY)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        raise ValueError(f"a key comes twice among {', '.join(key for key, _ in pairs)}")
    return known
