"""Embeddings: vectors for words and for sentences."""

from flairlite.embeddings.base import (
    DocumentEmbeddings,
    Embeddings,
    TokenEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.characters import CharacterEmbeddings, FlairCharacterEmbeddings, SubwordEmbeddings
from flairlite.embeddings.document import DocumentCNNEmbeddings, DocumentPoolEmbeddings, DocumentRNNEmbeddings
from flairlite.embeddings.flair import FlairEmbeddings
from flairlite.embeddings.stacked import StackedEmbeddings
from flairlite.embeddings.trained import HashEmbeddings, OneHotEmbeddings
from flairlite.embeddings.transformer import TransformerDocumentEmbeddings, TransformerWordEmbeddings
from flairlite.embeddings.word import WordEmbeddings

__all__ = [
    "CharacterEmbeddings",
    "DocumentCNNEmbeddings",
    "DocumentEmbeddings",
    "DocumentPoolEmbeddings",
    "DocumentRNNEmbeddings",
    "Embeddings",
    "FlairCharacterEmbeddings",
    "FlairEmbeddings",
    "HashEmbeddings",
    "OneHotEmbeddings",
    "StackedEmbeddings",
    "SubwordEmbeddings",
    "TokenEmbeddings",
    "TransformerDocumentEmbeddings",
    "TransformerWordEmbeddings",
    "WordEmbeddings",
    "load_embeddings",
    "register_embeddings",
]
