"""The folder with the real data."""

from __future__ import annotations

import os
from pathlib import Path

_SHARED_MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
MIRROR = Path(os.environ.get("FLAIRLITE_MIRROR") or _SHARED_MIRROR)
