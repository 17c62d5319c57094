"""Embeddings: vectors for words and for sentences."""

from flairlite.embeddings.base import (
    DocumentEmbeddings,
    Embeddings,
    TokenEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.characters import CharacterCNNEmbeddings, CharacterEmbeddings, FlairCharacterEmbeddings
from flairlite.embeddings.document import DocumentCNNEmbeddings, DocumentPoolEmbeddings, DocumentRNNEmbeddings
from flairlite.embeddings.flair import FlairEmbeddings
from flairlite.embeddings.lexicon_embeddings import ClusterEmbeddings, LexiconEmbeddings
from flairlite.embeddings.shapes import WordShapeEmbeddings
from flairlite.embeddings.stacked import StackedEmbeddings
from flairlite.embeddings.subwords import AffixEmbeddings, SubwordEmbeddings
from flairlite.embeddings.trained import HashEmbeddings, OneHotEmbeddings
from flairlite.embeddings.transformer import TransformerDocumentEmbeddings, TransformerWordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.embeddings.word import WordEmbeddings

__all__ = [
    "AffixEmbeddings",
    "CharacterCNNEmbeddings",
    "CharacterEmbeddings",
    "ClusterEmbeddings",
    "DocumentCNNEmbeddings",
    "DocumentEmbeddings",
    "DocumentPoolEmbeddings",
    "DocumentRNNEmbeddings",
    "Embeddings",
    "FlairCharacterEmbeddings",
    "FlairEmbeddings",
    "HashEmbeddings",
    "LexiconEmbeddings",
    "OneHotEmbeddings",
    "StackedEmbeddings",
    "SubwordEmbeddings",
    "TokenEmbeddings",
    "TransformerDocumentEmbeddings",
    "TransformerWordEmbeddings",
    "WordEmbeddings",
    "WordShapeEmbeddings",
    "WordVectors",
    "load_embeddings",
    "register_embeddings",
]
