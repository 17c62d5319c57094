"""Sentences, labels and corpora: strings only, no tensors."""

from flairlite.data.corpus import Corpus, MultiCorpus
from flairlite.data.data_points import DataPoint, Span, Token
from flairlite.data.dataset import ConcatDataset, FlairDataset
from flairlite.data.dictionary import Dictionary
from flairlite.data.labels import Label
from flairlite.data.sentence import Sentence
from flairlite.data.tag_schemes import get_spans_from_bio

__all__ = [
    "ConcatDataset",
    "Corpus",
    "DataPoint",
    "Dictionary",
    "FlairDataset",
    "Label",
    "MultiCorpus",
    "Sentence",
    "Span",
    "Token",
    "get_spans_from_bio",
]
