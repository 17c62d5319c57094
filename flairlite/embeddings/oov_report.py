"""Which words of a data set embeddings have no vector for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from flairlite.data import Sentence
from flairlite.embeddings.base import Embeddings
from flairlite.encoding import EncodedDataset

_SHOWN = 5


def describe_unknown_words(embeddings: Embeddings, dataset: EncodedDataset, sentences: Sequence[Sentence]) -> list[str]:
    """Say how many words have no vector, and which are the most frequent of them: a line for each embedding.

    Args:
        embeddings: The embeddings that made the table of the data set.
        dataset: The encoded sentences.
        sentences: The same sentences, for the words themselves.
    """
    ids = dataset.word_ids[:-1].long().cpu()  # (N,)
    said = []
    for name, is_unknown in embeddings.unknown_words(dataset.table).items():
        mask = is_unknown.cpu()
        counts = ids.bincount(minlength=len(mask)).masked_fill(~mask, 0)  # (U + 1,)
        total = int(counts.sum())
        if not total:
            continue
        by_count = counts.argsort(descending=True, stable=True)[: min(_SHOWN, int(counts.count_nonzero()))]
        words = list(chain.from_iterable(sentence.words for sentence in sentences))
        first = np.unique(ids.numpy(), return_index=True)[1]  # (U,)
        shown = ", ".join(f"{words[first[number]]} ({counts[number]})" for number in by_count.tolist())
        said.append(
            f"{name} has no vector for {total:,} of {len(ids):,} words ({total / len(ids):.1%}), which are "
            f"{int(counts.count_nonzero()):,} different ones; the most frequent: {shown}"
        )
    return said
