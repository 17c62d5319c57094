"""The packages of the extra `serve`."""

from __future__ import annotations

import importlib.util

from flairlite.errors import MissingExtraError

_PACKAGES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}  # by module


def check_extra() -> None:
    """Check that the packages are installed.

    Raises:
        MissingExtraError: If one is missing.
    """
    if missing := [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]:
        raise MissingExtraError(f"serving models needs {' and '.join(missing)}", extra="serve")
