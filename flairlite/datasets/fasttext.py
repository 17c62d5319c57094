"""Read labelled texts in fastText's format, one per line with its labels, as in `__label__news It rained.`"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from flairlite.checks import strings, whole_number
from flairlite.data.sentence import Sentence
from flairlite.datasets.column_labels import check_label_names
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

LABEL_PREFIX = "__label__"
MEMORY_MODES = ("full", "partial", "disk")
_LABELS = re.compile(rf"\s*(?:{LABEL_PREFIX}\S*(?:\s+|$))*", re.ASCII)
_LABEL = re.compile(rf"{LABEL_PREFIX}(\S*)", re.ASCII)
_REMEDY = f"A line is like {LABEL_PREFIX}news It rained."


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
        if memory_mode not in MEMORY_MODES:
            raise SettingError(f"memory_mode must be one of {', '.join(MEMORY_MODES)}, not {memory_mode!r}")
        super().__init__(TextFile(path_to_file, encoding), in_memory=memory_mode != "disk")
        self.label_type, self.tokenizer = label_type, tokenizer
        self.max_tokens = _limit("truncate_to_max_tokens", truncate_to_max_tokens)
        self.max_chars = _limit("truncate_to_max_chars", truncate_to_max_chars)
        self.filter_if_longer_than = _limit("filter_if_longer_than", filter_if_longer_than)
        self.label_name_map = check_label_names(label_name_map)
        skipped = [skip_labels] if isinstance(skip_labels, str) else skip_labels
        self.skip_labels = frozenset(strings()("skip_labels", skipped))
        self.allow_examples_without_labels = allow_examples_without_labels
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


_limit = whole_number(least=-1)


def truncated_sentence(text: str, tokenizer: bool | Tokenizer, max_chars: int, max_tokens: int) -> Sentence:
    """Make a sentence of the first characters and tokens of a text; numbers that are not above 0 mean all."""
    sentence = Sentence(text[:max_chars] if max_chars > 0 else text, use_tokenizer=tokenizer)
    if max_tokens > 0:
        sentence.truncate(max_tokens)
    return sentence
