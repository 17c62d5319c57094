"""Embeddings by name, for model files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.errors import ModelFileError

if TYPE_CHECKING:
    from flairlite.embeddings.base import Embeddings

_CLASSES: dict[str, type[Embeddings]] = {}
_Class = TypeVar("_Class", bound="type[Embeddings]")


def register_embeddings(kind: _Class) -> _Class:
    """Let model files hold embeddings of a class: a decorator for those of one's own, too.

    To load such a file, a program imports the module of the class first.
    """
    _CLASSES[kind.__name__] = kind
    return kind


def embedding_to_params(embedding: Embeddings, *, whole: bool = True) -> dict[str, Any]:
    """Return an embedding as plain containers and tensors, with the name of its class; see `to_params`."""
    name = type(embedding).__name__
    if _CLASSES.get(name) is not type(embedding):
        raise ModelFileError(
            f"a model file cannot hold {name}: it can hold {', '.join(sorted(_CLASSES))}. "
            "Write @register_embeddings above a class of your own"
        )
    return {"class": name, **embedding.to_params(whole=whole)}


def embedding_from_params(params: Mapping[str, Any]) -> Any:
    """Build an embedding from what `embedding_to_params` returned."""
    name = params.get("class")
    if name not in _CLASSES:
        raise ModelFileError(
            f"the file holds embeddings {name!r}, which this flairlite does not know; upgrade it, or import the module "
            "of the class first where it is your own"
        )
    return _CLASSES[name].from_params({key: params[key] for key in params if key not in ("class", "state_dict")})


def load_embeddings(params: Mapping[str, Any]) -> Any:
    """Build an embedding from what `Embeddings.save_embeddings` returned, with its weights where they are there."""
    embedding = embedding_from_params(params)
    if "state_dict" in params:
        embedding.load_state_dict(params["state_dict"])
    return embedding
