"""Embeddings by name, for model files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.embeddings.base import TokenEmbeddings
from flairlite.embeddings.stacked import StackedEmbeddings
from flairlite.embeddings.word import WordEmbeddings
from flairlite.errors import ModelFileError

_CLASSES: dict[str, type[TokenEmbeddings]] = {
    "StackedEmbeddings": StackedEmbeddings,
    "WordEmbeddings": WordEmbeddings,
}


def embedding_to_params(embedding: TokenEmbeddings, *, whole: bool = True) -> dict[str, Any]:
    """Return an embedding as plain containers and tensors, with the name of its class; see `to_params`."""
    name = type(embedding).__name__
    if _CLASSES.get(name) is not type(embedding):
        raise ModelFileError(f"a model file cannot hold {name}: it can hold {', '.join(_CLASSES)}")
    return {"class": name, **embedding.to_params(whole=whole)}


def embedding_from_params(params: Mapping[str, Any]) -> TokenEmbeddings:
    """Build an embedding from what `embedding_to_params` returned."""
    name = params.get("class")
    if name not in _CLASSES:
        raise ModelFileError(f"the file holds embeddings {name!r}, which this flairlite does not know; upgrade it")
    return _CLASSES[name].from_params(params)
