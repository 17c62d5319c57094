"""A dictionary between strings and integers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from flairlite.errors import DataFormatError, LabelError

UNKNOWN = "<unk>"


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

    def add_item(self, item: str) -> int:
        """Add an item unless it is there, and return its number."""
        number = self.item2idx.setdefault(item, len(self.idx2item))
        if number == len(self.idx2item):
            self.idx2item.append(item)
        return number

    def has_item(self, item: str) -> bool:
        """Tell whether the item itself is there."""
        return item in self.item2idx

    def get_idx_for_item(self, item: str) -> int:
        """Return the number of an item, or 0 for an unknown one where there is `<unk>`.

        Raises:
            LabelError: for an unknown item where there is no `<unk>`.
        """
        number = self.item2idx.get(item)
        if number is not None:
            return number
        if self.add_unk:
            return 0
        raise LabelError(
            f"{item!r} is not in this dictionary; it has {_shown(self.idx2item, 50)}. "
            f"Add it, or make the dictionary with add_unk=True"
        )

    def get_idx_for_items(self, items: Iterable[str]) -> list[int]:
        """Return the number of each item, as `get_idx_for_item` does."""
        return [self.get_idx_for_item(item) for item in items]

    def get_item_for_index(self, idx: int) -> str:
        """Return the item of a number.

        Raises:
            LabelError: when no item has this number.
        """
        if not 0 <= idx < len(self.idx2item):
            raise LabelError(f"no item has the number {idx}: this dictionary has {len(self)} items, numbered from 0")
        return self.idx2item[idx]

    def get_items(self) -> list[str]:
        """Return all items in the order of their numbers."""
        return list(self.idx2item)

    def save(self, savefile: str | Path) -> None:
        """Write the dictionary as JSON."""
        content = {
            "items": self.idx2item,
            "add_unk": self.add_unk,
            "multi_label": self.multi_label,
            "span_labels": self.span_labels,
        }
        Path(savefile).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load_from_file(cls, filename: str | Path) -> Dictionary:
        """Read a dictionary that `save` wrote.

        Raises:
            DataFormatError: when the file is none.
        """
        try:
            content = json.loads(Path(filename).read_text(encoding="utf-8"))
            if not (isinstance(content["items"], list) and all(isinstance(item, str) for item in content["items"])):
                raise TypeError("its items are not a list of strings")
            dictionary = cls.from_items(content["items"], add_unk=content["add_unk"])
            dictionary.multi_label, dictionary.span_labels = content["multi_label"], content["span_labels"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFormatError(
                f"no dictionary of flairlite's: {error!r}", path=filename, remedy="Save one with Dictionary.save"
            ) from error
        return dictionary

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
