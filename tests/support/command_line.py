"""Run the command `flairlite`, in this process or in one of its own, and small models to run it with."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flairlite.data import Dictionary
from flairlite.embeddings import DocumentPoolEmbeddings, HashEmbeddings
from flairlite.models import SequenceTagger, TextClassifier

ROOT = Path(__file__).resolve().parents[2]
HAS_TYPER = importlib.util.find_spec("typer") is not None
needs_typer = pytest.mark.skipif(not HAS_TYPER, reason="typer is not installed")


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output."""
        return self.raw.decode()


def invoke(*arguments: object, stdin: bytes | str = b"") -> Outcome:
    """Run the command in this process."""
    from typer.testing import CliRunner

    from flairlite.cli.app import app

    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout_bytes, result.stderr)


def fail(*arguments: object, stdin: bytes | str = b"") -> str:
    """Run a command that must fail with exit code 2 and one line, and return this line."""
    outcome = invoke(*arguments, stdin=stdin)
    assert outcome.code == 2, outcome
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("flairlite: ")
    assert "Traceback" not in outcome.err
    return outcome.err.strip()


def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, "-m", "flairlite", *map(str, arguments)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, **{**pipes, **options})


def make_models(folder: Path) -> dict[str, Path]:
    """Write untrained models that label words, spans and texts, and return their files by what they label."""
    words = Dictionary.from_items(["<unk>", "NOUN", "VERB", "DET", "PUNCT"])
    spans = Dictionary.from_items(["<unk>", "LOC", "PER"])
    spans.span_labels = True
    classes = Dictionary.from_items(["<unk>", "good", "bad"])
    embeddings = HashEmbeddings(64, 8, seed=1)
    tagger = SequenceTagger(embeddings, words, "upos", hidden_size=8, reproject_embeddings=False, seed=1)
    ner = SequenceTagger(embeddings, spans, "ner", hidden_size=8, reproject_embeddings=False, seed=2)
    classifier = TextClassifier(DocumentPoolEmbeddings([embeddings]), "quality", classes, seed=3)
    files = {name: folder / f"{name}.pt" for name in ("words", "spans", "texts")}
    for file, model in zip(files.values(), (tagger, ner, classifier), strict=True):
        model.save(file)
    return files
