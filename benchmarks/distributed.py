"""Measure how training scales with the number of processes: `python benchmarks/distributed.py`.

Trains the tagger of the tutorial in 1 and in 2 processes of one thread each, and prints one line of JSON (`measure`).
The efficiency is the speed of two processes divided by twice that of one; all are measured in turn, in several rounds,
and the medians are taken. That of `cpu` is the same for the words per second of processor time, which does not count
waiting, but depends less on what else the machine does. With `--sample`, the bundled data is used.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time

import torch
from epoch_clock import EpochClock
from measuring import Figures, mirror, print_figures

from flairlite.data import Corpus
from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
from flairlite.distributed_utils import launch_distributed
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState

BATCH_SIZE = 32  # sentences of a step in one process


class ProcessorClock(Callback):
    """Record the processor time of this process in the training of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Start the clock."""
        self._start = time.process_time()

    def on_epoch_trained(self, state: TrainingState) -> None:
        """Record the time."""
        self.seconds.append(time.process_time() - self._start)


def train(num_processes: int, size: int, epochs: int, is_sample: bool) -> Figures:
    """Train in all processes on batches of `size` sentences each, and return words per second.

    Returns:
        The words per second of `training`, of an `epoch` with evaluation and files, and of processor time, `cpu`.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # no messages on the console
    corpus: Corpus = SAMPLE_ENGLISH() if is_sample else UD_ENGLISH().downsample(0.1)
    vectors = WordEmbeddings("glove-mini" if is_sample else "glove")
    tagger = SequenceTagger(vectors, corpus.make_label_dictionary("upos"), "upos", hidden_size=256)
    num_words = sum(map(len, corpus.train or ()))
    clock, processor = EpochClock(), ProcessorClock()
    with tempfile.TemporaryDirectory() as folder:  # the main process alone writes into it
        ModelTrainer(tagger, corpus).train(
            folder,
            mini_batch_size=size,
            max_epochs=epochs + 1,  # the first one is not counted
            plugins=[clock, processor],
            multi_gpu=True,
            tune_process=True,
        )
    seconds = torch.tensor(processor.seconds[1:])
    torch.distributed.all_reduce(seconds)
    return {
        "training": num_words / statistics.median(clock.train_s[1:]),
        "epoch": num_words / statistics.median(clock.epoch_s[1:]),
        "cpu": num_words / float(seconds.median()),
        "threads": torch.get_num_threads(),
    }


def measure(rounds: int, epochs: int, size: int, is_sample: bool) -> Figures:
    """Return speeds, and those of two processes as parts of the ideal ones.

    Two processes do the same steps as one (`same_steps`), with half of a batch each, or half as many steps with a whole
    batch each (`same_size`). Small batches are slower in one process too: `half_size` is its speed with half batches.
    """
    plans = {"one": (1, size), "half_size": (1, size // 2), "same_steps": (2, size // 2), "same_size": (2, size)}
    found: dict[str, list[Figures]] = {name: [] for name in plans}
    load = os.getloadavg()[0]
    for _ in range(rounds):
        for name, (count, own_size) in plans.items():
            row = launch_distributed(train, count, own_size, epochs, is_sample, num_processes=count)
            found[name].append(row)
    threads = max(row["threads"] for rows in found.values() for row in rows)
    result: Figures = {"load": load, "cores": os.cpu_count(), "threads": threads, "batch_size": size}
    for part in ("training", "epoch", "cpu"):
        speeds = {name: statistics.median(row[part] for row in rows) for name, rows in found.items()}
        result |= {f"{part}_words_per_s_{name}": speed for name, speed in speeds.items()}
        for name in ("same_steps", "same_size"):
            ideal = speeds["one"] * (1 if part == "cpu" else 2)
            result[f"{part}_efficiency_{name}"] = speeds[name] / ideal
    return result


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are counted, after one that is not")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="sentences of a step in one process")
    parser.add_argument("--sample", action="store_true", help="use the bundled corpus and vectors; needs no mirror")
    options = parser.parse_args()
    if not options.sample:
        mirror()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    os.environ["FLAIRLITE_DEVICE"] = "cpu"
    print_figures(measure(options.rounds, options.epochs, options.batch_size, options.sample))


if __name__ == "__main__":
    main()
