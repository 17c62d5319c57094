"""Servers for all tests of a module."""

from __future__ import annotations

import importlib.util

import pytest

PACKAGES = {"fastapi": "fastapi", "onnxruntime": "onnxruntime", "prometheus_client": "prometheus-client"}
PACKAGES |= {"typer": "typer", "uvicorn": "uvicorn"}
MISSING = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if MISSING and item.path.parent.name == "serving" and item.path.name != "test_batcher.py":
            item.add_marker(pytest.mark.skip(reason=f"{MISSING[0]} is not installed"))
