"""Sentences of plain Python values: pairs of a text or words and labels, and rows."""

from __future__ import annotations

import ast
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flairlite.data.dataset import check_iterators, read_once
from flairlite.data.label_values import check_value, is_missing, is_number, to_plain_str
from flairlite.data.sentence import Sentence
from flairlite.data.serialization import label_characters
from flairlite.data.tag_schemes import STANDARD_FORM, TagForm, detect_form, is_tag
from flairlite.errors import DataFormatError, FlairliteError, SettingError
from flairlite.tokenization import Tokenizer

_SHOWN = {"word": "labels of words", "span": "spans", "text": "labels of whole texts"}
_GIVEN = ("tokens", "words", "text", "sentence")  # columns of a row
_LABELS = ("label", "labels", "tags", "entities", "spans", "cats")
_SPAN_KEYS = (("start", "start_offset", "start_char"), ("end", "end_offset", "end_char"), ("label", "type"))
_DROP_NA = "Remove such rows; pandas reads words such as 'null' and 'NA' as missing unless keep_default_na=False"


@dataclass
class ParsedExample:
    """An example: a text or its words, and labels of words, of spans or of the whole; no level without labels."""

    given: str | list[str]
    level: str | None
    labels: list[Any]


class ExampleReader:
    """Reads examples, all of which have labels of the same kind.

    Args:
        label_type: The label type.
        labels_of: The kind of the labels if it was requested: word, span or text.
        names: The names of classes, if labels may be integer class ids.
    """

    def __init__(self, label_type: str, labels_of: str | None, names: Any) -> None:
        if labels_of is not None and labels_of not in _SHOWN:
            raise SettingError(f"labels_of must be 'word', 'span' or 'text', not {labels_of!r}")
        self.label_type, self.labels_of, self.names = label_type, labels_of, _class_names(names)
        self.tags: Counter[str] = Counter()
        self.first: dict[str, str] = {}  # where each level occurs first

    def parse(self, example: Any, where: str) -> ParsedExample:
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
        text, tags = to_plain_str(given), _split_tags(labels)
        if tags and self.labels_of != "text":
            text, given, labels = None, given if text is None else text.split(), tags
        words = None if text is not None else _words(given)
        level, values = self._labels(labels, is_text=words is None)
        if level == "word" and words is None:
            raise ValueError("labels of words need a list of words, not a text")
        if level == "word" and len(values) != len(words or ()):
            raise ValueError(
                f"there must be a tag a word, {len(words or ())}, but there are {len(values)}; pass labels_of='text' "
                "if they are labels of the whole"
            )
        if level == "word":
            self.tags.update(tag for tag in values if tag is not None)
        if level is not None and any(value is not None for value in values):
            if self.labels_of not in (None, level) and (self.labels_of, level) != ("span", "word"):
                raise ValueError(f"labels_of={self.labels_of!r}, but these are {_SHOWN[level]}")
            self.first.setdefault(level, where)
        return ParsedExample(text or "" if words is None else words, level, values)

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

    def _labels(self, labels: Any, *, is_text: bool) -> tuple[str | None, list[Any]]:
        """Return the level and the labels."""
        if isinstance(labels, Mapping):
            return self._labels_of_spacy(labels, is_text=is_text)
        if to_plain_str(labels) is not None or isinstance(labels, bytes) or not isinstance(labels, Iterable):
            value = self._value(labels)
            return (None, []) if value is None else ("text", [value])
        items = sorted(labels, key=str) if isinstance(labels, Set) else _to_list(labels)
        if [type(item) for item in items] == [int, int, str]:
            items = [items]  # a single span
        if any(map(_is_span, items)):
            return "span", list(dict.fromkeys(_span(item, self._value) for item in items))
        if not items:
            return None, []
        if is_text or self.labels_of == "text":
            return "text", self._labels_of_text(items)
        if self.names is None and (tag := next(filter(is_number, items), None)) is not None:
            raise ValueError(
                f"the tag {tag!r} is a number: give names, or pass label_names, the name of each class id (of "
                "Hugging Face: dataset.features['ner_tags'].feature.names)"
            )
        return "word", list(map(self._value, items))

    def _labels_of_text(self, items: list[Any]) -> list[str]:
        """Return the labels in a list, each once: names, class ids, or 0 and 1 for each class."""
        is_binary = len(items) > 1 and all(is_number(item) and item in (0, 1) for item in items)
        if is_binary and (len(set(items)) < len(items) or len(items) == len(self.names or ())):
            names = self.names or ()
            if len(names) != len(items) or (len(items) == 2 and all(type(item) is int for item in items)):
                raise ValueError(
                    f"{items} may be class ids, or 0 or 1 for each class: give the names of the labels, or pass "
                    f"label_names with the name of each of more than two classes"
                )
            return [name for name, item in zip(names, items, strict=True) if item]
        values = map(self._value, items)
        return list(dict.fromkeys(value for value in values if value is not None))

    def _labels_of_spacy(self, known: Mapping[Any, Any], *, is_text: bool) -> tuple[str | None, list[Any]]:
        kinds = {name: value for name, value in known.items() if not is_missing(value) and not _is_empty(value)}
        if unknown := set(kinds) - {"entities", "spans", "cats", "tags"}:
            raise ValueError(f"of spaCy's annotations, entities, spans, cats and tags are read, not {sorted(unknown)}")
        if len(kinds) > 1:
            raise ValueError(
                f"there are several annotations, {', '.join(kinds)}: give those of {self.label_type!r} only"
            )
        if not kinds:
            return None, []
        ((name, value),) = kinds.items()
        if name == "cats":
            if not isinstance(value, Mapping):
                raise ValueError(f"cats must be a dict of labels and 0 or 1, not {value!r:.60}")
            if any(not is_number(share) or share not in (0, 1) for share in value.values()):
                raise ValueError(f"each of the cats must be 0 or 1, not {dict(value)}")
            return "text", [check_value(label) for label, share in value.items() if share]
        if isinstance(value, Mapping):  # groups of spans by name
            groups = [group for group in value.values() if not _is_empty(group)]
            if len(groups) > 1:
                raise ValueError(f"there are several groups of spans, {', '.join(map(str, value))}: give one of them")
            value = groups[0] if groups else []
        level, labels = self._labels(value, is_text=is_text)
        if level == "text":
            raise ValueError(f"{name} must be a list of (start, end, label), not {value!r:.60}")
        return level, labels

    def _value(self, value: Any) -> str | None:
        """Return the text of a label without white space at its ends; None for a missing or empty one."""
        if is_missing(value):
            return None
        text = to_plain_str(value)
        if text is None:
            return self._value_of_number(value) if is_number(value) else check_value(value)
        text = text.strip()
        if text[:1] in ("[", "{", "(") and _is_literal(text):
            raise ValueError(f"the label {text!r:.60} is a list as text: convert such cells with ast.literal_eval")
        if text and self.names is not None and text not in self.names:
            raise ValueError(f"{text!r} is not one of the {len(self.names)} label_names")
        return text or None

    def _value_of_number(self, value: Any) -> str | None:
        if self.names is None:
            is_bool = type(value).__name__ in ("bool", "bool_")
            # tables turn integers into floats where a value is missing
            return check_value(bool(value) if is_bool else int(value) if value == int(value) else value)
        if value == -1:  # Hugging Face's mark of a missing label
            return None
        if value != int(value) or not 0 <= value < len(self.names):
            remedy = ". -100 marks word pieces: give whole words" if value == -100 else ""
            raise ValueError(f"there is no class {value} among the {len(self.names)} label_names{remedy}")
        return self.names[int(value)]


def _split_tags(labels: Any) -> list[str]:
    """Return the tags of a sentence that are given as one string, `O B-LOC`, or in a list beside a text."""
    text = to_plain_str(labels)
    tags = text.split() if text is not None else list(labels) if isinstance(labels, (list, tuple)) else []
    return tags if len(tags) > 1 and all(isinstance(tag, str) and is_tag(tag) for tag in tags) else []


def _is_span(item: Any) -> bool:
    return isinstance(item, (Mapping, list, tuple)) or (hasattr(item, "tolist") and getattr(item, "ndim", 0) > 0)


def _span(item: Any, to_value: Any) -> tuple[int, int, str]:
    if isinstance(item, Mapping):
        parts: list[Any] = [next((item[name] for name in names if name in item), None) for names in _SPAN_KEYS]
    else:
        parts = _to_list(item) if _is_span(item) else []
    value = to_value(parts[2]) if len(parts) == 3 else None
    if value is None or not all(hasattr(offset, "__index__") for offset in parts[:2]):
        raise ValueError(f"a span is (start, end, label) with two integers and a name, not {item!r:.80}")
    return int(parts[0]), int(parts[1]), value


def _class_names(names: Any) -> list[str] | None:
    """Return the name of each class id, from a list or from the `id2label` or `label2id` of a Hugging Face model."""
    if names is None:
        return None
    if isinstance(names, Mapping):
        try:
            by_id = {int(key): name for key, name in names.items()}  # JSON turns ids into strings
        except (TypeError, ValueError):
            by_id = {key: name for name, key in names.items()}
        if set(by_id) != set(range(len(by_id))):
            raise SettingError(f"label_names must have a name for each class id from 0, not {dict(names)!r:.80}")
        names = [by_id[index] for index in range(len(by_id))]
    if isinstance(names, (str, bytes, Set)) or not isinstance(names, Iterable):
        raise SettingError(f"label_names must be a list of names, not {names!r:.60}")
    return list(map(check_value, names))


def _words(given: Any) -> list[str]:
    if isinstance(given, (bytes, Mapping, Set, Sentence)) or not isinstance(given, Iterable):
        problem = f"neither a text nor a list of words: {given!r:.60} ({type(given).__name__})"
        raise ValueError(f"{problem}. {_DROP_NA}" if is_missing(given) else problem)
    return [_word(word) for word in _to_list(given)]


def _word(word: Any) -> str:
    if to_plain_str(word) is None and is_number(word):
        return str(word)
    if is_missing(word):
        raise ValueError(f"a word is missing. {_DROP_NA}")
    text = to_plain_str(word)
    if text is None:
        raise ValueError(f"a word must be a string, not {word!r:.60}")
    return text


def _to_list(values: Any) -> list[Any]:
    """Return an iterable as a list; NumPy's arrays and pandas' Series with plain Python values."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _is_empty(value: Any) -> bool:
    return hasattr(value, "__len__") and not len(value)


def _is_literal(text: str) -> bool:
    """Tell whether a text is a list, a tuple or a dict as Python prints it."""
    try:
        return isinstance(ast.literal_eval(text), (list, tuple, dict))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


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
