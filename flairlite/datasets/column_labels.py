"""What the columns of a column file hold: words, tags of spans, labels of words, features, heads, spaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from flairlite.data.tag_schemes import (
    NOTHING,
    OUTSIDE,
    TagPair,
    are_tags,
    detect_scheme,
    invalid_pairs,
    is_tag,
    pairs_of,
)
from flairlite.datasets.text_file import TextFile
from flairlite.errors import SettingError

TEXT, SPACE_AFTER = "text", "space-after"
FEATURES = ("feats", "misc")
HEADS = ("head", "head_id")
_ODD = "odd"  # stands for all values that are no tags


def checked_columns(names: Mapping[int, str]) -> dict[int, str]:
    """Return the map of columns with the one of the words, which is the first where no other is named `text`.

    Raises:
        SettingError: when no column can be that of the words, or two have the same name.
    """
    columns = dict(names)
    if TEXT not in columns.values() and columns.setdefault(0, TEXT) != TEXT:
        raise SettingError(
            f"one of the columns must be named 'text', that of the words, as in {{0: 'text'}}: {columns}"
        )
    if len(set(columns.values())) < len(columns):
        raise SettingError(f"each column must have a name of its own: {columns}")
    return columns


class LabelColumn:
    """The values of a column of labels, counted: do tags of spans stand there, in which scheme, where are they wrong?

    Args:
        index: The column.
        name: The label type.
    """

    def __init__(self, index: int, name: str) -> None:
        self.index, self.name = index, name
        self._values: Counter[str] = Counter()
        self._pairs: Counter[TagPair] = Counter()
        self._lines: dict[TagPair, int] = {}  # the first of each pair
        self._first_odd: tuple[int, str] | None = None

    def add(self, values: Sequence[str], numbers: Sequence[int]) -> None:
        """Count the values of a sentence, which stand in lines of these numbers."""
        kinds = Counter([value if is_tag(value) or value in NOTHING else _ODD for value in values])
        self._values.update(kinds)
        if _ODD in kinds:
            if self._first_odd is None:
                place = next(place for place, value in enumerate(values) if not is_tag(value) and value not in NOTHING)
                self._first_odd = numbers[place], values[place]
            return
        pairs = list(pairs_of(outside_as_none(values)))
        if not self._pairs.keys() >= set(pairs):
            for pair, number in zip(pairs, (*numbers, numbers[-1]), strict=True):
                self._lines.setdefault(pair, number)
        self._pairs.update(pairs)

    @property
    def has_labels(self) -> bool:
        """Whether anything but `O`, `_` and nothing stands there."""
        return any(value != OUTSIDE and value not in NOTHING for value in self._values)

    def has_spans(self) -> bool:
        """Tell whether most values are tags of spans, as `are_tags` has it."""
        return are_tags(self._values)

    def check_tags(self, file: TextFile) -> str:
        """Return in which scheme the tags are, with what was repaired, for a log.

        Raises:
            DataFormatError: for a value that is no tag, with its line.
        """
        if self._first_odd is not None:
            line, value = self._first_odd
            raise file.problem(
                f"column {self.index} ({self.name}) has tags of spans, O or a prefix and a label as in B-PER, "
                f"but here stands {value!r}",
                line,
                remedy="Correct it, or pass span_label_types=() to have the tags as labels of words",
            )
        scheme = detect_scheme(self._pairs)
        invalid = invalid_pairs(self._pairs, scheme)
        if not invalid:
            return f"{self.name} has spans, in {scheme}"
        (after, tag), count = max(invalid.items(), key=lambda item: item[1])
        return (
            f"{self.name} has spans, in {scheme}, but {sum(invalid.values())} tags cannot stand where they do "
            f"({tag or 'the end'} after {after or 'the start'}: {count}, first in line {self._lines[after, tag]}); "
            "they were read as conlleval does, see flairlite.data.tag_schemes"
        )

    def is_repaired(self) -> bool:
        """Tell whether some tags cannot stand where they do."""
        return bool(invalid_pairs(self._pairs, detect_scheme(self._pairs)))

    def shown(self) -> str:
        """Return what stands there, for an error."""
        most = ", ".join(f"{value!r} ({count:,})" for value, count in self._values.most_common(3))
        return f"column {self.index} ({self.name}) has nothing but {most}"


def outside_as_none(values: Sequence[str]) -> list[str | None]:
    """Return values with None for those that stand for `O`."""
    return [None if value in NOTHING else value for value in values]


def span_columns(
    columns: Collection[LabelColumn], wanted: Collection[str] | None, forced: Collection[str]
) -> list[str]:
    """Return the label types that are those of spans.

    Args:
        columns: The columns.
        wanted: Those that the user named, if any were.
        forced: Those that are in any case.

    Raises:
        SettingError: when a name is that of no column.
    """
    known = [column.name for column in columns]
    for name in (*(wanted or ()), *forced):
        if name not in known:
            raise SettingError(f"no column of labels is named {name!r}; there are {', '.join(known) or 'none'}")
    if wanted is not None:
        return [*wanted, *forced]
    return [column.name for column in columns if column.name in forced or column.has_spans()]
