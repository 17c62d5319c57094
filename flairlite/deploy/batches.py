"""Group sentences into batches for the network of an exported model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_BATCH_TOKENS = 2048  # words and padding that pass through the network at once: its memory grows with them
_GROUP_TOKENS = 8192  # words and padding whose scores are decoded together: a step costs the same for few sentences
_GROUP_SCORES = 1 << 20  # their scores: decoding needs up to 80 bytes for each


def group_batches(lengths: Ids, batch_size: int, num_scores: int) -> Iterator[list[Ids]]:
    """Yield groups of batches, in which sentences are ordered by length, the longest first.

    A network is fastest with batches that fit into the cache of the processor; see `score_batches` for the groups.

    Args:
        lengths: (S,) words per sentence; sentences without words are left out.
        batch_size: Maximum number of sentences per batch.
        num_scores: Scores per word.
    """
    max_tokens = min(_GROUP_TOKENS, _GROUP_SCORES // num_scores)
    order = np.argsort(-lengths, kind="stable")
    order = order[: int(np.count_nonzero(lengths))]
    group: list[Ids] = []
    start = size = 0
    while start < len(order):
        width = int(lengths[order[start]])
        batch = order[start : start + max(1, min(batch_size, _BATCH_TOKENS // width))]
        if group and (size + len(batch)) * int(lengths[group[0][0]]) > max_tokens:
            yield group
            group, size = [], 0
        group.append(batch)
        start, size = start + len(batch), size + len(batch)
    if group:
        yield group
