"""Vectors and class probabilities that models compute for a sentence, its tokens and its spans."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flairlite.data.text_layout import Location, is_within

if TYPE_CHECKING:
    import numpy as np
    import torch

_Rows = TypeVar("_Rows")


class TagDistributions(NamedTuple):
    """Probabilities of classes for all T tokens of a sentence.

    Attributes:
        names: The K classes.
        probabilities: (T, C) probabilities of C classes of each token; of all K classes in their order without ids.
        class_ids: (T, C) which classes these are, or None.
    """

    names: tuple[str, ...]
    probabilities: np.ndarray[Any, np.dtype[np.floating[Any]]]
    class_ids: np.ndarray[Any, np.dtype[np.integer[Any]]] | None = None

    def of_token(self, index: int) -> list[tuple[str, float]]:
        """Return the classes of a token with their probabilities; with ids, those whose probability is above 0."""
        probabilities = self.probabilities[index].tolist()
        if self.class_ids is None:
            return list(zip(self.names, probabilities, strict=True))
        pairs = zip(self.class_ids[index].tolist(), probabilities, strict=True)
        return [(self.names[class_id], probability) for class_id, probability in pairs if probability > 0]


class Vectors:
    """Vectors by the name of their embedding, and class probabilities by label type.

    All tokens share a matrix (T, D), of which a token's vector is a row. The rows become separate tensors when one of
    them changes.

    Attributes:
        probabilities: The probabilities of classes for all tokens, by label type.
        distributions: Labels with probabilities that were set for single tokens, by label type and token.
    """

    __slots__ = ("_others", "_tokens", "distributions", "probabilities")

    def __init__(self) -> None:
        self._tokens: dict[str, torch.Tensor | list[torch.Tensor | None]] = {}
        self._others: dict[Location, dict[str, torch.Tensor]] = {}
        self.probabilities: dict[str, TagDistributions] = {}
        self.distributions: dict[tuple[str, int], list[Any]] = {}

    def copy(self) -> Vectors:
        """Return a copy that shares the tensors."""
        twin = Vectors()
        twin._tokens = {name: list(rows) if isinstance(rows, list) else rows for name, rows in self._tokens.items()}
        twin._others = {location: dict(vectors) for location, vectors in self._others.items()}
        twin.probabilities = dict(self.probabilities)
        return twin

    def at(self, location: Location, names: Collection[str] | None) -> dict[str, torch.Tensor]:
        """Return the vectors (D,) of a data point by embedding, of the embeddings named or of all, sorted by name."""
        if not isinstance(location, int):
            return _select(self._others.get(location, {}), names)
        rows = {name: rows[location] for name, rows in _select(self._tokens, names).items()}
        return {name: row for name, row in rows.items() if row is not None}

    def set(self, location: Location, name: str, vector: torch.Tensor | None, num_tokens: int) -> None:
        """Set the vector (D,) of a data point; None removes it."""
        if isinstance(location, int):
            rows: list[torch.Tensor | None] = list(self._tokens.get(name, [None] * num_tokens))
            rows[location] = vector
            self._tokens[name] = rows
        elif vector is None:
            del self._others[location][name]
        else:
            self._others.setdefault(location, {})[name] = vector

    def clear(self, location: Location, names: Collection[str] | None, num_tokens: int) -> None:
        """Remove the vectors of a data point, of the embeddings named or of all."""
        for name in self.at(location, names):
            self.set(location, name, None, num_tokens)

    def move(self, location: Location, device: str | torch.device, pin_memory: bool, num_tokens: int) -> None:
        """Move the vectors of a data point to a device."""
        for name, vector in self.at(location, None).items():
            self.set(location, name, _to_device(vector, device, pin_memory), num_tokens)

    # All data points of the sentence

    def set_matrix(self, name: str, matrix: torch.Tensor) -> None:
        """Set the vectors of all tokens: `matrix` is (T, D)."""
        self._tokens[name] = matrix

    def matrices(self, names: Collection[str] | None) -> list[torch.Tensor]:
        """Return the vectors (T, D) of all tokens, sorted by name, of the embeddings that every token has."""
        import torch

        selected = _select(self._tokens, names).values()
        complete = [rows for rows in selected if isinstance(rows, torch.Tensor) or None not in rows]
        return [rows if isinstance(rows, torch.Tensor) else torch.stack(rows) for rows in complete]  # type: ignore[arg-type]

    def names(self) -> list[str]:
        """Return the names of all embeddings with a vector for some data point."""
        return list(dict.fromkeys((*self._tokens, *(name for vectors in self._others.values() for name in vectors))))

    def clear_all(self, names: Iterable[str] | None) -> None:
        """Remove all vectors of the embeddings named, or of all."""
        for name in self.names() if names is None else names:
            self._tokens.pop(name, None)
            for vectors in self._others.values():
                vectors.pop(name, None)

    def move_all(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move all vectors to a device."""
        for vectors in self._others.values():
            vectors.update({name: _to_device(vector, device, pin_memory) for name, vector in vectors.items()})
        for name, rows in self._tokens.items():
            if isinstance(rows, list):
                self._tokens[name] = [row if row is None else _to_device(row, device, pin_memory) for row in rows]
            else:
                self._tokens[name] = _to_device(rows, device, pin_memory)

    def keep_tokens(self, count: int) -> None:
        """Remove the vectors of all but the first `count` tokens, and of spans that end after them."""
        self._tokens = {name: rows[:count] for name, rows in self._tokens.items()}
        self._others = {location: own for location, own in self._others.items() if is_within(location, count)}


def join_vectors(vectors: list[torch.Tensor]) -> torch.Tensor:
    """Concatenate vectors to one (D,); without vectors the result is empty (0,), as in Flair."""
    import torch

    return vectors[0] if len(vectors) == 1 else torch.cat(vectors) if vectors else torch.empty(0)


def _select(vectors: dict[str, _Rows], names: Collection[str] | None) -> dict[str, _Rows]:
    return {name: vectors[name] for name in sorted(vectors) if names is None or name in names}


def _to_device(tensor: torch.Tensor, device: str | torch.device, pin_memory: bool) -> torch.Tensor:
    moved = tensor.to(device)
    return moved.pin_memory() if pin_memory and moved.device.type == "cpu" else moved
