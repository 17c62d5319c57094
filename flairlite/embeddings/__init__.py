"""Embeddings: vectors for words and for sentences."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flairlite.embeddings.base import (
    DocumentEmbeddings,
    Embeddings,
    TokenEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.modules import MODULES

if TYPE_CHECKING:
    from flairlite.embeddings.characters import CharacterCNNEmbeddings, CharacterEmbeddings, FlairCharacterEmbeddings
    from flairlite.embeddings.document import DocumentCNNEmbeddings, DocumentPoolEmbeddings, DocumentRNNEmbeddings
    from flairlite.embeddings.flair import FlairEmbeddings
    from flairlite.embeddings.lexicon_embeddings import ClusterEmbeddings, LexiconEmbeddings
    from flairlite.embeddings.pooled_flair import PooledFlairEmbeddings
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
    "PooledFlairEmbeddings",
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

_MODULES = {**MODULES, "WordVectors": "flairlite.embeddings.vectors"}


def __getattr__(name: str) -> Any:
    """Import a class when it is requested: no program needs all of them."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
