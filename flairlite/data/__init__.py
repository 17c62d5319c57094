"""Sentences, labels and corpora: strings only, no tensors."""

from flairlite.data.corpus import Corpus
from flairlite.data.data_points import DataPoint
from flairlite.data.dataset import ConcatDataset, FlairDataset
from flairlite.data.dictionary import Dictionary
from flairlite.data.labels import Label
from flairlite.data.multi_corpus import MultiCorpus
from flairlite.data.sentence import Sentence
from flairlite.data.tag_schemes import get_spans_from_bio
from flairlite.data.tokens import Span, Token

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
