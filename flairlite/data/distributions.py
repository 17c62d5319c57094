"""How likely each class of a word is: all that a model knows about it, not only the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.label import Label

if TYPE_CHECKING:
    import numpy as np

    from flairlite.data.token import Token


class TagDistributions:
    """The probabilities of the classes of the tokens of a sentence, by label type.

    A model leaves a table for all tokens; labels are made of it when somebody asks for them.
    """

    __slots__ = ("_lists", "_tables")

    def __init__(self) -> None:
        self._tables: dict[str, tuple[Sequence[str], np.ndarray[Any, np.dtype[np.float32]]]] = {}
        self._lists: dict[tuple[str, int], list[Label]] = {}  # given by hand, by label type and token

    def put_table(self, label_type: str, names: Sequence[str], chances: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Keep probabilities (T, K) of the K classes named, in place of all that there are of this type."""
        self._lists = {place: labels for place, labels in self._lists.items() if place[0] != label_type}
        self._tables[label_type] = (names, chances)

    def put(self, label_type: str, index: int, labels: list[Label]) -> None:
        """Keep the labels of one token."""
        self._lists[label_type, index] = labels

    def of_token(self, token: Token, index: int) -> dict[str, list[Label]]:
        """Return the labels of one token, by label type."""
        made = {
            label_type: [
                Label(token, name, chance, typename=label_type)
                for name, chance in zip(names, chances[index].tolist(), strict=True)
            ]
            for label_type, (names, chances) in self._tables.items()
        }
        given = {label_type: labels for (label_type, place), labels in self._lists.items() if place == index}
        return {**made, **given}
