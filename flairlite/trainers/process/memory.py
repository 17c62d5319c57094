"""The memory that the process has used."""

from __future__ import annotations

import sys

import torch


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the largest memory that the process has used so far, in bytes.

    Args:
        device: The device of the model.

    Returns:
        `host`, where the system tells it, and for CUDA `device`, the memory of tensors there.
    """
    found: dict[str, int] = {}
    try:
        import resource  # not on Windows
    except ImportError:
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        found["host"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if device.type == "cuda":
        found["device"] = torch.cuda.max_memory_allocated(device)
    return found
