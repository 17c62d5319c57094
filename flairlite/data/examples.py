"""Sentences of plain Python values: pairs of a text or its words, and what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from numbers import Number, Real
from typing import Any, TypeAlias

from flairlite.data.sentence import Sentence
from flairlite.data.spanning import label_characters
from flairlite.data.tag_schemes import are_tags, spans_of
from flairlite.errors import DataFormatError, FlairliteError
from flairlite.tokenization import Tokenizer

Given: TypeAlias = "str | Sequence[str]"  # a text, or its words
Known: TypeAlias = "str | Sequence[str | None] | Sequence[tuple[int, int, str]] | None"
Example: TypeAlias = "tuple[Given, Known]"

_REMEDY = "A pair is (words, tags), (text, [(start, end, label), ...]), (text, label) or (text, [label, ...])"


def sentences_of(
    examples: Mapping[str, Sequence[Example]], label_type: str, use_tokenizer: bool | Tokenizer = True
) -> dict[str, list[Sentence]]:
    """Return the sentences of each split; see `Corpus.from_examples`.

    Raises:
        DataFormatError: for a pair that is none, with its split and number.
    """
    values: Counter[str] = Counter()
    for pairs in examples.values():
        for pair in pairs:
            if _is_tagged(pair):
                values.update(str(tag) for tag in pair[1] or () if not _is_nothing(tag))
    has_spans = bool(values) and are_tags(values)
    made: dict[str, list[Sentence]] = {}
    for split, pairs in examples.items():
        made[split] = []
        for number, pair in enumerate(pairs, 1):
            try:
                made[split].append(_sentence_of(pair, label_type, use_tokenizer, has_spans))
            except (FlairliteError, TypeError, ValueError) as error:
                place = f"the {split} examples"
                raise DataFormatError(f"{error}: {str(pair)[:80]}", path=place, line=number, remedy=_REMEDY) from error
    return made


def examples_of_frame(frame: Any, text: str, label: str, sentence_id: str | None, split: str) -> list[Example]:
    """Return the rows of a table as pairs; see `Corpus.from_dataframe`.

    Raises:
        DataFormatError: when a column is not there.
    """
    names = [text, label] if sentence_id is None else [text, label, sentence_id]
    columns = []
    for name in names:
        try:
            columns.append(list(frame[name]))
        except KeyError as error:
            there = ", ".join(map(str, getattr(frame, "columns", frame)))
            raise DataFormatError(f"no column {name!r}; it has {there}", path=f"the {split} table") from error
    if len(set(map(len, columns))) > 1:
        raise DataFormatError(f"the columns {names} are not of one length", path=f"the {split} table")
    if sentence_id is None:
        return list(zip(columns[0], columns[1], strict=True))
    rows = zip(*columns, strict=True)
    groups = (list(group) for _, group in groupby(rows, key=lambda row: row[2]))
    return [([str(word) for word, _, _ in group], [tag for _, tag, _ in group]) for group in groups]


def _sentence_of(pair: Example, label_type: str, use_tokenizer: bool | Tokenizer, has_spans: bool) -> Sentence:
    if isinstance(pair, str) or len(pair) != 2:
        raise ValueError("it must be a pair")
    given, known = pair
    sentence = Sentence(given if isinstance(given, str) else list(map(str, given)), use_tokenizer=use_tokenizer)
    if _is_nothing(known):
        return sentence
    if _is_tagged(pair):
        _tag(sentence, label_type, [None if _is_nothing(tag) else str(tag) for tag in known or ()], has_spans)
    elif known is None or isinstance(known, (str, Number)):
        sentence.add_label(label_type, str(known))
    else:
        for item in known:
            _add(sentence, label_type, item, in_words=not isinstance(given, str))
    return sentence


def _tag(sentence: Sentence, label_type: str, tags: list[str | None], has_spans: bool) -> None:
    if len(tags) != len(sentence.words):
        raise ValueError(f"there must be a tag a word, {len(sentence.words)}, but there are {len(tags)}")
    if not has_spans:
        sentence.set_token_labels(label_type, tags)
        return
    for start, stop, label in spans_of([tag if tag not in ("", "_") else None for tag in tags]):
        sentence[start:stop].add_label(label_type, label)


def _add(sentence: Sentence, label_type: str, item: Any, *, in_words: bool) -> None:
    if isinstance(item, str):
        sentence.add_label(label_type, item)
        return
    start, end, label = item
    if in_words:
        if not 0 <= start < end <= len(sentence.words):
            raise ValueError(f"a span must lie within {len(sentence.words)} words, not from {start} to {end}")
        sentence[start:end].add_label(label_type, str(label))
    else:
        label_characters(sentence, label_type, start, end, str(label))


def _is_tagged(pair: Example) -> bool:
    """Tell whether a pair is words and their tags: no text, and a list that does not begin with a span."""
    if isinstance(pair, str) or len(pair) != 2 or isinstance(pair[0], str):
        return False
    known = pair[1]
    is_list = known is not None and not isinstance(known, (str, Number))
    return is_list and all(isinstance(item, str) or _is_nothing(item) for item in known or ())


def _is_nothing(value: object) -> bool:
    """Tell whether a value is None or what stands for it in tables: NaN, which is no equal of itself, or pandas' NA."""
    return value is None or (isinstance(value, Real) and value != value) or type(value).__name__ == "NAType"
