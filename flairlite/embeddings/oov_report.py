"""The words of a data set that have no vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from flairlite.data import Sentence
from flairlite.embeddings.base import Embeddings
from flairlite.encoding import EncodedDataset

_SHOWN = 5


@dataclass(frozen=True)
class UnknownWords:
    """The words of a data set for which an embedding has no vector.

    Attributes:
        embedding: The name of the embedding.
        count: Their number.
        distinct: The number of different ones.
        total: The number of all words.
        frequent: The most frequent ones, with their numbers.
    """

    embedding: str
    count: int
    distinct: int
    total: int
    frequent: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{word} ({count})" for word, count in self.frequent)
        return (
            f"{self.embedding} has no vector for {self.count:,} of {self.total:,} words "
            f"({self.count / self.total:.1%}), which are {self.distinct:,} different ones; the most frequent: {shown}"
        )


def find_unknown_words(
    embeddings: Embeddings, dataset: EncodedDataset, sentences: Sequence[Sentence]
) -> list[UnknownWords]:
    """Return the unknown words of each embedding that lacks vectors.

    Args:
        embeddings: The embeddings that indexed the data set.
        dataset: The encoded sentences.
        sentences: The same sentences, for the words.
    """
    ids = dataset.word_ids[:-1].long().cpu()  # (N,)
    found = []
    for name, is_unknown in embeddings.unknown_words(dataset.table).items():
        mask = is_unknown.cpu()
        counts = ids.bincount(minlength=len(mask)).masked_fill(~mask, 0)  # (U + 1,)
        total = int(counts.sum())
        if not total:
            continue
        distinct = int(counts.count_nonzero())
        by_count = counts.argsort(descending=True, stable=True)[: min(_SHOWN, distinct)].tolist()
        words = list(chain.from_iterable(sentence.words for sentence in sentences))
        first = np.unique(ids.numpy(), return_index=True)[1]  # (U,) the position of each word
        frequent = tuple((words[first[index]], int(counts[index])) for index in by_count)
        found.append(UnknownWords(name, total, distinct, len(ids), frequent))
    return found
