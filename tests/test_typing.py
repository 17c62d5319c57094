"""A user's script passes a strict type checker with the installed package, and wrong calls in it do not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flairlite

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")

SCRIPT = """
from pathlib import Path

from flairlite.data import Corpus, Sentence
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import CharacterEmbeddings, StackedEmbeddings, TransformerWordEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.trainers import ModelTrainer
from flairlite.trainers.plugins import TensorboardLogger

corpus: Corpus = SAMPLE_NER()
labels = corpus.make_label_dictionary("ner")
embeddings = StackedEmbeddings([WordEmbeddings("glove-mini"), CharacterEmbeddings()])
tagger = SequenceTagger(embeddings, labels, "ner", hidden_size=8)
result = ModelTrainer(tagger, corpus).train("folder", max_epochs=1, weight_decay=0.1)
score: float | None = result["test_score"]
sentence: Sentence = tagger.predict("Ada lived in London.")
sentences: list[Sentence] = tagger.predict(["Ada lived in London."])
spans: list[tuple[str, str, float]] = [(span.text, span.tag, span.score) for span in sentence.get_spans("ner")]
main_score: float = tagger.evaluate(Path("test.txt")).main_score
loaded: SequenceTagger = SequenceTagger.load("folder/best-model.pt")
record: dict[str, object] | None = loaded.training_record
fine_tuned: bool = TransformerWordEmbeddings("bert-base-uncased").fine_tune
teachers: SoftLabels = SoftLabels.predict([loaded], sentences)
logger = TensorboardLogger("folder")
"""
CONFIGURATION = """
[mypy]
follow_imports = silent
# the types of these large packages are not needed, and take most of the time
[mypy-torch.*,numpy.*]
follow_imports = skip
"""
WRONG = """
import flairlite
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger

tagger = SequenceTagger.load("model.pt")
number: int = tagger.predict("text")
tagger.predict("text", batch=3)
SequenceTagger(WordEmbeddings("glove-mini"), ["NOUN"], "upos")
flairlite.embeddings.LexiconEmbeddings(3)  # imported on first use, and typed nevertheless
"""


def test_scripts_of_users_are_checked(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(CONFIGURATION, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental"]
    environment = {**os.environ, "MYPYPATH": str(Path(flairlite.__file__).parents[1])}
    if "site-packages" in environment["MYPYPATH"]:
        del environment["MYPYPATH"]  # mypy finds installed packages by their py.typed
    process = subprocess.run(
        [*command, "right.py", "wrong.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    lines = dict.fromkeys(line.split(": error:")[0] for line in process.stdout.splitlines() if ": error:" in line)
    assert list(lines) == ["wrong.py:7", "wrong.py:8", "wrong.py:9", "wrong.py:10"], process.stdout
