"""Read labelled texts: fastText's form, a text a line behind its labels, as in `__label__news It rained.`"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from flairlite.data.sentence import Sentence
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
    """The texts of a file in fastText's form, a text a line behind one label or several.

    Lines that are left out are counted, and the log says how many and the first: those with no label before the text,
    with a label and no text, too long, or with a label to be skipped.

    Args:
        path_to_file: The file.
        label_type: What to call the labels.
        truncate_to_max_tokens: How many words of a text are kept; -1 for all.
        truncate_to_max_chars: How many of its characters; -1 for all.
        filter_if_longer_than: Leave out texts of more words than this, as blanks divide them; -1 for none.
        tokenizer: What splits texts into words, as for `Sentence`.
        memory_mode: `full` makes all sentences now, `partial` when they are asked for and keeps them, `disk` reads them
            from the file each time.
        label_name_map: Other names for labels.
        skip_labels: Labels; texts that have one of them are left out.
        allow_examples_without_labels: Whether texts without a label are kept.
        encoding: The encoding of the file.

    Raises:
        DataFormatError: for a file that cannot be read, or of which no text is left, and for a label without a name.
        SettingError: for another memory mode.
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
        self.max_tokens, self.max_chars = truncate_to_max_tokens, truncate_to_max_chars
        self.filter_if_longer_than = filter_if_longer_than
        self.label_name_map, self.skip_labels = label_name_map or {}, frozenset(skip_labels or ())
        self.allow_examples_without_labels = allow_examples_without_labels
        self._left_out: dict[str, list[int]] = {}  # why, and the lines
        self._take(self._surveyed())
        for reason, lines in self._left_out.items():
            log.warning("%s: %d lines %s are left out, first line %d", self.file.path, len(lines), reason, lines[0])
        if memory_mode == "full":
            list(self)

    def _surveyed(self) -> Iterator[tuple[Record, None]]:
        for record in self.file.records():
            labels, text = self._divided(record)
            reason = self._why_left_out(labels, text)
            if reason:
                self._left_out.setdefault(reason, []).append(record.line)
            else:
                yield record, None

    def _why_left_out(self, labels: list[str], text: str) -> str | None:
        if not labels and not self.allow_examples_without_labels:
            return f"that do not begin with {LABEL_PREFIX} (allow_examples_without_labels=True keeps them)"
        if not text:
            return "with a label and no text"
        if not self.skip_labels.isdisjoint(labels):
            return f"with a label among {', '.join(sorted(self.skip_labels))}"
        if 0 < self.filter_if_longer_than < len(text.split()):
            return f"of more than {self.filter_if_longer_than} words"
        return None

    def _without_sentences(self) -> DataFormatError:
        reasons = "; ".join(f"{len(lines)} lines {reason} are left out" for reason, lines in self._left_out.items())
        first = next(self.file.records(), None)
        shown = f", the first line is {first.lines[0]!r:.60}" if first else ""
        return self.file.problem(f"no text with a label is in it{shown}{reasons and f'; {reasons}'}", remedy=_REMEDY)

    def _divided(self, record: Record) -> tuple[list[str], str]:
        """Return the labels of a line, as the file has them, and the text behind them."""
        line = record.lines[0]
        end = _LABELS.match(line).end()  # type: ignore[union-attr]  # it fits anything
        labels = _LABEL.findall(line, 0, end)
        if "" in labels:
            raise self.file.problem(f"a label has no name: {line!r:.60}", record.line, _REMEDY)
        return labels, line[end:].strip()

    def _sentence_of(self, record: Record) -> Sentence:
        labels, text = self._divided(record)
        sentence = sentence_of_text(text, self.tokenizer, self.max_chars, self.max_tokens)
        names = dict.fromkeys(self.label_name_map.get(label, label) for label in labels)
        return sentence.set_sentence_labels(self.label_type, list(names))


def sentence_of_text(text: str, tokenizer: bool | Tokenizer, max_chars: int, max_tokens: int) -> Sentence:
    """Make a sentence of the start of a text: at most so many characters and words; all where these are not above 0."""
    sentence = Sentence(text[:max_chars] if max_chars > 0 else text, use_tokenizer=tokenizer)
    if max_tokens > 0:
        sentence.truncate(max_tokens)
    return sentence
