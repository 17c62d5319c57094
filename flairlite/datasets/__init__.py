"""Readers of data files, and prepared corpora."""

import importlib
from typing import TYPE_CHECKING, Any

from flairlite.datasets import prepared, prepared_languages, treebanks
from flairlite.datasets.base import FlairDatapointDataset, SentenceDataset, StringDataset
from flairlite.datasets.classification import ClassificationDataset, CSVClassificationDataset
from flairlite.datasets.columns import ColumnDataset
from flairlite.datasets.conllu import iterate_conllu, read_conllu
from flairlite.datasets.corpora import (
    ClassificationCorpus,
    ColumnCorpus,
    CSVClassificationCorpus,
    FileCorpus,
    JsonlCorpus,
    MultiFileColumnCorpus,
    MultiFileJsonlCorpus,
)
from flairlite.datasets.jsonl import JsonlDataset
from flairlite.datasets.prepared import *  # noqa: F403  # WNUT_17 and the others
from flairlite.datasets.prepared_languages import *  # noqa: F403  # MASAKHA_POS and the others
from flairlite.datasets.read_labelled import read_labelled
from flairlite.datasets.splits import Splits, find_train_dev_test_files
from flairlite.datasets.treebanks import *  # noqa: F403  # UD_ENGLISH, SAMPLE_NER and the others
from flairlite.datasets.universal_dependencies import UniversalDependenciesCorpus, UniversalDependenciesDataset

if TYPE_CHECKING:
    from flairlite.datasets.data_loader import DataLoader
    from flairlite.datasets.lexicons import read_word_clusters, read_word_numbers, read_word_tags

__all__ = [
    "CSVClassificationCorpus",
    "CSVClassificationDataset",
    "ClassificationCorpus",
    "ClassificationDataset",
    "ColumnCorpus",
    "ColumnDataset",
    "DataLoader",
    "FileCorpus",
    "FlairDatapointDataset",
    "JsonlCorpus",
    "JsonlDataset",
    "MultiFileColumnCorpus",
    "MultiFileJsonlCorpus",
    "SentenceDataset",
    "Splits",
    "StringDataset",
    "UniversalDependenciesCorpus",
    "UniversalDependenciesDataset",
    "find_train_dev_test_files",
    "iterate_conllu",
    "read_conllu",
    "read_labelled",
    "read_word_clusters",
    "read_word_numbers",
    "read_word_tags",
]
__all__ += [*prepared.__all__, *prepared_languages.__all__, *treebanks.__all__]

_MODULES = {
    "DataLoader": "flairlite.datasets.data_loader",  # which needs torch
    **dict.fromkeys(("read_word_clusters", "read_word_numbers", "read_word_tags"), "flairlite.datasets.lexicons"),
}


def __getattr__(name: str) -> Any:
    """Import what few programs need when it is requested."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
