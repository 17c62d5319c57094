"""What `test_data_parallel.py` runs in several processes, each of which imports this file."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from flairlite.data import Corpus, Sentence
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.distributed_utils import is_main_process
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import Batch
from flairlite.models import Model, SequenceTagger, TextClassifier
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.plugins import TrainerPlugin, TrainingInterrupt
from flairlite.trainers.reproduce.hashes import hash_weights

NUM_SENTENCES = 37  # of the training data: no multiple of a batch size
STEPS = 5  # an epoch of batches of 8

Results = dict[str, Any]


class Crash(Exception):
    """What ends a run."""


class Accident(Callback):
    """Records the first gradients and the batches; before a step, something happens in some processes."""

    def __init__(
        self, step: int | None = None, what: Callable[[], None] = lambda: None, rank: int | None = None
    ) -> None:
        self.step, self.what = step, what
        self.is_here = rank is None or rank == rank_here()
        self.count = 0
        self.gradients: dict[str, Tensor] = {}
        self.batches: list[list[int]] = []
        self.rates: list[float] = []

    def on_backward_end(self, state: TrainingState) -> None:
        self.count += 1
        if self.count == self.step and self.is_here:
            self.what()
        self.batches.append(sorted(state.indices.tolist()))
        self.rates.append(state.learning_rate)
        if not self.gradients:
            weights = state.model.named_parameters()
            self.gradients = {name: weight.grad.clone() for name, weight in weights if weight.grad is not None}

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Any) -> None:
        self.count = state["count"]


class InMainProcess(TrainerPlugin):
    """Ends training, at an event that only the main process knows."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.event = event
        self.calls = 0

    @property
    def attach_to_all_processes(self) -> bool:
        return False

    @TrainerPlugin.hook("after_training_batch", "after_evaluation", "before_training_epoch")
    def end(self, **more: Any) -> None:
        self.calls += 1
        if (self.event == "step" and more.get("batch_count") == 7) or self.event in more:
            raise TrainingInterrupt("enough")


class PartlyUsed(SequenceTagger):
    """A tagger with a weight that long sentences use, and one that nothing uses."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.scale = nn.Parameter(torch.ones(1))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        scores = super().forward(batch, generator)
        is_long = batch.lengths > 6
        return torch.where(is_long[:, None, None], scores * self.scale, scores) if is_long.any() else scores


def rank_here() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def make_corpus() -> Corpus:
    """Short sentences with words, letters of words and topics as labels."""
    sample = SAMPLE_ENGLISH()
    parts: list[list[Sentence]] = []
    for split, count in ((sample.train, NUM_SENTENCES), (sample.dev, 15), (sample.test, 15)):
        parts.append([sentence for sentence in split or () if 2 <= len(sentence) <= 8][:count])
    for part in parts:
        for index, sentence in enumerate(part):
            sentence.set_token_labels("letter", [word[0] for word in sentence.words])
            for topic in ("a", "b")[index % 3 :]:
                sentence.add_label("topic", topic)
            sentence.add_label("topic", "c")
    return Corpus(*parts)


def make_vectors(corpus: Corpus) -> WordEmbeddings:
    words = sorted({word for sentence in corpus.get_all_sentences() for word in sentence.words})
    return WordEmbeddings(
        WordVectors(words, torch.randn(len(words), 5, generator=torch.Generator().manual_seed(0)).numpy())
    )


def make_tagger(corpus: Corpus, *, kind: type[SequenceTagger] = SequenceTagger, dropout: float = 0.0) -> Model:
    rates = {"dropout": dropout, "word_dropout": dropout, "locked_dropout": dropout}
    labels = corpus.make_label_dictionary("upos")
    return kind(make_vectors(corpus), labels, "upos", hidden_size=6, seed=0, **rates)


def make_two_types(corpus: Corpus) -> Model:
    labels = {name: corpus.make_label_dictionary(name) for name in ("upos", "letter")}
    rates = {"dropout": 0.0, "word_dropout": 0.0, "locked_dropout": 0.0}
    options: dict[str, Any] = {"use_crf": {"letter": False}, **rates}
    return SequenceTagger(make_vectors(corpus), labels, "upos", hidden_size=6, seed=0, **options)


def make_classifier(corpus: Corpus) -> Model:
    document = DocumentPoolEmbeddings(make_vectors(corpus), fine_tune_mode="linear")
    return TextClassifier(document, "topic", corpus.make_label_dictionary("topic"), multi_label=True, seed=0)


# model, sentences per step, and settings; with two processes, each gets half of the sentences
EQUAL: dict[str, tuple[Callable[[Corpus], Model], int, Results]] = {
    "tagger": (make_tagger, 8, {}),
    "momentum": (make_tagger, 8, {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9, weight_decay=0.01)}),
    "encoded when needed": (make_tagger, 8, {"embeddings_storage_mode": "none", "bucketing": False}),
    "chunks": (make_tagger, 12, {"mini_batch_chunk_size": 2}),
    "empty shares": (make_tagger, 2, {"shuffle": False, "max_epochs": 1}),
    "partly used": (
        functools.partial(make_tagger, kind=PartlyUsed),
        4,
        {"optimizer": functools.partial(torch.optim.SGD, weight_decay=0.1), "max_grad_norm": None},
    ),
    "two label types": (make_two_types, 8, {"monitor_test": True}),
    "classifier": (make_classifier, 8, {"eval_batch_size": 2, "main_evaluation_metric": ("macro avg", "f1-score")}),
}


def train(folder: Path, model: Model, corpus: Corpus, callback: Callback | None = None, **options: Any) -> Results:
    """Train, and return what all processes must agree on, and the files."""
    own = Accident() if callback is None else callback
    defaults: Results = {"max_epochs": 2, "seed": 3, "tune_process": True, "device": "cpu", "plugins": [own]}
    result = ModelTrainer(model, corpus).train(folder, **{**defaults, **options})
    return {
        "result": result,
        "hash": hash_weights(model.state_dict()),
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "gradients": getattr(own, "gradients", {}),
        "batches": getattr(own, "batches", []),
        "files": sorted(path.name for path in folder.iterdir()),
    }


def train_equal(name: str, folder: Path, num_processes: int) -> Results:
    make, size, options = EQUAL[name]
    corpus = make_corpus()
    more = {**options, "mini_batch_size": size // num_processes, "multi_gpu": num_processes > 1}
    if "mini_batch_chunk_size" in options and num_processes == 1:
        del more["mini_batch_chunk_size"]
    return train(folder, make(corpus), corpus, **more)


def train_dropping(folder: Path, callback: Callback | None = None, **options: Any) -> Results:
    """Train with dropout, of which each process draws its own."""
    corpus = make_corpus()
    defaults: Results = {"mini_batch_size": 4, "checkpoint_every": 2, "max_epochs": 3, "multi_gpu": True}
    return train(folder, make_tagger(corpus, dropout=0.2), corpus, callback, **{**defaults, **options})


def crash() -> None:
    raise Crash("something happened")


def send(number: int) -> None:
    os.kill(os.getpid(), number)


# what happens before which step, and in which process
ACCIDENTS: dict[str, tuple[int, Callable[[], None], int | None]] = {
    "crash in all": (8, crash, None),
    "crash in one": (9, crash, 1),
    "crash in main": (4, crash, 0),
    "SIGTERM": (7, functools.partial(send, signal.SIGTERM), 1),
}


def catch(function: Callable[[], Any]) -> str:
    """Return what a function raises."""
    try:
        function()
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def resume_after(name: str, folder: Path) -> Results:
    step, what, rank = ACCIDENTS[name]
    error = catch(lambda: train_dropping(folder, Accident(step, what, rank)))
    return {**train_dropping(folder, resume=True), "error": error}


def train_different(folder: Path) -> Results:
    """Differ from the other process in one respect after the other."""
    corpus, rank = make_corpus(), rank_here()
    shorter = Corpus((corpus.train or [])[rank:], corpus.dev, corpus.test)  # type: ignore[index]
    larger = SequenceTagger(make_vectors(corpus), corpus.make_label_dictionary("upos"), "upos", hidden_size=6 + rank)
    errors = {
        "corpus": catch(lambda: train(folder, make_tagger(corpus), shorter, multi_gpu=True)),
        "model": catch(lambda: train(folder, larger, corpus, multi_gpu=True)),
        "settings": catch(lambda: train(folder, make_tagger(corpus), corpus, multi_gpu=True, patience=1 + rank)),
        "damaged": catch(lambda: resume_damaged(folder, corpus)),
    }
    tagger = make_tagger(corpus)
    with torch.no_grad():
        next(tagger.parameters()).add_(rank)  # the weights of the main process are taken
    return {**train(folder, tagger, corpus, multi_gpu=True, max_epochs=1), "errors": errors}


def resume_damaged(folder: Path, corpus: Corpus) -> None:
    """Resume from a file that only the main process reads."""
    if is_main_process():
        folder.mkdir(exist_ok=True)
        (folder / "checkpoint.pt").write_bytes(b"no checkpoint")
    train(folder, make_tagger(corpus), corpus, multi_gpu=True, resume=True)


def train_sampled(folder: Path) -> Results:
    """Draw the order from the global generator, which differs between processes."""
    torch.manual_seed(rank_here())
    corpus = make_corpus()
    sampler = RandomSampler(range(NUM_SENTENCES))
    return train(folder, make_tagger(corpus), corpus, multi_gpu=True, mini_batch_size=4, sampler=sampler)


def interrupt(event: str, folder: Path) -> Results:
    """Interrupt training by a plugin of the main process, or by Ctrl-C in the other one."""
    corpus = make_corpus()
    plugin = InMainProcess(event)
    accident = Accident(7, functools.partial(send, signal.SIGINT), 1) if event == "Ctrl-C" else Accident()
    options: Results = {"plugins": [accident, plugin], "multi_gpu": True, "mini_batch_size": 4, "max_epochs": 4}
    return {**train(folder, make_tagger(corpus), corpus, accident, **options), "calls": plugin.calls}


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def train_observed(folder: Path) -> Results:
    """Record which files are opened for writing, and which messages appear."""
    written: list[str] = []
    is_recording = True

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if is_recording and event in ("open", "os.rename", "os.remove", "os.mkdir"):
            flags = args[2] if event == "open" else os.O_WRONLY
            if str(folder) in str(args[0]) and isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
                written.append(str(args[0]))

    sys.addaudithook(hook)
    records = _Records()
    logger = logging.getLogger("flairlite")
    logger.addHandler(records)
    corpus = make_corpus()
    options: Results = {"write_weights": True, "save_model_each_k_epochs": 1, "patience": 1, "mini_batch_size": 4}
    found = train(folder, make_tagger(corpus), corpus, multi_gpu=True, **options)
    is_recording = False
    logger.removeHandler(records)
    return {**found, "written": written, "messages": records.messages}


def run_all(folder: str, killed: str) -> str:
    """Run everything, and write the results of this process beside those of the other."""
    os.fsync = lambda handle: None
    base, results = Path(folder), {}
    for name in EQUAL:
        results[name] = train_equal(name, base / name, 2)
    results["whole"] = train_dropping(base / "whole")
    for name in ACCIDENTS:
        results[name] = resume_after(name, base / name)
    results["killed"] = train_dropping(Path(killed), resume=True)
    for event in ("step", "current_model_is_best", "Ctrl-C"):
        results[event] = interrupt(event, base / event)
    results["different"] = train_different(base / "different")
    results["sampled"] = train_sampled(base / "sampled")
    results["observed"] = train_observed(base / "observed")
    torch.save(results, base / f"results-{rank_here()}.pt")
    return f"process {rank_here()}"


def train_until_killed(folder: str) -> None:
    """Train; the second process is killed in the second epoch."""
    os.fsync = lambda handle: None
    train_dropping(Path(folder), Accident(9, lambda: send(signal.SIGKILL), 1))


def hold_on(folder: str) -> None:
    """Ignore SIGTERM and never end, in the first process; then, the second one is killed."""
    ready = Path(folder) / "ready"
    if rank_here() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready.touch()
        while True:
            time.sleep(60)
    while not ready.exists():
        time.sleep(0.01)
    send(signal.SIGKILL)


def train_long(folder: str) -> None:
    """Train until a signal ends it."""
    os.fsync = lambda handle: None
    train_dropping(Path(folder), max_epochs=100_000)


def fail_in_one(message: str) -> None:
    """Fail in the second process, before it trains."""
    if rank_here() == 1:
        raise KeyError(message)


if __name__ == "__main__":  # started by torchrun
    train_equal("tagger", Path(sys.argv[1]), 2)
