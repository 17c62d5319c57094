"""Morphological features in Universal Dependencies' form, as in `Mood=Ind|Number=Sing`."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65536)  # a treebank repeats a few hundred feature sets
def parse_features(features: str | None) -> dict[str, str]:
    """Return the features by name; the result is shared, so do not change it.

    Example:
        >>> parse_features("Mood=Ind|Number=Sing")
        {'Mood': 'Ind', 'Number': 'Sing'}
    """
    if not features:
        return {}
    from conllu.parser import parse_dict_value

    return {name: value for name, value in (parse_dict_value(features) or {}).items() if value is not None}
