"""Datasets of sentences or texts that are already in memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flairlite.checks import shown
from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.splits import find_train_dev_test_files
from flairlite.errors import SettingError
from flairlite.tokenization import SpaceTokenizer, Tokenizer

if TYPE_CHECKING:
    from flairlite.datasets.data_loader import DataLoader

__all__ = ["DataLoader", "FlairDatapointDataset", "SentenceDataset", "StringDataset", "find_train_dev_test_files"]


def __getattr__(name: str) -> Any:
    if name == "DataLoader":  # imported on first use, because it needs torch
        from flairlite.datasets.data_loader import DataLoader

        return DataLoader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class FlairDatapointDataset(FlairDataset):
    """A list of sentences as a dataset.

    Args:
        datapoints: One sentence or several.

    Raises:
        SettingError: If anything else is given.
    """

    def __init__(self, datapoints: Sentence | Iterable[Sentence]) -> None:
        self.datapoints = [datapoints] if isinstance(datapoints, Sentence) else _to_list("sentences", datapoints)

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index."""
        return self.datapoints[index]

    def __len__(self) -> int:
        return len(self.datapoints)


class SentenceDataset(FlairDatapointDataset):
    """The former name of `FlairDatapointDataset`."""

    def __init__(self, sentences: Sentence | Iterable[Sentence]) -> None:
        warnings.warn("SentenceDataset is now FlairDatapointDataset", DeprecationWarning, stacklevel=2)
        super().__init__(sentences)


class StringDataset(FlairDataset):
    """Texts that become sentences on access.

    Args:
        texts: One text or several.
        use_tokenizer: The tokenizer, as for `Sentence`; splits at spaces when None.

    Raises:
        SettingError: If anything else is given.
    """

    def __init__(self, texts: str | Iterable[str], use_tokenizer: bool | Tokenizer | None = None) -> None:
        self.texts = [texts] if isinstance(texts, str) else _to_list("texts", texts)
        self.use_tokenizer = SpaceTokenizer() if use_tokenizer is None else use_tokenizer

    def is_in_memory(self) -> bool:
        """Return False: each access makes a new sentence."""
        return False

    def sentence_at(self, index: int) -> Sentence:
        """Return a new sentence of the text at an index."""
        return Sentence(self.texts[index], use_tokenizer=self.use_tokenizer)

    def __len__(self) -> int:
        return len(self.texts)


def _to_list(kind: str, given: Any) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise SettingError(f"a dataset is made of one or several {kind}, not of {shown(given)}")
    return list(given)
