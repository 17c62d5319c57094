"""Read gold labels for an evaluation from a file whose format depends on what is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from flairlite.data.sentence import Sentence
from flairlite.datasets.classification import ClassificationDataset
from flairlite.datasets.columns import ColumnDataset
from flairlite.datasets.conllu import read_conllu
from flairlite.datasets.jsonl import JsonlDataset
from flairlite.errors import SettingError


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
    - `span`: JSON lines if the name ends in `.jsonl`, else columns, the word first and its tag last
    - `sentence`: fastText's format, as in `__label__news It rained.`

    Args:
        path: The file.
        label_type: The label type; in CoNLL-U it names one of the columns.
        unit: What has the labels: `word`, `span` or `sentence`.
        allow_unlabelled: Whether to keep texts without a label, for the unit `sentence`.

    Raises:
        DataFormatError: If the file cannot be read or does not have this format.
        SettingError: If the unit is unknown.
    """
    if unit == "word":
        return read_conllu(path)
    if unit == "span":
        if Path(path).suffix == ".jsonl":
            return JsonlDataset(path, label_type=label_type)
        return ColumnDataset(path, {0: "text", -1: label_type})
    if unit == "sentence":
        return ClassificationDataset(path, label_type, allow_examples_without_labels=allow_unlabelled)
    raise SettingError(f"unit must be word, span or sentence, not {unit!r}")
