"""Stored exported models and their predictions, for tests without torch.

Set FLAIRLITE_EXPORTS to a folder that `make_exports.py` wrote to test its models too.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from flairlite.data import Sentence

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "tests" / "data" / "exports", *map(Path, filter(None, [os.environ.get("FLAIRLITE_EXPORTS")]))]
HAS_TOKENIZERS = importlib.util.find_spec("tokenizers") is not None  # which the files of transformers need
FILES = [
    path
    for folder in FOLDERS
    for path in sorted(folder.glob("*.onnx"))
    if HAS_TOKENIZERS or "transformer" not in path.stem
]
IDS = [f"{path.parent.name}-{path.stem}" for path in FILES]


def check_labels(path: Path, found: list[Sentence]) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(found) == len(expected)
    num_labels = 0
    for sentence, stored in zip(found, expected, strict=True):
        other = Sentence.from_dict(stored)
        assert (sentence.text, sentence.words) == (other.text, other.words)
        pairs = list(zip(sentence.get_labels(), other.get_labels(), strict=True))
        for label, twin in pairs:
            assert (label.value, label.unlabeled_identifier) == (twin.value, twin.unlabeled_identifier)
            assert abs(label.score - twin.score) < 1e-4
        num_labels += len(pairs)
    assert num_labels >= len(expected) - 1


def texts_of(path: Path) -> list[Any]:
    return [sentence["text"] for sentence in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))]
