"""Rows of tables of pandas and polars, and of Hugging Face's datasets, as pairs of a text or words and labels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from flairlite.checks import shown
from flairlite.data.label_values import is_missing, is_number
from flairlite.errors import DataFormatError, SettingError

log = logging.getLogger("flairlite")

_SPLIT_NAMES = {  # what datasets call the splits
    "train": ("train", "training"),
    "dev": ("dev", "validation", "valid", "val", "development"),
    "test": ("test", "testing"),
}


def rows_of_table(table: Any, text: str, label: str, sentence_id: str | None, split: str) -> list[Any]:
    """Return the rows of a table as pairs; see `Corpus.from_dataframe`.

    Raises:
        DataFormatError: If a column is missing, the columns differ in length, or a sentence id is missing.
    """
    names = [text, label] if sentence_id is None else [text, label, sentence_id]
    path = f"the {split} table"
    columns = [_column(table, name, path) for name in names]
    if len(set(map(len, columns))) > 1:
        raise DataFormatError(f"the columns {names} are not of one length", path=path)
    if sentence_id is None:
        return list(zip(columns[0], columns[1], strict=True))
    for line, value in enumerate(columns[2], 1):
        if is_missing(value):
            remedy = f"Where only the first row of a sentence has an id, fill it: table[{sentence_id!r}].ffill()"
            raise DataFormatError(f"no {sentence_id!r} in this row", path=path, line=line, remedy=remedy)
    groups = (list(group) for _, group in groupby(zip(*columns, strict=True), key=lambda row: row[2]))
    return [([word for word, _, _ in group], [tag for _, tag, _ in group]) for group in groups]


def _column(table: Any, name: Any, path: str) -> list[Any]:
    known = getattr(table, "column_names", getattr(table, "columns", table if isinstance(table, Mapping) else None))
    if known is not None and name not in list(known):
        raise DataFormatError(f"no column {name!r}; it has {', '.join(map(str, known))}", path=path)
    try:
        column = table[name]
    except (LookupError, TypeError, ValueError) as error:
        raise SettingError(
            f"{path} must be a DataFrame or a dict of columns, not {shown(table)}; a list of rows is read by "
            "Corpus.from_examples"
        ) from error
    if getattr(column, "ndim", 1) != 1:
        raise DataFormatError(f"{name!r} names several columns: give the name of one", path=path)
    if isinstance(column, (str, bytes, Mapping)) or not isinstance(column, Iterable):
        raise DataFormatError(f"the column {name!r} must be a list of values, not {column!r:.60}", path=path)
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)  # Arrow's tables have the former


def splits_of_datasets(given: Any) -> dict[str, Any]:
    """Return the dataset of each split, train, dev and test, of a dataset or a dict of datasets.

    Raises:
        SettingError: If it is neither, or no name is one of a split, or two are names of one split.
    """
    if not isinstance(given, Mapping):
        return {"train": given}
    found: dict[str, Any] = {}
    names = {name: split for split, names in _SPLIT_NAMES.items() for name in names}
    for key, dataset in given.items():
        if (split := names.get(str(key).lower())) is None:
            continue
        if split in found:
            raise SettingError(f"several datasets are the {split} split, of {', '.join(map(str, given))}: give one")
        found[split] = dataset
    unused = [str(key) for key in given if str(key).lower() not in names]
    if not found:
        remedy = "give {'train': ..., 'dev': ..., 'test': ...}"
        raise SettingError(
            f"no dataset is named train, validation or test, but {', '.join(unused) or 'none'}: {remedy}"
        )
    if unused:
        log.warning("The datasets %s are in no split, and are left out", ", ".join(unused))
    return found


def rows_of_dataset(dataset: Any, text: str, label: str, label_names: Any, split: str) -> list[tuple[Any, Any]]:
    """Return the rows of a dataset of Hugging Face as pairs, with the names of classes in place of their ids.

    Args:
        dataset: The dataset, which may be streamed.
        text: The column with the text or words.
        label: The column with the labels.
        label_names: Names that replace those of the dataset; the ids stay, for `make_sentences`.
        split: The split, for errors.

    Raises:
        SettingError: If it is not a dataset.
        DataFormatError: If a column is missing, or there is no class of an id.
    """
    path = f"the {split} dataset"
    if not hasattr(dataset, "select_columns") or not hasattr(dataset, "with_format"):
        raise SettingError(
            f"{path} must be a Dataset of Hugging Face, not {dataset!r:.60} ({type(dataset).__name__}): load one with "
            "datasets.load_dataset(name); tables are read by Corpus.from_dataframe"
        )
    known = dataset.column_names or (text, label)  # a stream may not know its columns
    for name in (text, label):
        if name not in known:
            raise DataFormatError(f"no column {name!r}; it has {', '.join(map(str, known))}", path=path)
    names = None if label_names is not None else _class_names(dataset.features, label)
    rows = []
    for line, row in enumerate(dataset.select_columns([text, label]).with_format(None), 1):
        try:
            rows.append((row[text], row[label] if names is None else _name(row[label], names)))
        except (LookupError, TypeError) as error:
            shown = f"{row.get(label)!r:.60}"
            problem = f"no class among the {len(names or ())} of {label!r} is {shown}"
            raise DataFormatError(problem, path=path, line=line) from error
    return rows


def _class_names(features: Mapping[str, Any] | None, label: str) -> list[str] | None:
    """Return the names of the classes of a column, or of the items of its lists; None if it has no classes."""
    feature = (features or {}).get(label)
    while (
        inner := feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    ) is not None:
        feature = inner
    names = getattr(feature, "names", None)
    return None if names is None else list(names)


def _name(value: Any, names: list[str]) -> Any:
    if value is None:
        return None
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_name(item, names) for item in value]
    if not is_number(value):
        raise TypeError
    if value < -1:
        raise LookupError
    return None if value == -1 else names[value]  # -1 is the mark of a missing label
