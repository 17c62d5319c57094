"""Programs that run for long: memory, open files, warnings, threads, and the program's configuration of logging.

`FLAIRLITE_LONG=1 python -m pytest -p no:logging tests/trainers/test_long_runs.py` predicts 10,000 times and trains for
200 epochs.
"""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from model_files import make_tagger

import flairlite
from flairlite.data import Corpus, Sentence
from flairlite.lookup import words
from flairlite.models import SequenceTagger
from flairlite.tokenization import rules
from flairlite.trainers import ModelTrainer

IS_LONG = os.environ.get("FLAIRLITE_LONG", "") not in ("", "0")
PREDICTIONS, EPOCHS = (10_000, 200) if IS_LONG else (600, 12)

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux reports a process's memory")


def resident() -> int:
    """Return the bytes that the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def num_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a directory that changes as it is read


def assert_flat(step: Callable[[int], object], count: int, *, growth: int, room: int = 64 << 20) -> None:
    """Check the memory of a process that takes many steps.

    Args:
        step: Takes a step.
        count: The number of steps; growth is measured in the last third of them.
        growth: The limit of the growth per step of the memory that Python allocates, in bytes.
        room: The limit of the growth of the process's memory, in bytes.
    """
    third = count // 3
    for index in range(third):
        step(index)
    tracemalloc.start()
    try:
        for index in range(third, 2 * third):  # what replaces untraced entries of caches is not growth
            step(index)
        gc.collect()
        before, resident_before, descriptors = tracemalloc.get_traced_memory()[0], resident(), num_descriptors()
        for index in range(2 * third, count):
            step(index)
        gc.collect()
        grown = (tracemalloc.get_traced_memory()[0] - before) / (count - 2 * third)
    finally:
        tracemalloc.stop()
    assert grown < growth, f"{grown:,.0f} bytes more per step"
    assert resident() - resident_before < room
    assert num_descriptors() == descriptors


@needs_proc
def test_memory_and_open_files_stay_the_same_over_many_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prediction has words that the model has not seen before, of which a bounded number is kept."""
    monkeypatch.setattr(words, "_MAX_CACHED_ROWS", 100)
    monkeypatch.setattr(rules, "_split_cached", functools.lru_cache(maxsize=100)(rules._split_chunk))
    tagger = make_tagger()

    def predict(index: int) -> None:
        texts = [f"the dog{index} sleeps {index} times .", f"word{index}", ""]
        assert len(tagger.predict(texts)) == 3

    assert_flat(predict, PREDICTIONS, growth=200)


@needs_proc
def test_memory_and_open_files_stay_the_same_over_many_loaded_models(tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model.pt")

    def load(index: int) -> None:
        SequenceTagger.load(tmp_path / "model.pt").predict("the dog")

    assert_flat(load, 200 if IS_LONG else 30, growth=4_000 if IS_LONG else 26_000)


@needs_proc
def test_memory_and_open_files_stay_the_same_over_many_epochs(sample: Corpus, tmp_path: Path) -> None:
    """Only the history grows, by some numbers per epoch."""
    corpus = Corpus(list(sample.train or ())[:20], list(sample.dev or ())[:5])
    tagger = SequenceTagger(make_tagger().embeddings, corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
    seen: list[tuple[int, int, int]] = []

    class Watch(flairlite.trainers.Callback):
        def on_epoch_end(self, state: object) -> None:
            gc.collect()
            seen.append((tracemalloc.get_traced_memory()[0], resident(), num_descriptors()))

    tracemalloc.start()
    try:
        ModelTrainer(tagger, corpus).train(
            tmp_path, max_epochs=EPOCHS, patience=EPOCHS, mini_batch_size=8, plugins=[Watch()], seed=0
        )
    finally:
        tracemalloc.stop()
    assert len(seen) == EPOCHS
    middle, last = seen[EPOCHS // 2], seen[-1]
    assert last[0] - middle[0] < 100_000 + 1_000 * EPOCHS
    assert last[1] - middle[1] < 64 << 20
    assert last[2] == middle[2]


class TestThreads:
    @pytest.mark.parametrize("is_training", [False, True])
    def test_predictions_of_eight_threads_equal_those_of_one(self, is_training: bool, sample: Corpus) -> None:
        """A model in training mode is in evaluation mode only while a thread predicts."""
        tagger = make_tagger(dropout=0.3).train(is_training)
        texts = [sentence.text for sentence in (sample.test or ())[:40]]
        expected = [self.labels(tagger, text) for text in texts]
        barrier = threading.Barrier(8)

        def work(worker: int) -> list[list[tuple[str, float]]]:
            barrier.wait()
            return [self.labels(tagger, text) for text in (texts if worker % 2 else reversed(texts))]

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(work, range(8)))
        for worker, result in enumerate(results):
            assert (result if worker % 2 else result[::-1]) == expected
        assert tagger.training is is_training

    @staticmethod
    def labels(tagger: SequenceTagger, text: str) -> list[tuple[str, float]]:
        return [(label.value, label.score) for label in tagger.predict(Sentence(text)).get_labels("upos")]


SCRIPT = """
import json, logging, sys
root = logging.getLogger()
mine = logging.StreamHandler(sys.stderr)
mine.setFormatter(logging.Formatter("mine %(message)s"))
root.addHandler(mine)
root.setLevel(logging.ERROR)
other = logging.getLogger("other")
other.setLevel(logging.DEBUG)

def state():
    loggers = {name: logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict)}
    own = {name: (log.level, log.propagate, log.disabled, len(log.handlers)) for name, log in loggers.items()
           if name == "other" or name.startswith("flairlite")}
    return [root.level, len(root.handlers), root.handlers[0] is mine, mine.level, logging.root.manager.disable,
            logging.raiseExceptions, logging.lastResort is not None, own]

before = state()[:7]
from flairlite.data import Corpus
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer
assert state()[:7] == before, state()
imported = state()
corpus = SAMPLE_ENGLISH()
corpus = Corpus(corpus.train[:20], corpus.dev[:5], corpus.test[:5])
tagger = SequenceTagger(WordEmbeddings("glove-mini"), corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
ModelTrainer(tagger, corpus).train(sys.argv[1], max_epochs=2, mini_batch_size=8, tune_process=True)
SequenceTagger.load(sys.argv[1] + "/final-model.pt").predict("The dog sleeps.")
assert state() == imported, (state(), imported)
print("untouched")
"""


def test_run_warns_of_nothing_and_leaves_the_configuration_of_logging_unchanged(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
        "FLAIRLITE_CACHE_ROOT": str(tmp_path / "cache"),
        "FLAIRLITE_OFFLINE": "1",
    }
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "untouched"
    assert "Warning" not in done.stderr
