"""A dictionary between strings and integers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from flairlite.errors import DataFormatError, SettingError, UnknownItemError
from flairlite.storage.atomic import atomic_write

UNKNOWN, START, STOP = "<unk>", "<START>", "<STOP>"
# the characters of European languages: Latin, Greek, Cyrillic, punctuation, currencies
_SCRIPTS = ((0x20, 0x7F), (0xA0, 0x180), (0x370, 0x400), (0x400, 0x460), (0x2010, 0x2030), (0x20A0, 0x20C0))
_OTHER_LISTS = {f"{prefix}chars-{size}" for prefix in ("", "common-") for size in ("large", "xl", "lemmatizer")}


class Dictionary:
    """Items and their numbers, in the order they were added.

    Args:
        add_unk: Start with `<unk>`, which stands for every item that is not there.

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
        self.add_unk = add_unk
        self.multi_label = False
        self.span_labels = False
        if add_unk:
            self.add_item(UNKNOWN)

    @classmethod
    def from_items(cls, items: Iterable[str], *, add_unk: bool | None = None) -> Dictionary:
        """Make a dictionary of `items`; with `add_unk` None, it knows unknown items if `<unk>` is among them."""
        listed = list(items)
        dictionary = cls(add_unk=UNKNOWN in listed if add_unk is None else add_unk)
        for item in listed:
            dictionary.add_item(item)
        return dictionary

    @classmethod
    def from_counts(
        cls, counts: Counter[str], *, min_count: int = 1, max_items: int = -1, add_unk: bool = True
    ) -> Dictionary:
        """Make a dictionary of what was counted, the most frequent first; of equally frequent items the earlier.

        Args:
            counts: How often each item occurs.
            min_count: Leave out items that occur less often.
            max_items: How many items to take at most beside `<unk>`; -1 for all.
            add_unk: Start with `<unk>`.
        """
        frequent = [item for item, count in counts.most_common() if count >= min_count]
        dictionary = cls(add_unk=add_unk)
        for item in frequent if max_items < 0 else frequent[:max_items]:
            dictionary.add_item(item)
        return dictionary

    def add_item(self, item: str) -> int:
        """Add an item unless it is there, and return its number."""
        number = self.item2idx.setdefault(item, len(self.idx2item))
        if number == len(self.idx2item):
            self.idx2item.append(item)
        return number

    def remove_item(self, item: str) -> None:
        """Remove an item if it is there; those behind it move up, so that numbers stay without gaps.

        It takes time in proportion to the number of items.
        """
        if item in self.item2idx:
            self.idx2item.remove(item)
            self.item2idx = {other: number for number, other in enumerate(self.idx2item)}
            self.add_unk = self.add_unk and item != UNKNOWN

    def has_item(self, item: str) -> bool:
        """Tell whether the item itself is there."""
        return item in self.item2idx

    def get_idx_for_item(self, item: str) -> int:
        """Return the number of an item, or 0 for an unknown one where there is `<unk>`.

        Raises:
            UnknownItemError: for an unknown item where there is no `<unk>`.
        """
        number = self.item2idx.get(item)
        if number is not None:
            return number
        if self.add_unk:
            return 0
        raise UnknownItemError(
            f"{item!r} is not in this dictionary; it has {_shown(self.idx2item, 50)}. "
            f"Add it, or make the dictionary with add_unk=True"
        )

    def get_idx_for_items(self, items: Iterable[str]) -> list[int]:
        """Return the number of each item, as `get_idx_for_item` does."""
        return [self.get_idx_for_item(item) for item in items]

    def get_item_for_index(self, idx: int) -> str:
        """Return the item of a number.

        Raises:
            UnknownItemError: when no item has this number.
        """
        if not 0 <= idx < len(self.idx2item):
            raise UnknownItemError(
                f"no item has the number {idx}: this dictionary has {len(self)} items, numbered from 0"
            )
        return self.idx2item[idx]

    def get_items(self) -> list[str]:
        """Return all items in the order of their numbers."""
        return list(self.idx2item)

    def set_start_stop_tags(self) -> None:
        """Add `<START>` and `<STOP>`, as Flair's chains of tags want them; the chains here do without."""
        self.add_item(START)
        self.add_item(STOP)

    def start_stop_tags_are_set(self) -> bool:
        """Tell whether `<START>` and `<STOP>` are there."""
        return START in self.item2idx and STOP in self.item2idx

    def is_span_prediction_problem(self) -> bool:
        """Tell whether the items are labels of spans, or tags of such labels (`B-PER`)."""
        return self.span_labels or any(item.startswith(("B-", "S-", "I-")) for item in self.idx2item)

    def save(self, savefile: str | Path) -> None:
        """Write the dictionary as JSON, whole or not at all."""
        content = {
            "items": self.idx2item,
            "add_unk": self.add_unk,
            "multi_label": self.multi_label,
            "span_labels": self.span_labels,
        }
        with atomic_write(Path(savefile)) as file:
            file.write((json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass"))

    @classmethod
    def load_from_file(cls, filename: str | Path) -> Dictionary:
        """Read a dictionary that `save` wrote.

        Raises:
            DataFormatError: when the file is none.
        """
        try:
            content = json.loads(Path(filename).read_bytes().decode("utf-8", "surrogatepass"))
            if not (isinstance(content["items"], list) and all(isinstance(item, str) for item in content["items"])):
                raise TypeError("its items are not a list of strings")
            dictionary = cls.from_items(content["items"], add_unk=content["add_unk"])
            dictionary.multi_label, dictionary.span_labels = content["multi_label"], content["span_labels"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataFormatError(
                f"no dictionary of flairlite's: {error!r}", path=filename, remedy="Save one with Dictionary.save"
            ) from error
        return dictionary

    @classmethod
    def load(cls, name: str | Path) -> Dictionary:
        """Read a dictionary that `save` wrote, or return the one of common characters.

        Args:
            name: A file, or `chars` or `common-chars`: the characters of European languages (Latin, Greek, Cyrillic),
                punctuation and currencies. It is not Flair's list, which was counted in one corpus.

        Raises:
            SettingError: for another of the names that Flair has.
            DataFormatError: when the file is no dictionary.
        """
        if name in ("chars", "common-chars"):
            characters = (chr(code) for first, end in _SCRIPTS for code in range(first, end))
            return cls.from_items([UNKNOWN, *(character for character in characters if character.isprintable())])
        if name in _OTHER_LISTS:
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


def _shown(items: list[str], limit: int) -> str:
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f", and {rest} more" if rest > 0 else "")
