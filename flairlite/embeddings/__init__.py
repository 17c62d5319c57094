"""Embeddings: words and sentences in, vectors out."""

from flairlite.embeddings.base import (
    DocumentEmbeddings,
    Embeddings,
    TokenEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.character import CharacterEmbeddings
from flairlite.embeddings.document import DocumentPoolEmbeddings, DocumentRNNEmbeddings
from flairlite.embeddings.hashed import HashEmbeddings, SubwordEmbeddings
from flairlite.embeddings.one_hot import OneHotEmbeddings
from flairlite.embeddings.stacked import StackedEmbeddings
from flairlite.embeddings.word import WordEmbeddings

__all__ = [
    "CharacterEmbeddings",
    "DocumentEmbeddings",
    "DocumentPoolEmbeddings",
    "DocumentRNNEmbeddings",
    "Embeddings",
    "HashEmbeddings",
    "OneHotEmbeddings",
    "StackedEmbeddings",
    "SubwordEmbeddings",
    "TokenEmbeddings",
    "WordEmbeddings",
    "load_embeddings",
    "register_embeddings",
]
