"""Ids of test parameters."""

from __future__ import annotations

import re
from typing import Any


def show(value: Any) -> str:
    """Return the representation of a value without addresses, so that each process of pytest-xdist has the same ids."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
