"""Convert content to the plain containers and tensors that a model file may hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from flairlite.errors import ModelFileError
from flairlite.storage.pickle_inspector import DTYPES


def plain(content: Any, *, place: str = "") -> Any:
    """Return content as a model file may hold it: numbers of numpy become Python's, parameters become tensors.

    Args:
        content: Containers, texts, numbers and tensors.
        place: Where in the file it is, for messages.

    Raises:
        ModelFileError: when there is anything else in it, a path, say, or an object of a class.
    """
    if isinstance(content, torch.Tensor):
        return _plain_tensor(content, place)
    if isinstance(content, Mapping):
        copy = OrderedDict(
            (_plain_key(key, place), plain(value, place=f"{place}.{key}")) for key, value in content.items()
        )
        if not hasattr(content, "_metadata"):  # versions of the modules, which torch keeps beside their weights
            return dict(copy)
        copy._metadata = content._metadata  # type: ignore[attr-defined]
        return copy
    if isinstance(content, (list, tuple)):
        items = [plain(value, place=f"{place}[{number}]") for number, value in enumerate(content)]
        return items if isinstance(content, list) else tuple(items)
    if content is None or isinstance(content, bool):
        return content
    for kind in (str, int, float):
        if isinstance(content, kind):
            return kind(content)
    if isinstance(content, (np.integer, np.floating, np.bool_)):
        return content.item()
    raise _not_plain(content, place)


def _plain_tensor(tensor: torch.Tensor, place: str) -> torch.Tensor:
    if tensor.layout != torch.strided or tensor.dtype not in DTYPES.values():
        raise ModelFileError(
            f"a model file cannot hold the tensor {place[1:]}, which is {tensor.layout} {tensor.dtype}"
        )
    tensor = tensor.detach()
    room = tensor.untyped_storage().nbytes() // tensor.itemsize
    return (
        tensor if tensor.numel() <= room else tensor.contiguous()
    )  # what is expanded has fewer elements than it shows


def _plain_key(key: Any, place: str) -> Any:
    if type(key) not in (str, int):
        raise _not_plain(key, place)
    return key


def _not_plain(content: Any, place: str) -> ModelFileError:
    return ModelFileError(
        f"a model file cannot hold a {type(content).__name__} ({place[1:]}), only texts, numbers, tensors, and lists "
        "and dictionaries of them: let settings, to_params and state_dict return these"
    )
