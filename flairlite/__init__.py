"""flairlite: train and use sequence taggers with Flair's API, several times faster.

`flairlite.device` and `flairlite.cache_root` can be read and assigned; `flairlite.set_seed` sets the default seed.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

from flairlite import errors, runtime
from flairlite.errors import FlairliteError
from flairlite.runtime import set_seed
from flairlite.version import __version__

__all__ = [
    "FlairliteError",
    "__version__",
    "data",
    "datasets",
    "deploy",
    "distributed_utils",
    "embeddings",
    "errors",
    "logger",
    "models",
    "nn",
    "samplers",
    "set_seed",
    "splitter",
    "tokenization",
    "trainers",
    "training_utils",
    "visual",
]

_LAZY = frozenset(  # imported on first access, because no program needs all of them
    (
        "data", "datasets", "deploy", "distributed_utils", "embeddings", "models", "nn", "samplers", "splitter",
        "tokenization", "trainers", "training_utils", "visual",
    )
)  # fmt: skip

if TYPE_CHECKING:
    import torch

    from flairlite import (
        data,
        datasets,
        deploy,
        distributed_utils,
        embeddings,
        models,
        nn,
        samplers,
        splitter,
        tokenization,
        trainers,
        training_utils,
        visual,
    )

    # properties of `_Package`
    device: torch.device
    cache_root: Path

logger = logging.getLogger("flairlite")
logger.addHandler(logging.NullHandler())


class _Package(types.ModuleType):
    """The class of this module, with the two settings that Flair has as attributes of its module."""

    @property
    def device(self) -> torch.device:
        return runtime.get_device()

    @device.setter
    def device(self, device: str | torch.device) -> None:
        runtime.set_device(device)

    @property
    def cache_root(self) -> Path:
        return runtime.get_cache_root()

    @cache_root.setter
    def cache_root(self, path: str | Path) -> None:
        runtime.set_cache_root(path)


def __getattr__(name: str) -> types.ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "device", "cache_root"})


sys.modules[__name__].__class__ = _Package
