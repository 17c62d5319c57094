"""The content of the columns of a column file: words, tags of spans, labels of words, features, heads, spaces."""

from __future__ import annotations

import logging
import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from flairlite.data.tag_schemes import (
    BRACKETS,
    NOTHING,
    OUTSIDE,
    OUTSIDE_FORMS,
    STANDARD_FORM,
    TagForm,
    TagPair,
    detect_form,
    detect_scheme,
    invalid_pairs,
    is_tag,
    may_be_tag,
)
from flairlite.datasets.text_file import TextFile
from flairlite.errors import LabelError, SettingError

log = logging.getLogger("flairlite")

TEXT, SPACE_AFTER = "text", "space-after"
FEATURES = ("feats", "misc")
BRACKETS_WARNING = "%s: column %d (%s) has brackets that are not read as spans, only those such as (PER* and *) are"
HEADS = ("head", "head_id")
_MAX_OTHER = 64  # distinct values that are not tags, of which the line is kept
_OTHER = "other values"
_MAX_FEATURES = 100_000  # distinct values of a column of features that are kept


def check_column_map(names: Any) -> dict[int, str]:
    """Return a map from the index of a column to its name, with integers as keys.

    Raises:
        SettingError: If it is not such a map.
    """
    expected = "a column map gives the index of each column its name, as in {0: 'text', 1: 'ner'}"
    if not isinstance(names, Mapping):
        raise SettingError(f"{expected}, but this is a {type(names).__name__}: {names!r:.80}")
    columns: dict[int, str] = {}
    for index, name in names.items():
        if isinstance(index, (bool, str)) or not hasattr(index, "__index__") or not isinstance(name, str):
            is_swapped = isinstance(index, str) and hasattr(name, "__index__")
            hint = f": write {{{name}: {index!r}}} in place of {{{index!r}: {name}}}" if is_swapped else ""
            raise SettingError(f"{expected}, not {index!r}: {name!r}{hint}")
        columns[operator.index(index)] = name.strip()
    return columns


def check_columns(names: Any) -> dict[int, str]:
    """Return the column map of a column file; the first column has the words unless another one is named `text`.

    Raises:
        SettingError: If it is not a column map, no column can have the words, or two columns have the same name.
    """
    columns = check_column_map(names)
    if TEXT not in columns.values() and columns.setdefault(0, TEXT) != TEXT:
        raise SettingError(f"one of the columns must be named 'text', for the words, as in {{0: 'text'}}: {columns}")
    if len(set(columns.values())) < len(columns):
        raise SettingError(f"each column must have a name of its own: {columns}")
    return columns


def check_label_names(names: Mapping[str, str] | None) -> dict[str, str]:
    """Return the new names of labels, without blanks around them.

    Raises:
        SettingError: If it is not a map from texts to texts.
    """
    is_map = isinstance(names, Mapping) and all(isinstance(new, str) and new.strip() for new in names.values())
    if names is not None and not is_map:
        raise SettingError(f"label_name_map must give labels new names, as in {{'PER': 'person'}}, not {names!r:.80}")
    return {str(label).strip(): new.strip() for label, new in (names or {}).items()}


class LabelColumn:
    """Counts the values of a column of labels, to detect whether they are tags of spans, in which form and scheme.

    Args:
        index: The column.
        name: The label type.
    """

    def __init__(self, index: int, name: str) -> None:
        self.index, self.name = index, name
        self.form: TagForm | None = None  # of tags of spans
        self._values: Counter[str] = Counter()
        self._first_lines: dict[str, int] = {}
        self._num_other = 0
        self._pairs: Counter[TagPair] = Counter()
        self._pair_lines: dict[TagPair, int] = {}  # the first one
        self._has_brackets = False
        self._bracket_error: tuple[int, str] | None = None

    def add(self, values: Sequence[str], lines: Sequence[int]) -> None:
        """Count the values of a sentence, which are in these lines."""
        if not all(map(may_be_tag, values)):
            self._add_other(values, lines)
            return
        self._values.update(values)
        pairs = list(zip((None, *values), (*values, None), strict=True))
        if not self._pairs.keys() >= set(pairs):
            for pair, line in zip(pairs, (*lines, lines[-1]), strict=True):
                self._pair_lines.setdefault(pair, line)
            for value, line in zip(values, lines, strict=True):
                self._first_lines.setdefault(value, line)
                self._has_brackets |= value[:1] == "(" or value[-1:] == ")"
        if self._has_brackets and self._bracket_error is None:
            self._check_brackets(values, lines)
        self._pairs.update(pairs)

    def _add_other(self, values: Sequence[str], lines: Sequence[int]) -> None:
        """Count the values of a sentence that are not all tags, without keeping more than a few distinct ones."""
        if self._first_lines.keys() >= set(values):
            self._values.update(values)
            return
        for value, count in Counter(values).items():
            if value not in self._first_lines:
                if not may_be_tag(value):
                    if self._num_other == _MAX_OTHER:
                        self._values[_OTHER] += count
                        continue
                    self._num_other += 1
                self._first_lines[value] = lines[values.index(value)]
            self._values[value] += count

    def _check_brackets(self, values: Sequence[str], lines: Sequence[int]) -> None:
        try:
            BRACKETS.spans_of(values, self.name)
        except LabelError as error:
            self._bracket_error = lines[0], str(error)

    @property
    def has_labels(self) -> bool:
        """Whether there is any value but `O`, `_` and the empty one."""
        return any(value != OUTSIDE and value not in NOTHING for value in self._values)

    def detect_form(self) -> TagForm | None:
        """Return the form of the tags of spans, or None if the values are not tags."""
        return detect_form(self._values)

    def check_tags(self, file: TextFile) -> None:
        """Log the scheme of the tags, and a warning for invalid sequences, which are repaired.

        Raises:
            DataFormatError: If a value is not a tag, with its line.
        """
        form = self.form or STANDARD_FORM
        if form is BRACKETS:
            if self._bracket_error is not None:
                line, problem = self._bracket_error
                raise file.error(f"column {self.index} ({self.name}): {problem}", line, "Correct the brackets")
            log.info("%s: %s has spans, in brackets such as (PER*", file.path, self.name)
            return
        tags = {value: form.parse(value, self.name) for value in self._values}
        wrong = [value for value, tag in tags.items() if tag is None and value in self._first_lines]
        if wrong:
            value = min(wrong, key=lambda value: self._first_lines[value])
            raise file.error(
                f"column {self.index} ({self.name}) has tags of spans, O or a prefix and a label as in {form.name}, "
                f"but this is {value!r}",
                self._first_lines[value],
                remedy="Correct it, or pass span_label_types=() to read the tags as labels of words",
            )
        self._log_scheme(file, form, tags)
        joined = [value for value in self._values if "|" in value and all(map(is_tag, value.split("|")))]
        if joined:
            message = "%s: column %d (%s) has several tags in a value, which are read as one label: %s"
            log.warning(message, file.path, self.index, self.name, ", ".join(map(repr, joined[:3])))

    def _log_scheme(self, file: TextFile, form: TagForm, tags: Mapping[str, str | None]) -> None:
        pairs: Counter[TagPair] = Counter()
        lines: dict[TagPair, int] = {}
        for (previous, value), count in self._pairs.items():
            pair = previous if previous is None else tags[previous], value if value is None else tags[value]
            pairs[pair] += count
            lines[pair] = min(self._pair_lines[previous, value], lines.get(pair, 1 << 62))
        scheme = detect_scheme(pairs)
        invalid = invalid_pairs(pairs, scheme)
        if form is not STANDARD_FORM:
            log.info("%s: %s has spans, written as %s", file.path, self.name, form.name)
        if not invalid:
            log.debug("%s: %s has spans, in %s", file.path, self.name, scheme)
            return
        (previous_tag, tag), count = max(invalid.items(), key=lambda item: item[1])
        log.warning(
            "%s: %s has spans, in %s, but %d tags are invalid there (%s after %s: %d, first in line %d); they are read "
            "as conlleval reads them, see flairlite.data.tag_schemes",
            *(file.path, self.name, scheme, sum(invalid.values()), tag or "the end", previous_tag or "the start"),
            *(count, lines[previous_tag, tag]),
        )

    def warn_of_outside(self, file: TextFile) -> None:
        """Log a warning if labels of words look like tags of spans in an unknown form: most are `O`, or brackets."""
        ranked = [value for value, _ in self._values.most_common() if value not in NOTHING]
        if len(ranked) > 1 and ranked[0] in (*OUTSIDE_FORMS, "*", "-"):
            log.warning(
                "%s: column %d (%s) has mostly %r, but its other values are not tags of a known form: %s; they "
                "are read as labels of words, and so is %r",
                *(file.path, self.index, self.name, ranked[0], ", ".join(map(repr, ranked[1:4])), ranked[0]),
            )
        elif look_like_brackets(self._values):
            log.warning(BRACKETS_WARNING, file.path, self.index, self.name)

    def describe(self) -> str:
        """Return the most frequent values, for an error or a warning."""
        most = ", ".join(f"{value!r} ({count:,})" for value, count in self._values.most_common(3))
        return f"column {self.index} ({self.name}) has only {most}"


class FeatureColumn:
    """Counts the values of a column of features such as `Number=Sing|name=B-PER`, to find those that are tags of spans.

    Args:
        index: The column.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._values: Counter[str] = Counter()

    def add(self, values: Sequence[str]) -> None:
        """Count the values of a sentence."""
        if len(self._values) <= _MAX_FEATURES:  # more are not tags, but would fill the memory
            self._values.update(values)

    def span_features(self, file: TextFile) -> dict[str, TagForm]:
        """Return the features whose values are all tags of spans, with the form of these."""
        counts: dict[str, Counter[str]] = {}
        for value, count in self._values.items():
            for feature, label in parse_feature_values(value):
                counts.setdefault(feature, Counter())[label] += count
        for name, values in counts.items():
            if name and look_like_brackets(values):
                log.warning(BRACKETS_WARNING, file.path, self.index, name)
        forms = {name: detect_form(values) for name, values in counts.items() if any(map(_is_span_tag, values))}
        return {
            name: form
            for name, form in forms.items()
            if form and (form is BRACKETS or all(form.parse(value, "") for value in counts[name]))
        }


def look_like_brackets(counts: Mapping[str, int]) -> bool:
    """Return whether most labels open or close a bracket, as `(person-1` or `1)`, in a form that is not read."""
    labels = {value: count for value, count in counts.items() if value not in (*NOTHING, *OUTSIDE_FORMS, "*", "-")}
    unpaired = [count for value, count in labels.items() if value[0] == "(" != value or value[-1] == ")" != value]
    return 2 * sum(unpaired) > sum(labels.values()) and detect_form(counts) is None


def _is_span_tag(value: str) -> bool:
    return value not in OUTSIDE_FORMS and may_be_tag(value)


@lru_cache(maxsize=65536)
def parse_feature_values(value: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `Number=Sing|Person=3`; a part that is not a pair has an empty name."""
    pairs = []
    for part in value.split("|") if value not in NOTHING else ():
        feature, _, label = (item.strip() for item in part.partition("="))
        pairs.append((feature, label) if feature and label else ("", part.strip()))
    return tuple(pairs)


def outside_as_none(values: Sequence[str]) -> list[str | None]:
    """Return values with None for no label."""
    return [None if value in NOTHING else value for value in values]


def assign_forms(
    columns: Collection[LabelColumn],
    features: Mapping[str, TagForm],
    wanted: Collection[str] | None,
    forced: Collection[str],
    has_features: bool,
) -> dict[str, TagForm]:
    """Return the label types of spans, with the form of their tags.

    Args:
        columns: The columns of labels.
        features: The features with tags of spans.
        wanted: The label types that the caller named, if any; a map has the form of each in another file.
        forced: Label types that have spans in any case.
        has_features: Whether there is a column of features, which may have wanted label types.

    Raises:
        SettingError: If a label type is not that of a column.
    """
    by_name = {column.name: column for column in columns}
    for name in (*(wanted or ()), *forced):
        if name not in by_name and name not in features and not has_features:
            raise SettingError(f"no column of labels is named {name!r}; there are {', '.join(by_name) or 'none'}")
    forms = {name: column.detect_form() for name, column in by_name.items()} | dict(features)
    if wanted is None:
        wanted = [name for name, form in forms.items() if form is not None]
    known = wanted if isinstance(wanted, Mapping) else {}
    return {name: forms.get(name) or known.get(name) or STANDARD_FORM for name in (*wanted, *forced)}
