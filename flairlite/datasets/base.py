"""Sequences of sentences that are there already, and batches of them as lists."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.utils.data

from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.splits import find_train_dev_test_files
from flairlite.runtime import get_seed
from flairlite.tokenization import SpaceTokenizer, Tokenizer

__all__ = ["DataLoader", "FlairDatapointDataset", "SentenceDataset", "StringDataset", "find_train_dev_test_files"]


class DataLoader(torch.utils.data.DataLoader[Sentence]):
    """Batches of sentences, each a list; made by this process alone.

    Args:
        dataset: The sentences.
        batch_size: Sentences a batch.
        shuffle: Whether they come in another random order each time.
        sampler: Which sentences come, and in which order.
        batch_sampler: Which sentences make a batch.
        drop_last: Whether a last batch of fewer sentences is left out.
        timeout: As for torch's class.
        worker_init_fn: As for torch's class.
        seed: Decides the order of shuffled sentences; the process's default seed when None. The global generators are
            left alone.
    """

    def __init__(
        self,
        dataset: Sequence[Sentence],
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            dataset,  # type: ignore[arg-type]  # torch's Dataset is no more than this
            batch_size=batch_size,
            shuffle=shuffle,
            sampler=sampler,
            batch_sampler=batch_sampler,
            num_workers=0,
            collate_fn=list,
            drop_last=drop_last,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            generator=torch.Generator().manual_seed(get_seed(seed)),
        )


class FlairDatapointDataset(FlairDataset):
    """Sentences in a list.

    Args:
        datapoints: The sentences, or one.
    """

    def __init__(self, datapoints: Sentence | Iterable[Sentence]) -> None:
        self.datapoints = [datapoints] if isinstance(datapoints, Sentence) else list(datapoints)

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place."""
        return self.datapoints[place]

    def __len__(self) -> int:
        return len(self.datapoints)


class SentenceDataset(FlairDatapointDataset):
    """The older name of `FlairDatapointDataset`."""

    def __init__(self, sentences: Sentence | Iterable[Sentence]) -> None:
        warnings.warn("SentenceDataset is now FlairDatapointDataset", DeprecationWarning, stacklevel=2)
        super().__init__(sentences)


class StringDataset(FlairDataset):
    """Texts, made a sentence each time one is asked for.

    Args:
        texts: The texts, or one.
        use_tokenizer: What splits them into words, as for `Sentence`; blanks do when it is not given.
    """

    def __init__(self, texts: str | Iterable[str], use_tokenizer: bool | Tokenizer | None = None) -> None:
        self.texts = [texts] if isinstance(texts, str) else list(texts)
        self.use_tokenizer = SpaceTokenizer() if use_tokenizer is None else use_tokenizer

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time, which it does not."""
        return False

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence of the text at a place."""
        return Sentence(self.texts[place], use_tokenizer=self.use_tokenizer)

    def __len__(self) -> int:
        return len(self.texts)
