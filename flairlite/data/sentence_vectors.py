"""What models leave with all tokens of a sentence at once: vectors, and how likely each class is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.data_point import DataPoint
from flairlite.data.extras import Extras
from flairlite.errors import LabelError

if TYPE_CHECKING:
    import numpy as np
    import torch


class SentenceVectors(DataPoint):
    """A sentence as the place where its own vectors and those of its tokens and spans are."""

    __slots__ = ()

    @property
    @abstractmethod
    def _extras(self) -> Extras: ...

    def set_token_embeddings(self, name: str, matrix: torch.Tensor) -> None:
        """Keep a vector for every token: `matrix` is (T, D)."""
        self._extras.vectors.put_matrix(name, matrix)

    def get_token_embeddings(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the vectors (T, D) of the embeddings named, joined in the order of their names, or of all.

        Raises:
            LabelError: when none of them was computed.
        """
        import torch

        chosen = self._extras.vectors.matrices(names)
        if not chosen:
            raise LabelError(
                f"no such embeddings here: call embed(sentence) first; there are {self._extras.vectors.names()}"
            )
        return chosen[0] if len(chosen) == 1 else torch.cat(chosen, dim=1)

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Forget the vectors of the embeddings named, or all, of the sentence, its tokens and its spans."""
        self._extras.vectors.clear_all(embedding_names)

    def to(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move the vectors of the sentence, its tokens and its spans to a device; see `DataPoint.to`."""
        self._extras.vectors.move_all(device, pin_memory)

    def set_tag_distributions(
        self, label_type: str, names: Sequence[str], chances: np.ndarray[Any, np.dtype[np.float32]]
    ) -> None:
        """Keep how likely each class of each token is, for `token.get_tags_proba_dist`.

        Args:
            label_type: The label type.
            names: The K classes.
            chances: (T, K) their probabilities.
        """
        self._extras.distributions.put_table(label_type, names, chances)
