"""The vectors that embeddings leave with a sentence, its tokens and its spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from flairlite.data.place import Place, is_within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import torch


_Rows = TypeVar("_Rows")


class Vectors:
    """Vectors by the name of the embedding: a matrix for all tokens, one by one for the sentence itself and spans.

    A token's own vector is a row of the matrix, until it is given another or none: then the rows lie one by one.
    """

    __slots__ = ("_others", "_tokens")

    def __init__(self) -> None:
        self._tokens: dict[str, torch.Tensor | list[torch.Tensor | None]] = {}
        self._others: dict[Place, dict[str, torch.Tensor]] = {}

    def at(self, place: Place, names: Collection[str] | None) -> dict[str, torch.Tensor]:
        """Return the vectors (D,) of a data point, of the embeddings named or of all, in the order of the names."""
        if not isinstance(place, int):
            return _chosen(self._others.get(place, {}), names)
        rows = {name: rows[place] for name, rows in _chosen(self._tokens, names).items()}
        return {name: row for name, row in rows.items() if row is not None}

    def put(self, place: Place, name: str, vector: torch.Tensor, num_tokens: int) -> None:
        """Give a data point a vector (D,)."""
        if isinstance(place, int):
            self._put_row(place, name, vector, num_tokens)
        else:
            self._others.setdefault(place, {})[name] = vector

    def clear(self, place: Place, names: Collection[str] | None) -> None:
        """Forget the vectors of a data point, of the embeddings named or of all."""
        for name in list(self.at(place, names)):
            if isinstance(place, int):
                self._put_row(place, name, None, len(self._tokens[name]))
            else:
                del self._others[place][name]

    def move(self, place: Place, device: str | torch.device, pin_memory: bool) -> None:
        """Move the vectors of a data point to a device."""
        for name, vector in self.at(place, None).items():
            self.put(place, name, _moved(vector, device, pin_memory), len(self._tokens.get(name, ())))

    # All at once

    def put_matrix(self, name: str, matrix: torch.Tensor) -> None:
        """Give all tokens their vectors: `matrix` is (T, D)."""
        self._tokens[name] = matrix

    def matrices(self, names: Collection[str] | None) -> list[torch.Tensor]:
        """Return the vectors (T, D) of all tokens, in the order of their names, of embeddings that all have."""
        import torch

        chosen = _chosen(self._tokens, names).values()
        whole = [rows for rows in chosen if isinstance(rows, torch.Tensor) or None not in rows]
        return [rows if isinstance(rows, torch.Tensor) else torch.stack(rows) for rows in whole]  # type: ignore[arg-type]

    def names(self) -> list[str]:
        """Return the names of all embeddings that something here has a vector of."""
        return list(dict.fromkeys((*self._tokens, *(name for own in self._others.values() for name in own))))

    def clear_all(self, names: Iterable[str] | None) -> None:
        """Forget all vectors of the embeddings named, or of all."""
        for name in self.names() if names is None else names:
            self._tokens.pop(name, None)
            for own in self._others.values():
                own.pop(name, None)

    def move_all(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move all vectors to a device."""
        for own in self._others.values():
            own.update({name: _moved(vector, device, pin_memory) for name, vector in own.items()})
        for name, rows in self._tokens.items():
            if isinstance(rows, list):
                self._tokens[name] = [row if row is None else _moved(row, device, pin_memory) for row in rows]
            else:
                self._tokens[name] = _moved(rows, device, pin_memory)

    def keep_tokens(self, number: int) -> None:
        """Forget the vectors of all tokens behind the first ones, and of spans that reach beyond them."""
        self._tokens = {name: rows[:number] for name, rows in self._tokens.items()}
        self._others = {place: own for place, own in self._others.items() if is_within(place, number)}

    def _put_row(self, index: int, name: str, vector: torch.Tensor | None, num_tokens: int) -> None:
        rows: list[torch.Tensor | None] = list(self._tokens.get(name, [None] * num_tokens))
        rows[index] = vector
        self._tokens[name] = rows


def joined(vectors: list[torch.Tensor]) -> torch.Tensor:
    """Return one vector of several, (D,), or, as Flair does, an empty one (0,) when there is none."""
    import torch

    return vectors[0] if len(vectors) == 1 else torch.cat(vectors) if vectors else torch.empty(0)


def _chosen(vectors: dict[str, _Rows], names: Collection[str] | None) -> dict[str, _Rows]:
    return {name: vectors[name] for name in sorted(vectors) if names is None or name in names}


def _moved(tensor: torch.Tensor, device: str | torch.device, pin_memory: bool) -> torch.Tensor:
    moved = tensor.to(device)
    return moved.pin_memory() if pin_memory and moved.device.type == "cpu" else moved
