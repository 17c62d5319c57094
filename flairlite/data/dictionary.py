"""A dictionary between strings and integer ids."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from flairlite.checks import flag
from flairlite.data.label_values import to_plain_str
from flairlite.errors import DataFormatError, SettingError, UnknownItemError
from flairlite.storage.atomic import atomic_write

_SHOWN_ITEMS = 30  # in a notebook
UNKNOWN, START, STOP = "<unk>", "<START>", "<STOP>"
# The characters of European languages: Latin, Greek, Cyrillic, punctuation, currencies.
_SCRIPTS = ((0x20, 0x7F), (0xA0, 0x180), (0x370, 0x400), (0x400, 0x460), (0x2010, 0x2030), (0x20A0, 0x20C0))
_OTHER_LISTS = {f"{prefix}chars-{size}" for prefix in ("", "common-") for size in ("large", "xl", "lemmatizer")}


class Dictionary:
    """Items and their ids, which count from 0 in the order of adding.

    Args:
        add_unk: Whether to start with `<unk>`, whose id all unknown items have.

    Example:
        >>> dictionary = Dictionary()
        >>> dictionary.add_item("NOUN")
        1
        >>> dictionary.get_idx_for_item("never seen")
        0
        >>> print(dictionary)
        Dictionary with 2 tags: <unk>, NOUN
    """

    def __init__(self, add_unk: bool = True) -> None:
        self.idx2item: list[str] = []
        self.item2idx: dict[str, int] = {}
        self.add_unk = flag("add_unk", add_unk)
        self.multi_label = False
        self.span_labels = False
        if self.add_unk:
            self.add_item(UNKNOWN)

    @classmethod
    def from_items(cls, items: Iterable[str], *, add_unk: bool | None = None) -> Dictionary:
        """Make a dictionary of `items`; with `add_unk=None`, it has unknown items if `<unk>` is among them.

        Raises:
            SettingError: If `items` is a single string, or an item is not a string.
        """
        if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
            raise SettingError(f"items must be a list of strings, not {items!r:.60}")
        listed = sorted(map(_check_item, items)) if isinstance(items, Set) else list(items)  # sets have no order
        dictionary = cls(add_unk=UNKNOWN in listed if add_unk is None else add_unk)
        for item in listed:
            dictionary.add_item(item)
        return dictionary

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int] | Iterable[str], *, min_count: int = 1, max_items: int = -1, add_unk: bool = True
    ) -> Dictionary:
        """Make a dictionary of counted items, the most frequent first, equally frequent ones in their order.

        Args:
            counts: How often each item occurs; or the items themselves, to be counted.
            min_count: Minimum number of occurrences of an item.
            max_items: Maximum number of items besides `<unk>`; -1 for all.
            add_unk: Whether to start with `<unk>`.
        """
        frequent = [item for item, count in Counter(counts).most_common() if count >= min_count]
        dictionary = cls(add_unk=add_unk)
        for item in frequent if max_items < 0 else frequent[:max_items]:
            dictionary.add_item(item)
        return dictionary

    def _repr_html_(self) -> str:
        from flairlite.markup import table

        shown = list(enumerate(self.get_items()))[:_SHOWN_ITEMS]
        more = "" if len(self) <= _SHOWN_ITEMS else f", the first {_SHOWN_ITEMS}"
        return table(
            ("id", "item"), [(str(index), item) for index, item in shown], caption=f"{len(self):,} items{more}"
        )

    def add_item(self, item: str) -> int:
        """Add an item unless it exists, and return its id.

        Raises:
            SettingError: If the item is not a string.
        """
        item = _check_item(item)
        index = self.item2idx.setdefault(item, len(self.idx2item))
        if index == len(self.idx2item):
            self.idx2item.append(item)
        return index

    def remove_item(self, item: str) -> None:
        """Remove an item if it exists; the ids of later items decrease by one, so that there is no gap.

        This takes time in proportion to the number of items.
        """
        item = _check_item(item)
        if item in self.item2idx:
            self.idx2item.remove(item)
            self.item2idx = {other: index for index, other in enumerate(self.idx2item)}
            self.add_unk = self.add_unk and item != UNKNOWN

    def has_item(self, item: str) -> bool:
        """Tell whether the item exists."""
        return _check_item(item) in self.item2idx

    def get_idx_for_item(self, item: str) -> int:
        """Return the id of an item; 0 for an unknown one if there is `<unk>`.

        Raises:
            UnknownItemError: If the item is unknown and there is no `<unk>`.
            SettingError: If the item is not a string.
        """
        index = self.item2idx.get(item if type(item) is str else _check_item(item))
        if index is not None:
            return index
        if self.add_unk:
            return 0
        raise UnknownItemError(
            f"{item!r} is not in this dictionary; it has {_shown(self.idx2item, 50)}. "
            f"Add it, or make the dictionary with add_unk=True"
        )

    def get_idx_for_items(self, items: Iterable[str]) -> list[int]:
        """Return the id of each item, see `get_idx_for_item`."""
        if not isinstance(items, Iterable):
            raise SettingError(f"items must be a list of strings, not {items!r:.60}")
        return [self.get_idx_for_item(item) for item in items]

    def get_item_for_index(self, idx: int) -> str:
        """Return the item of an id.

        Raises:
            UnknownItemError: If there is no such id.
        """
        try:
            index = operator.index(idx)
        except TypeError:
            index = -1
        if not 0 <= index < len(self.idx2item):
            raise UnknownItemError(f"no item has the id {idx}: this dictionary has {len(self)} items, with ids from 0")
        return self.idx2item[index]

    def get_items(self) -> list[str]:
        """Return all items in the order of their ids."""
        return list(self.idx2item)

    def set_start_stop_tags(self) -> None:
        """Add `<START>` and `<STOP>`, which Flair's CRF needs; the CRF here does not."""
        self.add_item(START)
        self.add_item(STOP)

    def start_stop_tags_are_set(self) -> bool:
        """Tell whether `<START>` and `<STOP>` exist."""
        return START in self.item2idx and STOP in self.item2idx

    def is_span_prediction_problem(self) -> bool:
        """Tell whether the items are labels of spans, or tags of such labels (`B-PER`)."""
        return self.span_labels or any(item.startswith(("B-", "S-", "I-")) for item in self.idx2item)

    def save(self, savefile: str | Path) -> None:
        """Write the dictionary as JSON; the file is replaced as a whole or not at all."""
        content = {
            "items": self.idx2item,
            "add_unk": self.add_unk,
            "multi_label": self.multi_label,
            "span_labels": self.span_labels,
        }
        with atomic_write(_check_path(savefile)) as file:
            file.write((json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass"))

    @classmethod
    def load_from_file(cls, filename: str | Path) -> Dictionary:
        """Read a dictionary that `save` wrote.

        Raises:
            DataFormatError: If the file cannot be read, or is not a dictionary.
        """
        path = _check_path(filename)
        try:
            content = json.loads(path.read_bytes().decode("utf-8-sig", "surrogatepass"))
            items = content["items"]
            if not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
                raise TypeError("its items are not a list of strings")
            flags = [content[name] for name in ("add_unk", "multi_label", "span_labels")]
            if not all(isinstance(flag, bool) for flag in flags):
                raise TypeError("add_unk, multi_label and span_labels must be true or false")
            dictionary = cls.from_items(items, add_unk=flags[0])
            if dictionary.idx2item != items:
                raise ValueError("an item occurs twice, or <unk> is not the first one")
            dictionary.multi_label, dictionary.span_labels = flags[1:]
        except OSError as error:
            problem = f"no dictionary can be read: {error.strerror or error}"
            raise DataFormatError(problem, path=path, remedy="Check the path and its permissions") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataFormatError(
                f"no dictionary of flairlite's: {error!r}", path=path, remedy="Save one with Dictionary.save"
            ) from error
        return dictionary

    @classmethod
    def load(cls, name: str | Path) -> Dictionary:
        """Read a dictionary that `save` wrote, or return that of common characters.

        Args:
            name: A file, or `chars` or `common-chars`: the characters of European languages (Latin, Greek, Cyrillic),
                punctuation and currencies. It differs from Flair's list, which was counted in a corpus.

        Raises:
            SettingError: If `name` is one of Flair's other lists.
            DataFormatError: If the file is not a dictionary.
        """
        if name in ("chars", "common-chars"):
            characters = (chr(code) for first, end in _SCRIPTS for code in range(first, end))
            return cls.from_items([UNKNOWN, *(character for character in characters if character.isprintable())])
        if isinstance(name, str) and name in _OTHER_LISTS:
            raise SettingError(
                f"of Flair's lists of characters only 'common-chars' has a counterpart here, not {name!r}: make one of "
                "your texts, Dictionary.from_counts(Counter(text))"
            )
        return cls.load_from_file(name)

    def __len__(self) -> int:
        return len(self.idx2item)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        return self.idx2item == other.idx2item and self.add_unk == other.add_unk

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __str__(self) -> str:
        return f"Dictionary with {len(self)} tags: {_shown(self.idx2item, 50)}"

    __repr__ = __str__


def _check_item(item: Any) -> str:
    text = item if type(item) is str else to_plain_str(item)
    if text is None:
        raise SettingError(f"an item of a dictionary must be a string, not {item!r:.60} ({type(item).__name__})")
    return text


def _check_path(path: Any) -> Path:
    if not isinstance(path, (str, Path)):
        raise SettingError(f"a dictionary needs the path of a file, not {path!r:.60}")
    return Path(path)


def _shown(items: list[str], limit: int) -> str:
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f", and {rest} more" if rest > 0 else "")
