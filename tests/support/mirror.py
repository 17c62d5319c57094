"""The data mirror that tests marked `mirror` read."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "mirror"
MIRROR = Path(os.environ.get("FLAIRLITE_MIRROR") or _BESIDE)
