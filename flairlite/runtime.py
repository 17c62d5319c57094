"""What holds for a whole process: the default device, the cache folder and the default seed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flairlite.errors import SettingError

if TYPE_CHECKING:  # torch is imported where it is used: sentences and corpora need none
    import torch

_device: torch.device | None = None
_cache_root: Path | None = None
_seed = 0


def get_device(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or the default: as set, else `FLAIRLITE_DEVICE`, else CUDA when there is one, else the CPU."""
    import torch

    if device is not None:
        return _to_device(device)
    if _device is not None:
        return _device
    if name := os.environ.get("FLAIRLITE_DEVICE"):
        return _to_device(name, shown=f"FLAIRLITE_DEVICE={name!r}")
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def set_device(device: str | torch.device | None) -> None:
    """Set the default device of the process; None returns to the automatic choice."""
    global _device
    _device = None if device is None else _to_device(device)


def _to_device(device: str | torch.device, *, shown: str = "") -> torch.device:
    import torch

    try:
        return torch.device(device)
    except RuntimeError as error:
        raise SettingError(f"{shown or repr(device)} is no device: use cpu, cuda or cuda:N") from error


def get_cache_root() -> Path:
    """Return the cache folder: as set, else `FLAIRLITE_CACHE_ROOT`, else `~/.flairlite`."""
    if _cache_root is not None:
        return _cache_root
    root = os.environ.get("FLAIRLITE_CACHE_ROOT")
    return Path(root).expanduser() if root else Path.home() / ".flairlite"


def set_cache_root(path: str | Path | None) -> None:
    """Set the cache folder of the process; None returns to the environment's or the default one."""
    global _cache_root
    _cache_root = None if path is None else Path(path)


def set_seed(seed: int) -> None:
    """Set the seed that everything random in flairlite starts from unless it is given one of its own.

    Unlike Flair's function of this name, it leaves the global generators of Python, numpy and torch as they are.
    """
    global _seed
    _seed = int(seed)


def get_seed(seed: int | None = None) -> int:
    """Return `seed`, or the process's default seed (0 until `set_seed`)."""
    return _seed if seed is None else int(seed)


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from torch's generators as if freshly seeded, and leave their state as it was.

    torch's initialisers know only the global generator, so modules are built inside this.
    """
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(get_seed(seed))
        yield
