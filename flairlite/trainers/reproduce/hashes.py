"""Descriptions and hashes of models, which tell whether a run continues with the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flairlite.embeddings.base import embedding_to_params
from flairlite.models import Model


def describe_model(model: Model) -> dict[str, Any]:
    """Return the class of a model, its settings and its embeddings, with a hash in place of each tensor."""
    embeddings = _hash_tensors(embedding_to_params(model.embeddings))
    return {"class": type(model).__name__, "settings": _hash_tensors(model.settings()), "embeddings": embeddings}


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of all tensors with their names."""
    digest = hashlib.sha256()
    for name, weight in weights.items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(_bytes_of(weight))
    return digest.hexdigest()


def find_differences(current: Any, previous: Any, name: str = "") -> list[str]:
    """Describe the differences of two nested dictionaries, such as `settings.hidden_size is 128 and was 256`."""
    if isinstance(current, Mapping) and isinstance(previous, Mapping):
        return [
            text
            for key in dict.fromkeys((*previous, *current))
            for text in find_differences(current.get(key), previous.get(key), f"{name}.{key}".strip("."))
        ]
    if current == previous:
        return []
    if isinstance(current, list) and isinstance(previous, list):
        added = [item for item in current if item not in previous]
        removed = [item for item in previous if item not in current]
        changes = [
            f"{verb} {', '.join(map(_shorten, items))}" for verb, items in (("has", added), ("lacks", removed)) if items
        ]
        return [f"{name} {' and '.join(changes) or 'is in another order'}"]
    return [f"{name} is {_shorten(current)} and was {_shorten(previous)}"]


def _hash_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return hashlib.sha256(_bytes_of(value)).hexdigest()
    if isinstance(value, Mapping):
        return {str(key): _hash_tensors(item) for key, item in value.items()}  # JSON objects have string keys only
    return [_hash_tensors(item) for item in value] if isinstance(value, (list, tuple)) else value


def _bytes_of(tensor: Tensor) -> Any:
    """Return the memory of a tensor as bytes, because NumPy lacks some of torch's dtypes, such as bfloat16."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
