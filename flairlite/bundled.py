"""Data that comes with the library, so that everything runs without a network."""

from __future__ import annotations

from pathlib import Path

from flairlite.errors import DataUnavailableError

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the path of a bundled file or folder, in an installed wheel or in a checkout.

    Raises:
        DataUnavailableError: when it is not there.
    """
    for root in (_PACKAGE / "resources", _PACKAGE.parent / "resources"):
        if (root / name).exists():
            return root / name
    raise DataUnavailableError(f"the bundled data {name!r} is missing beside {_PACKAGE}: install flairlite again")
