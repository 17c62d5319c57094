"""The code of each page of the documentation runs, and prints what the page shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pages import PACKAGES, Block, assert_printed, read_blocks, run_page

from flairlite.download import bundled_path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
