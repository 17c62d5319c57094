"""Kill training runs at random moments, resume them, and compare the results with an uninterrupted run.

    python tests/support/kill_runs.py --kills 50 --seed 0

Prints a JSON object: kills, runs, differences, seconds. POSIX only: each part of a run is a forked child, so that torch
is imported once.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from flairlite.data import Corpus
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.models import SequenceTagger
from flairlite.storage.run_files import read_loss_table
from flairlite.trainers import ModelTrainer
from flairlite.trainers.callbacks.checkpoint import read_checkpoint

MODELS = ("best-model.pt", "final-model.pt")
TABLES = ("dev.tsv", "test.tsv")


def train(folder: Path, corpus: Corpus, vectors: WordVectors) -> None:
    """Train, or resume a killed run."""
    torch.set_num_threads(1)
    dictionary = corpus.make_label_dictionary("upos")
    tagger = SequenceTagger(WordEmbeddings(vectors), dictionary, "upos", hidden_size=8, dropout=0.1, seed=0)
    result = ModelTrainer(tagger, corpus).train(
        folder,
        learning_rate=0.01,
        optimizer=functools.partial(torch.optim.Adam, betas=(0.8, 0.99)),
        mini_batch_size=8,
        max_epochs=4,
        patience=1,
        monitor_test=True,
        checkpoint_every=3,
        resume=True,
        seed=0,
        device="cpu",
        tune_process=True,  # or each child imports torch's compiler
    )
    (folder / "result.json").write_text(json.dumps(result))


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a child process without output, and return the process id."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    status = 1
    try:
        with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null):
            work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def read_results(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and content, or hash, of each result of a finished run, without times."""
    for name in (*MODELS, *TABLES, "result.json"):
        yield name, hashlib.sha256((folder / name).read_bytes()).hexdigest()
    yield "loss.tsv", re.sub(r"\t\d\d:\d\d:\d\d\t", "\t", (folder / "loss.tsv").read_text())
    lines = (folder / "training.log").read_text().splitlines()
    texts = (line[24:] for line in lines if "Resumed at epoch" not in line)
    yield "training.log", re.sub(r" - time \(sec\).*?/sec: \S+|base path.*", "", "\n".join(texts))
    yield "files", " ".join(sorted(path.name for path in folder.iterdir()))


def check_files(folder: Path) -> None:
    """Fail if a file of a killed run is incomplete."""
    if folder.exists():
        read_checkpoint(folder)
        if (folder / "loss.tsv").exists():
            read_loss_table(folder / "loss.tsv")
        for name in MODELS:
            if (folder / name).exists():
                SequenceTagger.load(folder / name)


def run(folder: Path, kills: int, seconds: float, work: Callable[[Path], None], rng: random.Random) -> int:
    """Train to the end, with up to `kills` kills on the way; return the number of kills that hit a running child.

    The time of a run is divided into as many parts as there are kills, and each kill is at random in one of them.
    """
    hits = 0
    for part in range(kills):
        child = fork(lambda: work(folder))
        time.sleep(rng.uniform(part, part + 1) * seconds / kills)
        os.kill(child, signal.SIGKILL)
        hits += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        child = fork(lambda: check_files(folder))
        assert os.waitpid(child, 0)[1] == 0, f"a file in {folder} is incomplete"
    child = fork(lambda: work(folder))
    assert os.waitpid(child, 0)[1] == 0, f"the run in {folder} cannot be resumed"
    return hits


def main() -> None:
    """Kill runs until `--kills` kills have hit one, and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    sample, mini = SAMPLE_ENGLISH(), WordEmbeddings("glove-mini").vectors
    corpus = Corpus((sample.train or ())[:40], (sample.dev or ())[:8], (sample.test or ())[:8])
    words = sorted({word.lower() for sentence in corpus.get_all_sentences() for word in sentence.words})
    rows = mini.rows(words)
    vectors = WordVectors(
        [word for word, row in zip(words, rows, strict=True) if row >= 0], mini.matrix[rows[rows >= 0]]
    )
    work = functools.partial(train, corpus=corpus, vectors=vectors)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        start_of_run = time.monotonic()
        run(Path(scratch, "uninterrupted"), 0, 0.0, work, rng)
        seconds = time.monotonic() - start_of_run
        expected = dict(read_results(Path(scratch, "uninterrupted")))
        kills = runs = 0
        differing: list[str] = []
        while kills < options.kills:
            runs += 1
            folder = Path(scratch, str(runs))
            kills += run(folder, min(3, options.kills - kills), seconds, work, rng)
            found = dict(read_results(folder))
            differing += [f"run {runs}: {name}" for name in expected if found[name] != expected[name]]
    print(
        json.dumps(
            {
                "kills": kills,
                "runs": runs,
                "differences": differing,
                "seconds of one run": round(seconds, 2),
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
