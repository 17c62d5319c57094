"""What the processor that a model is trained on computes fast."""

from __future__ import annotations

from pathlib import Path

import torch

_FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # others convert to float32 and back for each operation
_CPUINFO = Path("/proc/cpuinfo")  # of Linux


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device is a CPU with instructions for bfloat16, with which training is faster than in float32.

    These are AVX512_BF16 and AMX_BF16, by the processor's flags; where the system does not tell, the answer is no.
    """
    return device.type == "cpu" and not _FAST_BFLOAT16.isdisjoint(_flags())


def _flags() -> set[str]:
    """Return the flags of the CPU as Linux names them; torch tells them on other systems, in recent versions."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return {name for name, is_there in known.items() if is_there is True}
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
