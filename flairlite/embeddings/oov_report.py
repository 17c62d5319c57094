"""A report of the words of a data set that have no vector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from flairlite.data import Sentence
from flairlite.embeddings.base import Embeddings
from flairlite.encoding import EncodedDataset

_SHOWN = 5


def describe_unknown_words(embeddings: Embeddings, dataset: EncodedDataset, sentences: Sequence[Sentence]) -> list[str]:
    """Return a line for each embedding that lacks vectors, with their number and the most frequent words.

    Args:
        embeddings: The embeddings that indexed the data set.
        dataset: The encoded sentences.
        sentences: The same sentences, for the words.
    """
    ids = dataset.word_ids[:-1].long().cpu()  # (N,)
    lines = []
    for name, is_unknown in embeddings.unknown_words(dataset.table).items():
        mask = is_unknown.cpu()
        counts = ids.bincount(minlength=len(mask)).masked_fill(~mask, 0)  # (U + 1,)
        total = int(counts.sum())
        if not total:
            continue
        by_count = counts.argsort(descending=True, stable=True)[: min(_SHOWN, int(counts.count_nonzero()))]
        words = list(chain.from_iterable(sentence.words for sentence in sentences))
        first = np.unique(ids.numpy(), return_index=True)[1]  # (U,) the position of each word
        shown = ", ".join(f"{words[first[index]]} ({counts[index]})" for index in by_count.tolist())
        lines.append(
            f"{name} has no vector for {total:,} of {len(ids):,} words ({total / len(ids):.1%}), which are "
            f"{int(counts.count_nonzero()):,} different ones; the most frequent: {shown}"
        )
    return lines
