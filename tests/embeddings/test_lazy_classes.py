"""Classes of embeddings are imported on first use, and files that name them are read as if all were imported."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import flairlite
from flairlite import embeddings
from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    Embeddings,
    FlairCharacterEmbeddings,
    HashEmbeddings,
    LexiconEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.embeddings.modules import MODULES

ABSTRACT = {"DocumentEmbeddings", "Embeddings", "TokenEmbeddings"}

LOAD = """
import sys
import torch
from flairlite.data import Sentence
from flairlite.embeddings import load_embeddings

assert not {f"flairlite.embeddings.{name}" for name in ("lexicon", "stacked", "word")} & set(sys.modules)
loaded = load_embeddings(torch.load("stack.pt", weights_only=True))
(sentence,) = loaded.embed(Sentence("Ada lives in London"))
expected = torch.load("vectors.pt", weights_only=True)
assert torch.equal(torch.stack([token.get_embedding(loaded.get_names()) for token in sentence]), expected)
"""
REGISTER = """
import sys
from flairlite.embeddings import TokenEmbeddings, register_embeddings
from flairlite.errors import SettingError

assert "flairlite.embeddings.lexicon_embeddings" not in sys.modules
try:
    @register_embeddings
    class LexiconEmbeddings(TokenEmbeddings):
        pass
except SettingError as error:
    print(error)
"""


def run(script: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(flairlite.__file__).parents[1])}
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_table_has_the_module_of_each_class() -> None:
    found = {name: getattr(embeddings, name) for name in embeddings.__all__ if name not in ABSTRACT}
    classes = {
        name: kind.__module__ for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, Embeddings)
    }
    assert classes == MODULES
    for name, module in MODULES.items():
        assert getattr(importlib.import_module(module), name) is found[name]


def test_dir_lists_classes_that_are_not_imported_yet() -> None:
    assert set(dir(embeddings)) >= set(embeddings.__all__)
    with pytest.raises(AttributeError, match="no attribute 'WordEmbedding'"):
        _ = embeddings.WordEmbedding


def test_a_file_is_read_by_a_process_that_imported_none_of_its_classes(tmp_path: Path) -> None:
    parts = [
        WordEmbeddings({"Ada": [1.0, 2.0], "London": [0.5, 0.25]}, name="words"),
        LexiconEmbeddings({"Ada": "PROPN", "in": ["ADP", "ADV"]}),
        ClusterEmbeddings({"Ada": "0110", "London": "0111", "in": "10"}),
        CharacterEmbeddings(),
        CharacterCNNEmbeddings(),
        FlairCharacterEmbeddings(),
        AffixEmbeddings(),
        SubwordEmbeddings(),
        WordShapeEmbeddings(),
        HashEmbeddings(num_embeddings=50),
    ]
    stack = StackedEmbeddings(parts).eval()
    torch.save(stack.save_embeddings(), tmp_path / "stack.pt")
    (sentence,) = stack.embed(Sentence("Ada lives in London"))
    vectors = torch.stack([token.get_embedding(stack.get_names()) for token in sentence])
    torch.save(vectors, tmp_path / "vectors.pt")
    run(LOAD, tmp_path)


def test_a_class_of_another_module_cannot_take_a_name_that_is_not_imported_yet(tmp_path: Path) -> None:
    message = "LexiconEmbeddings of __main__ have the name of a class of flairlite.embeddings.lexicon_embeddings"
    assert message in run(REGISTER, tmp_path)


def test_the_classes_that_a_file_can_hold_are_all_named() -> None:
    class Own(OneHotEmbeddings):
        pass

    own = Own(Dictionary(), field="upos")
    with pytest.raises(
        flairlite.errors.ModelFileError, match=r"can hold AffixEmbeddings, .*, TransformerWordEmbeddings"
    ):
        own.save_embeddings()
