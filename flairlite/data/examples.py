"""Sentences of plain Python values: pairs of a text or words and labels, and rows of tables."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from flairlite.data.dataset import check_iterators, read_once
from flairlite.data.example_reader import ExampleReader, ParsedExample
from flairlite.data.label_values import is_missing
from flairlite.data.sentence import Sentence
from flairlite.data.serialization import label_characters
from flairlite.data.tag_schemes import TagForm
from flairlite.errors import DataFormatError, FlairliteError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

Example = Any  # a pair of a text or words and labels, or a row: see Corpus.from_examples

_REMEDY = "A pair is (words, tags), (text, [(start, end, label), ...]), (text, label) or (text, [label, ...])"


def make_sentences(
    examples: Mapping[str, Iterable[Any]],
    label_type: str,
    use_tokenizer: bool | Tokenizer = True,
    labels_of: str | None = None,
    names: Any = None,
) -> dict[str, list[Sentence]]:
    """Return the sentences of each split; see `Corpus.from_examples`.

    Raises:
        DataFormatError: If an example has no known form, with its split and number.
        SettingError: If a split is not a list, or the labels of the examples are not of one kind.
    """
    reader = ExampleReader(label_type, labels_of, names)
    check_iterators(examples)
    parsed: dict[str, list[ParsedExample]] = {}
    for split, given in examples.items():
        is_table = getattr(given, "ndim", 1) != 1 and not hasattr(given, "tolist")
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable) or is_table:
            raise SettingError(
                f"the {split} examples must be a list, not {type(given).__name__}: tables are read by from_dataframe"
            )
        rows = given.tolist() if hasattr(given, "tolist") else read_once(split, given)
        parsed[split] = []
        for number, example in enumerate(rows, 1):
            with _located(split, number, example):
                parsed[split].append(reader.parse(example, f"{split} example {number}"))
    form = reader.tag_form()
    made: dict[str, list[Sentence]] = {}
    num_inexact = 0
    for split, examples_of_split in parsed.items():
        made[split] = []
        for number, row in enumerate(examples_of_split, 1):
            with _located(split, number, (row.given, row.labels)):
                sentence = Sentence(row.given, use_tokenizer=use_tokenizer)
                num_inexact += _add_labels(sentence, row, label_type, form)
            made[split].append(sentence)
    reader.check_levels(form is not None)
    if num_inexact:
        log.warning(
            "%d spans begin or end inside a word, and label it as a whole. Offsets count characters, not bytes or "
            "UTF-16 units; another tokenizer may also split the words there",
            num_inexact,
        )
    return made


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
            f"{path} must be a DataFrame or a dict of columns, not {table!r:.60}; a list of rows is read by "
            "Corpus.from_examples"
        ) from error
    if getattr(column, "ndim", 1) != 1:
        raise DataFormatError(f"{name!r} names several columns: give the name of one", path=path)
    if isinstance(column, (str, bytes, Mapping)) or not isinstance(column, Iterable):
        raise DataFormatError(f"the column {name!r} must be a list of values, not {column!r:.60}", path=path)
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)  # Arrow's tables have the former


@contextmanager
def _located(split: str, number: int, example: Any) -> Iterator[None]:
    """Turn errors into a `DataFormatError` with split and number of the example."""
    try:
        yield
    except (FlairliteError, TypeError, ValueError, OverflowError) as error:
        path = f"the {split} examples"
        raise DataFormatError(f"{error}: {str(example)[:80]}", path=path, line=number, remedy=_REMEDY) from error


def _add_labels(sentence: Sentence, row: ParsedExample, label_type: str, form: TagForm | None) -> int:
    """Add the labels of an example, and return how many spans begin or end inside a word."""
    num_inexact = 0
    if row.level == "word" and form is not None:
        sentence.set_span_labels(label_type, form.spans_of([tag or "" for tag in row.labels], label_type))
    elif row.level == "word":
        sentence.set_token_labels(label_type, row.labels)
    elif row.level == "text":
        sentence.set_sentence_labels(label_type, row.labels)
    elif row.level == "span":
        for start, end, value in row.labels:
            if isinstance(row.given, str):
                num_inexact += not label_characters(sentence, label_type, start, end, value)
            elif not 0 <= start < end <= len(sentence.words):
                raise ValueError(f"a span must lie within {len(sentence.words)} words, not from {start} to {end}")
            else:
                sentence.get_span(start, end).add_label(label_type, value)
    return num_inexact
