"""The vectors that embeddings leave with a sentence and its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    import torch


class Vectors:
    """Vectors by the name of the embedding: of the sentence itself, and of its tokens, a matrix for all of them.

    A token's own vector is a row of the matrix, until it is given another or none: then the rows lie one by one.
    """

    __slots__ = ("own", "tokens")

    def __init__(self) -> None:
        self.own: dict[str, torch.Tensor] = {}
        self.tokens: dict[str, torch.Tensor | list[torch.Tensor | None]] = {}

    def of_token(self, index: int, names: Collection[str] | None) -> list[torch.Tensor]:
        """Return the vectors (D,) of one token, in the order of their names."""
        rows = (self.tokens[name][index] for name in sorted(self.tokens) if names is None or name in names)
        return [row for row in rows if row is not None]

    def of_sentence(self, names: Collection[str] | None) -> list[torch.Tensor]:
        """Return the vectors (D,) of the sentence itself, in the order of their names."""
        return [self.own[name] for name in sorted(self.own) if names is None or name in names]

    def matrices(self, names: Collection[str] | None) -> list[torch.Tensor]:
        """Return the vectors (T, D) of all tokens, in the order of their names, of embeddings that all have."""
        import torch

        chosen = [self.tokens[name] for name in sorted(self.tokens) if names is None or name in names]
        whole = [rows for rows in chosen if isinstance(rows, torch.Tensor) or None not in rows]
        return [rows if isinstance(rows, torch.Tensor) else torch.stack(rows) for rows in whole]  # type: ignore[arg-type]

    def set_of_token(self, index: int, name: str, vector: torch.Tensor | None, num_tokens: int) -> None:
        """Give one token a vector (D,), or none."""
        rows: list[torch.Tensor | None] = list(self.tokens.get(name, [None] * num_tokens))
        rows[index] = vector
        self.tokens[name] = rows

    def to(self, device: str | torch.device) -> None:
        """Move all vectors to a device."""
        self.own = {name: vector.to(device) for name, vector in self.own.items()}
        for name, rows in self.tokens.items():
            if isinstance(rows, list):
                self.tokens[name] = [row if row is None else row.to(device) for row in rows]
            else:
                self.tokens[name] = rows.to(device)


def joined(vectors: list[torch.Tensor]) -> torch.Tensor:
    """Return one vector of several, (D,), or, as Flair does, an empty one (0,) when there is none."""
    import torch

    return vectors[0] if len(vectors) == 1 else torch.cat(vectors) if vectors else torch.empty(0)
