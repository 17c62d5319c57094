"""A forked child of a process that has computed with several threads can compute too, and does not hang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import flairlite

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# Each script runs in a process of its own: torch's threads must be started before the fork, and a hanging child must
# not outlive the test. `run_child` fails the script if the child hangs.
PRELUDE = """
import multiprocessing, os, signal, sys, tempfile, threading, time
import numpy as np
import torch
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.nn.functional import evaluating
from flairlite.trainers import ModelTrainer

signal.alarm(100)
torch.set_num_threads(2)
WORDS = [f"w{index}" for index in range(60)]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).standard_normal((60, 50)))
LABELS = Dictionary.from_items(["A", "B"])

def make_sentences(count=40):
    return [Sentence(WORDS).set_token_labels("pos", ["A", "B"] * 30) for _ in range(count)]

def make_tagger():
    return SequenceTagger(WordEmbeddings(VECTORS), LABELS, "pos", hidden_size=128, seed=1)

def train(tagger):
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(make_sentences(20), make_sentences(4), [])
        ModelTrainer(tagger, corpus).train(folder, max_epochs=1, mini_batch_size=16)

def predict_labels(count=1):
    sentences = tagger.predict([Sentence(WORDS) for _ in range(count)])
    return [label.value for label in sentences[0].get_labels("pos")]

def run_child(function):
    child = os.fork()
    if child == 0:
        signal.alarm(40)
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, "the child failed or hung"

tagger = make_tagger()
expected = predict_labels(40)  # starts torch's threads

def check_prediction(count=1):
    assert predict_labels(count) == expected
"""

SCRIPTS = {
    "after prediction": """
run_child(check_prediction)
run_child(lambda: check_prediction(40))
run_child(lambda: tagger.evaluate(make_sentences()))
run_child(lambda: tagger.embeddings.embed(make_sentences()))
run_child(lambda: tagger.n_best(" ".join(WORDS), 2))
run_child(lambda: train(make_tagger()))
check_prediction(40)
""",
    "nested": """
run_child(lambda: (check_prediction(), run_child(check_prediction), check_prediction(40)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(predict_labels, [1, 5, 40]) == [expected] * 3
""",
    "after training and evaluation": """
train(make_tagger())
run_child(check_prediction)
run_child(lambda: train(make_tagger()))
tagger.evaluate(make_sentences())
run_child(lambda: tagger.evaluate(make_sentences()))
classifier = TextClassifier(DocumentPoolEmbeddings(WordEmbeddings(VECTORS)), "topic", LABELS)
texts = [" ".join(WORDS)] * 40
classifier.predict(texts)
run_child(lambda: classifier.predict(texts))
assert torch.get_num_threads() == 2, "the parent keeps its threads"
""",
    "while threads evaluate": """
tagger.train()
with evaluating(tagger):
    child = os.fork()
if child == 0:
    os._exit(not tagger.training)
assert tagger.training
assert os.waitpid(child, 0)[1] == 0

entered, leave, stop = threading.Event(), threading.Event(), threading.Event()
def evaluate():
    with evaluating(tagger):
        entered.set()
        leave.wait()
thread = threading.Thread(target=evaluate)
thread.start()
entered.wait()
def check_mode():
    assert tagger.training, "the other thread does not exist in the child, so it cannot restore the mode"
    with evaluating(tagger):
        assert not tagger.training
    assert tagger.training
run_child(check_mode)
assert not tagger.training
leave.set()
thread.join()
assert tagger.training

modules = [torch.nn.Linear(1, 1) for _ in range(4)]
def switch(module):
    while not stop.is_set():
        with evaluating(module):
            pass
threads = [threading.Thread(target=switch, args=[module]) for module in modules]
for thread in threads:
    thread.start()
def check_modes():
    for module in modules:
        with evaluating(module):
            pass
        assert module.training
try:
    for _ in range(20):
        run_child(check_modes)
finally:
    stop.set()
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_forked_child_computes(name: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",  # waiting threads do not take the processor from others
        "FLAIRLITE_DEVICE": "cpu",
        "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + SCRIPTS[name]],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
