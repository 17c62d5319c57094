"""Models for all tests of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import make_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained models that label words, spans and texts."""
    return make_models(tmp_path_factory.mktemp("models"))
