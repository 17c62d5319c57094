"""Where something is in a sentence."""

from __future__ import annotations

# A span (first token, the one behind the last), a token, or the whole sentence.
Place = tuple[int, int] | int | None


def is_within(place: Place, num_tokens: int) -> bool:
    """Tell whether a place is among the first tokens of a sentence, or the whole."""
    return place is None or (place < num_tokens if isinstance(place, int) else place[1] <= num_tokens)
