"""Settings of the process: the default device, the cache folder and the default seed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from flairlite.checks import folder_path
from flairlite.checks import seed as check_seed
from flairlite.errors import SettingError

if TYPE_CHECKING:  # sentences and corpora work without torch, so it is imported only where it is used
    import torch

_device: torch.device | None = None
_cache_root: Path | None = None
_seed = 0
_is_progress_hidden = ContextVar("is_progress_hidden", default=False)


@contextlib.contextmanager
def hide_progress() -> Iterator[None]:
    """Show no progress on terminals and in notebooks inside the block."""
    token = _is_progress_hidden.set(True)
    try:
        yield
    finally:
        _is_progress_hidden.reset(token)


def is_interactive() -> bool:
    """Return whether progress is shown: standard error is a terminal, or the output of a cell in a notebook."""
    if _is_progress_hidden.get():
        return False
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return "IPKernelApp" in getattr(get_ipython(), "config", ())


def get_device(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or the default device.

    The default is that of `set_device`, else `FLAIRLITE_DEVICE`, else the first CUDA device if there is one, else the
    CPU. In processes that torchrun has started, the CUDA device is that of `LOCAL_RANK`.

    Raises:
        SettingError: If the device is invalid.
    """
    import torch

    if device is not None:
        found = _to_device(device)
        if found.type == "meta":
            raise SettingError("device 'meta' holds no values: use cpu, cuda or cuda:N")
        return found
    if _device is not None:
        return _device
    if name := os.environ.get("FLAIRLITE_DEVICE"):
        return _to_device(name, shown=f"FLAIRLITE_DEVICE={name!r}")
    return torch.device(f"cuda:{_local_rank()}" if torch.cuda.is_available() else "cpu")


def _local_rank() -> int:
    """Return the index of the CUDA device that torchrun means for this process, by default 0."""
    import torch

    rank = os.environ.get("LOCAL_RANK", "0")
    return int(rank) if rank.isdecimal() and int(rank) < torch.cuda.device_count() else 0


def set_device(device: str | torch.device | None) -> None:
    """Set the default device of the process; None restores the automatic choice.

    Raises:
        SettingError: If the device is invalid.
    """
    global _device
    _device = None if device is None else _to_device(device)


def _to_device(device: str | torch.device, *, shown: str = "") -> torch.device:
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingError(f"{shown or repr(device)} is not a device: use cpu, cuda or cuda:N") from error
    if found.type == "cuda":  # not tried, because a process that has used CUDA cannot be forked
        count = torch.cuda.device_count()
        is_available, remedy = (found.index or 0) < count, f"torch finds {count} CUDA devices here"
    else:
        is_available, remedy = _can_allocate(found), "use cpu, cuda or cuda:N"
    if not is_available:
        raise SettingError(f"{shown or repr(device)} is not available: {remedy}")
    return found


def _can_allocate(device: torch.device) -> bool:
    import torch

    try:
        return torch.empty(0, device=device) is not None
    except (AssertionError, NotImplementedError, RuntimeError):  # depending on the type of the device
        return False


def get_cache_root() -> Path:
    """Return the cache folder: that of `set_cache_root`, else `FLAIRLITE_CACHE_ROOT`, else `~/.flairlite`."""
    if _cache_root is not None:
        return _cache_root
    root = os.environ.get("FLAIRLITE_CACHE_ROOT")
    return folder_path("FLAIRLITE_CACHE_ROOT", root) if root else Path.home() / ".flairlite"


def set_cache_root(path: str | Path | None) -> None:
    """Set the cache folder of the process; None restores the default.

    Raises:
        SettingError: If `path` is not a path.
    """
    global _cache_root
    _cache_root = None if path is None else folder_path("the cache folder", path)


def set_seed(seed: int) -> None:
    """Set the default seed of everything random in flairlite.

    Unlike Flair's function of this name, it does not change the global generators of Python, NumPy and torch.

    Raises:
        SettingError: If the seed is not an integer of at most 64 bits.
    """
    global _seed
    if seed is None:
        raise SettingError("the default seed must be an integer, such as 0, not None")
    _seed = get_seed(seed)


def get_seed(seed: int | None = None) -> int:
    """Return `seed`, or the default seed of the process, which is 0 until `set_seed`.

    Raises:
        SettingError: If the seed is not an integer of at most 64 bits.
    """
    found = check_seed("a seed", seed)
    return _seed if found is None else found


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed torch's global generators inside the block, and restore their state after it.

    Modules are built inside this block, because torch's initialisers use only the global generators.
    """
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(get_seed(seed))
        yield
