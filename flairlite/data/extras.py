"""What few sentences have beside words and labels."""

from __future__ import annotations

from typing import Any

from flairlite.data.context import Context
from flairlite.data.distributions import TagDistributions
from flairlite.data.embedded import Vectors
from flairlite.data.place import Place, is_within


class Extras:
    """Vectors, distributions over tags, metadata of tokens and spans, and the neighbours of a sentence.

    They are made together when somebody asks for the first of them.
    """

    __slots__ = ("context", "distributions", "part_metadata", "vectors")

    def __init__(self) -> None:
        self.context = Context()
        self.distributions = TagDistributions()
        self.part_metadata: dict[Place, dict[str, Any]] = {}
        self.vectors = Vectors()

    def forget_parts(self) -> None:
        """Forget what tokens and spans have, and all vectors."""
        self.distributions, self.part_metadata, self.vectors = TagDistributions(), {}, Vectors()

    def keep_tokens(self, number: int) -> None:
        """Forget what tokens behind the first ones have, and spans that reach beyond them."""
        self.part_metadata = {place: kept for place, kept in self.part_metadata.items() if is_within(place, number)}
        self.vectors.keep_tokens(number)
