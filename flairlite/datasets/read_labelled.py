"""Read gold labels for an evaluation from a file whose format depends on what is labelled."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from flairlite.data.label_values import check_type
from flairlite.data.sentence import Sentence
from flairlite.datasets.classification import ClassificationDataset, CSVClassificationDataset
from flairlite.datasets.columns import ColumnDataset
from flairlite.datasets.conllu import read_conllu
from flairlite.datasets.jsonl import JsonlDataset
from flairlite.datasets.text_file import JSON_LINES, TextFile, split_lines, to_path
from flairlite.errors import SettingError

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # of tables, by the ending of their names


def read_labelled(
    path: str | Path,
    *,
    label_type: str,
    unit: Literal["word", "span", "sentence"],
    allow_unlabelled: bool = False,
) -> Sequence[Sentence]:
    """Read sentences with gold labels.

    The format of the file depends on the unit:

    - `word`: CoNLL-U
    - `span`: JSON lines if the name ends in `.jsonl` or `.ndjson`, else columns, the word first and its tag last
    - `sentence`: a table if the name ends in `.csv` or `.tsv`, else fastText's format, as in `__label__news It rained.`

    In a table, the columns `text` and `label` of its header have the texts and their classes; without such a header,
    the first and the last column.

    Args:
        path: The file.
        label_type: The label type; in CoNLL-U it names one of the columns.
        unit: What has the labels: `word`, `span` or `sentence`.
        allow_unlabelled: Whether to keep texts without a label, for the unit `sentence`.

    Raises:
        DataFormatError: If the file cannot be read or does not have this format.
        SettingError: If the unit is unknown, or another argument has the wrong type.
    """
    suffix, label_type = to_path(path).suffix.lower(), check_type(label_type)
    if unit == "word":
        return read_conllu(path)
    if unit == "span":
        if suffix in JSON_LINES:
            return JsonlDataset(path, label_type=label_type)
        return ColumnDataset(path, {0: "text", -1: label_type})
    if unit == "sentence" and suffix in DELIMITERS:
        return _read_table(path, label_type, DELIMITERS[suffix])
    if unit == "sentence":
        return ClassificationDataset(path, label_type, allow_examples_without_labels=allow_unlabelled)
    raise SettingError(f"unit must be word, span or sentence, not {unit!r}")


def _read_table(path: str | Path, label_type: str, delimiter: str) -> CSVClassificationDataset:
    file = TextFile(path)
    with file.open() as binary:
        lines = (file.decode(raw, number, 0) for number, raw in enumerate(split_lines(binary), 1))
        first = next(csv.reader(lines, delimiter=delimiter), [])
    names = [cell.strip().lower() for cell in first]
    has_header = {"text", "label"} <= set(names)
    text, label = (names.index("text"), names.index("label")) if has_header else (0, max(len(names) - 1, 1))
    # a line such as `sep=;` before the rows determines the delimiter
    options: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
    columns = {text: "text", label: "label"}
    return CSVClassificationDataset(path, columns, label_type, skip_header=has_header, **options)
