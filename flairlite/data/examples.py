"""Sentences of plain Python values: texts or words with labels, rows of tables, spaCy's and Hugging Face's forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from numbers import Real
from typing import Any

from flairlite.data.label_values import check_value, is_number, to_plain_str
from flairlite.data.sentence import Sentence
from flairlite.data.serialization import label_characters
from flairlite.data.tag_schemes import STANDARD_FORM, TagForm, detect_form
from flairlite.errors import DataFormatError, FlairliteError, SettingError
from flairlite.tokenization import Tokenizer

Example = Any  # a pair of a text or words and labels, or a row: see Corpus.from_examples

_LEVELS = ("word", "span", "text")
_SHOWN = {"word": "labels of words", "span": "spans", "text": "labels of whole texts"}
_GIVEN = ("tokens", "words", "text", "sentence")  # columns of a row
_LABELS = ("label", "labels", "tags", "entities", "spans", "cats")
_REMEDY = "A pair is (words, tags), (text, [(start, end, label), ...]), (text, label) or (text, [label, ...])"
_DROP_NA = "Remove such rows; pandas reads words such as 'null' and 'NA' as missing unless keep_default_na=False"


@dataclass
class _Parsed:
    """An example: a text or its words, and labels of words, of spans or of the whole; no level without labels."""

    given: str | list[str]
    level: str | None
    labels: list[Any]


class _Reader:
    """Reads examples, all of which have labels of the same kind.

    Args:
        label_type: The label type.
        labels_of: The kind of the labels if it was requested: word, span or text.
        names: The names of classes, if labels may be integer class ids.
    """

    def __init__(self, label_type: str, labels_of: str | None, names: Sequence[str] | None) -> None:
        if labels_of is not None and labels_of not in _LEVELS:
            raise SettingError(f"labels_of must be 'word', 'span' or 'text', not {labels_of!r}")
        if isinstance(names, str):
            raise SettingError(f"label_names must be a list of names, not {names!r}")
        self.label_type, self.labels_of, self.names = label_type, labels_of, names
        self.tags: Counter[str] = Counter()
        self.first: dict[str, str] = {}  # where each level occurs first

    def parse(self, example: Any, where: str) -> _Parsed:
        """Return an example in the same form for all.

        Raises:
            ValueError: If it has no known form.
        """
        if isinstance(example, Mapping):
            given, labels = self._columns_of_row(example)
        elif isinstance(example, Sentence):
            raise ValueError("it must be a pair, not a Sentence: give sentences to Corpus(train, dev, test)")
        elif isinstance(example, (list, tuple)) and len(example) == 2:
            given, labels = example
        else:
            raise ValueError("it must be a pair")
        text = to_plain_str(given)
        words = None if text is not None else self._words(given)
        parsed = self._labels(labels, is_text=words is None)
        parsed.given = text or "" if words is None else words
        if parsed.level == "word":
            if words is None:
                raise ValueError("labels of words need a list of words, not a text")
            if len(parsed.labels) != len(words):
                raise ValueError(
                    f"there must be a tag a word, {len(words)}, but there are {len(parsed.labels)}; pass "
                    "labels_of='text' if they are labels of the whole"
                )
            self.tags.update(tag for tag in parsed.labels if tag is not None)
        if parsed.level is not None and any(label is not None for label in parsed.labels):
            if self.labels_of not in (None, parsed.level) and (self.labels_of, parsed.level) != ("span", "word"):
                raise ValueError(f"labels_of={self.labels_of!r}, but these are {_SHOWN[parsed.level]}")
            self.first.setdefault(parsed.level, where)
        return parsed

    def tag_form(self) -> TagForm | None:
        """Return the form of the tags of spans, such as `B-PER`, or None if tags are labels of words."""
        form = detect_form(self.tags) if self.tags and self.labels_of != "word" else None
        return STANDARD_FORM if form is None and self.labels_of == "span" else form

    def check_levels(self, tags_are_spans: bool) -> None:
        """Check that the labels of all examples are of one kind.

        Raises:
            SettingError: If they are not.
        """
        first = {("span" if level == "word" and tags_are_spans else level): at for level, at in self.first.items()}
        if len(first) > 1:
            found = ", ".join(f"{_SHOWN[level]} ({where})" for level, where in first.items())
            raise SettingError(
                f"the examples have labels of several kinds: {found}. Give labels of one kind, or pass "
                "labels_of='text' if lists of labels beside words are labels of the whole"
            )

    def _columns_of_row(self, row: Mapping[Any, Any]) -> tuple[Any, Any]:
        given = [name for name in _GIVEN if name in row]
        own = [name for name in (self.label_type, f"{self.label_type}_tags", f"{self.label_type}_tag") if name in row]
        labels = own[:1] or [name for name in _LABELS if name in row]
        if not given or len(labels) != 1:
            raise ValueError(
                f"a row needs one of the columns {', '.join(_GIVEN)} and one of labels, named as the label type "
                f"({self.label_type}), {self.label_type}_tags or label; it has {', '.join(map(str, row))}"
            )
        name = labels[0]
        if name in ("entities", "spans", "cats"):  # their offsets are those of the text
            return row["text" if "text" in row else given[0]], {name: row[name]}
        return row[given[0]], row[name]

    def _words(self, given: Any) -> list[str]:
        if isinstance(given, (bytes, Mapping, Set)) or not isinstance(given, Iterable):
            problem = f"neither a text nor a list of words: {given!r:.60} ({type(given).__name__})"
            raise ValueError(f"{problem}. {_DROP_NA}" if _is_missing(given) else problem)
        return [_word(word) for word in _to_list(given)]

    def _labels(self, labels: Any, *, is_text: bool) -> _Parsed:
        if isinstance(labels, Mapping):
            return self._labels_of_spacy(labels, is_text=is_text)
        if _is_missing(labels):
            return _Parsed("", None, [])
        if to_plain_str(labels) is not None or not isinstance(labels, Iterable) or isinstance(labels, bytes):
            values = [self._value(labels)]
            return _Parsed("", "text", values) if values != [None] else _Parsed("", None, [])
        items = sorted(labels) if isinstance(labels, Set) else _to_list(labels)
        are_spans = [_is_span(item) for item in items]
        if any(are_spans):
            return _Parsed("", "span", [_span(item, self._value) for item in items])
        if not items:
            return _Parsed("", None, [])
        level = "text" if is_text or self.labels_of == "text" else "word"
        if level == "word" and self.names is None:
            for item in items:
                if is_number(item):
                    raise ValueError(
                        f"the tag {item!r} is a number: give names, or pass label_names, the name of each class id (of "
                        "Hugging Face: dataset.features['ner_tags'].feature.names)"
                    )
        values = [self._value(item) for item in items]
        return _Parsed("", level, [value for value in values if value is not None] if level == "text" else values)

    def _labels_of_spacy(self, known: Mapping[Any, Any], *, is_text: bool) -> _Parsed:
        present = {name: value for name, value in known.items() if not _is_missing(value)}
        if unknown := set(present) - {"entities", "spans", "cats", "tags"}:
            raise ValueError(f"of spaCy's annotations, entities, spans, cats and tags are read, not {sorted(unknown)}")
        kinds = {name: value for name, value in present.items() if len(value)}
        if len(kinds) > 1:
            raise ValueError(
                f"there are several annotations, {', '.join(kinds)}: give those of {self.label_type!r} only"
            )
        for name, value in kinds.items():
            if name == "cats":
                if not isinstance(value, Mapping):
                    raise ValueError(f"cats must be a dict of labels and 0 or 1, not {value!r:.60}")
                if any(not is_number(share) or share not in (0, 1) for share in value.values()):
                    raise ValueError(f"each of the cats must be 0 or 1, not {dict(value)}")
                return _Parsed("", "text", [check_value(label) for label, share in value.items() if share])
            if isinstance(value, Mapping):  # groups of spans by name
                groups = [group for group in value.values() if len(group)]
                if len(groups) > 1:
                    raise ValueError(
                        f"there are several groups of spans, {', '.join(map(str, value))}: give one of them"
                    )
                value = groups[0] if groups else []
            parsed = self._labels(value, is_text=is_text)
            if parsed.level == "text":
                raise ValueError(f"{name} must be a list of (start, end, label), not {value!r:.60}")
            return parsed
        return _Parsed("", None, [])

    def _value(self, value: Any) -> str | None:
        """Return the text of a label, None for a missing or empty one."""
        if _is_missing(value) or value == "":
            return None
        if is_number(value) and to_plain_str(value) is None and not isinstance(value, bool):
            if value == int(value):
                value = int(value)  # tables turn integers into floats where a value is missing
            if self.names is not None and isinstance(value, int):
                if not 0 <= value < len(self.names):
                    raise ValueError(f"there is no class {value} among the {len(self.names)} label_names")
                value = self.names[value]
        return check_value(value)


def make_sentences(
    examples: Mapping[str, Iterable[Any]],
    label_type: str,
    use_tokenizer: bool | Tokenizer = True,
    labels_of: str | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, list[Sentence]]:
    """Return the sentences of each split; see `Corpus.from_examples`.

    Raises:
        DataFormatError: If an example has no known form, with its split and number.
        SettingError: If a split is not a list, or the labels of the examples are not of one kind.
    """
    reader = _Reader(label_type, labels_of, names)
    parsed: dict[str, list[_Parsed]] = {}
    for split, given in examples.items():
        if (
            isinstance(given, (str, bytes, Mapping))
            or not isinstance(given, Iterable)
            or getattr(given, "ndim", 1) != 1
        ):
            raise SettingError(
                f"the {split} examples must be a list, not {type(given).__name__}: tables are read by from_dataframe"
            )
        parsed[split] = []
        for number, example in enumerate(given, 1):
            with _located(split, number, example):
                parsed[split].append(reader.parse(example, f"{split} example {number}"))
    form = reader.tag_form()
    made: dict[str, list[Sentence]] = {}
    for split, rows in parsed.items():
        made[split] = []
        for number, row in enumerate(rows, 1):
            with _located(split, number, (row.given, row.labels)):
                made[split].append(_make_sentence(row, label_type, use_tokenizer, form))
    reader.check_levels(form is not None)
    return made


def rows_of_table(table: Any, text: str, label: str, sentence_id: str | None, split: str) -> list[Any]:
    """Return the rows of a table as pairs; see `Corpus.from_dataframe`.

    Raises:
        DataFormatError: If a column is missing, the columns differ in length, or a sentence id is missing.
    """
    names = [text, label] if sentence_id is None else [text, label, sentence_id]
    path = f"the {split} table"
    columns = []
    for name in names:
        try:
            columns.append(list(table[name]))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            known = getattr(table, "columns", table if isinstance(table, Mapping) else None)
            if known is None:
                raise SettingError(f"{path} must be a DataFrame or a dict of columns, not {table!r:.60}") from error
            raise DataFormatError(f"no column {name!r}; it has {', '.join(map(str, known))}", path=path) from error
    if len(set(map(len, columns))) > 1:
        raise DataFormatError(f"the columns {names} are not of one length", path=path)
    if sentence_id is None:
        return list(zip(columns[0], columns[1], strict=True))
    for line, value in enumerate(columns[2], 1):
        if _is_missing(value):
            remedy = f"Where only the first row of a sentence has an id, fill it: table[{sentence_id!r}].ffill()"
            raise DataFormatError(f"no {sentence_id!r} in this row", path=path, line=line, remedy=remedy)
    groups = (list(group) for _, group in groupby(zip(*columns, strict=True), key=lambda row: row[2]))
    return [([word for word, _, _ in group], [tag for _, tag, _ in group]) for group in groups]


@contextmanager
def _located(split: str, number: int, example: Any) -> Iterator[None]:
    """Turn errors into a `DataFormatError` with split and number of the example."""
    try:
        yield
    except (FlairliteError, TypeError, ValueError, OverflowError) as error:
        path = f"the {split} examples"
        raise DataFormatError(f"{error}: {str(example)[:80]}", path=path, line=number, remedy=_REMEDY) from error


def _make_sentence(row: _Parsed, label_type: str, use_tokenizer: bool | Tokenizer, form: TagForm | None) -> Sentence:
    sentence = Sentence(row.given, use_tokenizer=use_tokenizer)
    if row.level == "word" and form is not None:
        sentence.set_span_labels(label_type, form.spans_of([tag or "" for tag in row.labels], label_type))
    elif row.level == "word":
        sentence.set_token_labels(label_type, row.labels)
    elif row.level == "text":
        sentence.set_sentence_labels(label_type, row.labels)
    elif row.level == "span":
        for start, end, value in row.labels:
            if isinstance(row.given, str):
                label_characters(sentence, label_type, start, end, value)
            elif not 0 <= start < end <= len(sentence.words):
                raise ValueError(f"a span must lie within {len(sentence.words)} words, not from {start} to {end}")
            else:
                sentence.get_span(start, end).add_label(label_type, value)
    return sentence


def _is_span(item: Any) -> bool:
    return isinstance(item, (Mapping, list, tuple)) or (hasattr(item, "tolist") and getattr(item, "ndim", 0) > 0)


def _span(item: Any, to_value: Any) -> tuple[int, int, str]:
    if isinstance(item, Mapping):
        item = [item.get(name) for name in ("start", "end", "label")]
    if to_plain_str(item) is not None or not isinstance(item, Iterable):
        raise ValueError(f"a span is (start, end, label), not {item!r:.60}")
    start, end, label = _to_list(item)
    value = to_value(label)
    if not (isinstance(start, int) or hasattr(start, "__index__")) or not hasattr(end, "__index__") or value is None:
        raise ValueError(f"a span is (start, end, label) with two integers and a name, not {(start, end, label)!r:.60}")
    return int(start), int(end), value


def _word(word: Any) -> str:
    if to_plain_str(word) is None and is_number(word):
        return str(word)
    if _is_missing(word):
        raise ValueError(f"a word is missing. {_DROP_NA}")
    text = to_plain_str(word)
    if text is None:
        raise ValueError(f"a word must be a string, not {word!r:.60}")
    return text


def _to_list(values: Any) -> list[Any]:
    """Return an iterable as a list; NumPy's arrays and pandas' Series with plain Python values."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN (which does not equal itself) or pandas' NA or NaT."""
    return (
        value is None or (isinstance(value, Real) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )
