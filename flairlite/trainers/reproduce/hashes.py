"""What a model and its data are, in a few lines: to see whether a run goes on, or is repeated, with the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from flairlite.embeddings.base import embedding_to_params
from flairlite.models import Model
from flairlite.trainers.splits import Split


def describe_model(model: Model) -> dict[str, Any]:
    """Return the class of a model, its settings and its embeddings, with a hash in place of each tensor."""
    embeddings = _without_tensors(embedding_to_params(model.embeddings))
    return {"class": type(model).__name__, "settings": _without_tensors(model.settings()), "embeddings": embeddings}


def describe_split(split: Split, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Return how many sentences and words a split has, and a hash of all that training sees of it.

    Args:
        split: The split.
        fields: The label types of tokens that the embeddings look at.
    """
    digest = hashlib.sha256("\n".join(split.gold.labels).encode())
    num_words = 0
    for sentence in split.sentences:
        num_words += len(sentence.words)
        columns = [sentence.words, *(sentence.token_labels(field) or () for field in fields)]
        text = "\x1d".join("\x1f".join(value or "" for value in column) for column in columns)
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")
    digest.update(_bytes(split.gold.targets.class_ids))
    return {"sentences": len(split.sentences), "words": num_words, "sha256": digest.hexdigest()}


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the sha256 of all tensors with their names."""
    digest = hashlib.sha256()
    for name, weight in weights.items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(_bytes(weight))
    return digest.hexdigest()


def differences(now: Any, before: Any, name: str = "") -> list[str]:
    """Name what is not the same in two nested dictionaries, as in `settings.hidden_size is 128 and was 256`."""
    if isinstance(now, Mapping) and isinstance(before, Mapping):
        keys = dict.fromkeys((*before, *now))
        return [text for key in keys for text in differences(now.get(key), before.get(key), f"{name}.{key}".strip("."))]
    if isinstance(now, list) and isinstance(before, list) and now != before:
        more, less = [item for item in now if item not in before], [item for item in before if item not in now]
        changes = [
            f"{verb} {', '.join(map(_short, items))}" for verb, items in (("has", more), ("lacks", less)) if items
        ]
        return [f"{name} {' and '.join(changes) or 'is in another order'}"]
    return [] if now == before else [f"{name} is {_short(now)} and was {_short(before)}"]


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return hashlib.sha256(_bytes(value)).hexdigest()
    if isinstance(value, Mapping):
        return {str(key): _without_tensors(item) for key, item in value.items()}  # as JSON has it
    return [_without_tensors(item) for item in value] if isinstance(value, (list, tuple)) else value


def _bytes(tensor: Tensor) -> Any:
    """Return the memory of a tensor; numpy knows not all of torch's types, but bytes."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
