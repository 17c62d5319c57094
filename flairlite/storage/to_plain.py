"""Convert content to the plain containers and tensors that a model file may hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from flairlite.errors import ModelFileError
from flairlite.storage.pickle_inspector import DTYPES

_DTYPES = {getattr(torch, name) for name, _ in DTYPES.values()}


def to_plain(content: Any, *, location: str = "") -> Any:
    """Return content as a model file may hold it: NumPy scalars become Python's, parameters become tensors.

    Args:
        content: Containers, strings, numbers and tensors.
        location: Where in the file the content is, such as `.settings.dropout`, for error messages.

    Raises:
        ModelFileError: If the content has anything else, such as a path or an object of a class.
    """
    if isinstance(content, torch.Tensor):
        return _to_plain_tensor(content, location)
    if isinstance(content, Mapping):
        copy = OrderedDict()
        for key, value in content.items():
            if type(key) not in (str, int):
                raise _not_plain(key, location)
            copy[key] = to_plain(value, location=f"{location}.{key}")
        if not hasattr(content, "_metadata"):  # torch keeps the versions of modules in this attribute of state dicts
            return dict(copy)
        copy._metadata = content._metadata  # type: ignore[attr-defined]
        return copy
    if isinstance(content, (list, tuple)):
        items = [to_plain(value, location=f"{location}[{index}]") for index, value in enumerate(content)]
        return items if isinstance(content, list) else tuple(items)
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, str):
        return str.__str__(content)  # `str` would return the name of a member of an enumeration
    for kind in (int, float):
        if isinstance(content, kind):
            return kind(content)
    if isinstance(content, (np.integer, np.floating, np.bool_)):
        return content.item()
    raise _not_plain(content, location)


def _to_plain_tensor(tensor: torch.Tensor, location: str) -> torch.Tensor:
    if tensor.layout != torch.strided or tensor.dtype not in _DTYPES:
        raise ModelFileError(
            f"a model file cannot hold the tensor {location[1:]}, which is {tensor.layout} {tensor.dtype}"
        )
    tensor = tensor.detach()
    is_expanded = tensor.numel() > tensor.untyped_storage().nbytes() // tensor.itemsize
    return tensor.contiguous() if is_expanded else tensor


def _not_plain(content: Any, location: str) -> ModelFileError:
    return ModelFileError(
        f"a model file cannot hold a {type(content).__name__} ({location[1:]}), only strings, numbers, tensors, and "
        "lists and dictionaries of them: let settings, to_params and state_dict return these"
    )
