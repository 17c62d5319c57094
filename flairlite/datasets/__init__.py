"""Readers of data files, and prepared corpora."""

from flairlite.datasets.base import DataLoader, FlairDatapointDataset, SentenceDataset, StringDataset
from flairlite.datasets.conllu import iterate_conllu, read_conllu
from flairlite.datasets.document_classification import (
    ClassificationCorpus,
    ClassificationDataset,
    CSVClassificationCorpus,
    CSVClassificationDataset,
)
from flairlite.datasets.sample import SAMPLE_ENGLISH, SAMPLE_NER, SAMPLE_REVIEWS, SAMPLE_TOPICS
from flairlite.datasets.sequence_labeling import (
    ColumnCorpus,
    ColumnDataset,
    JsonlCorpus,
    JsonlDataset,
    MultiFileColumnCorpus,
    MultiFileJsonlCorpus,
)
from flairlite.datasets.splits import find_train_dev_test_files
from flairlite.datasets.treebanks import UD_ENGLISH

__all__ = [
    "SAMPLE_ENGLISH",
    "SAMPLE_NER",
    "SAMPLE_REVIEWS",
    "SAMPLE_TOPICS",
    "UD_ENGLISH",
    "CSVClassificationCorpus",
    "CSVClassificationDataset",
    "ClassificationCorpus",
    "ClassificationDataset",
    "ColumnCorpus",
    "ColumnDataset",
    "DataLoader",
    "FlairDatapointDataset",
    "JsonlCorpus",
    "JsonlDataset",
    "MultiFileColumnCorpus",
    "MultiFileJsonlCorpus",
    "SentenceDataset",
    "StringDataset",
    "find_train_dev_test_files",
    "iterate_conllu",
    "read_conllu",
]
