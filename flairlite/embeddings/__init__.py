"""Embeddings: words in, vectors out."""

from flairlite.embeddings.base import TokenEmbeddings
from flairlite.embeddings.stacked import StackedEmbeddings
from flairlite.embeddings.word import WordEmbeddings

__all__ = ["StackedEmbeddings", "TokenEmbeddings", "WordEmbeddings"]
