"""Measure flairlite on an NVIDIA GPU beside a bare cuDNN LSTM: training, prediction, one sentence, launches, memory.

    python benchmarks/gpu.py [--json FILE] [--epochs 8]

It takes less than five minutes and needs no data: sentences are those of UD_English-EWT if FLAIRLITE_MIRROR names a
mirror, otherwise those of the bundled corpus, repeated; vectors of 100 dimensions are random, because values do not
change speeds. Without CUDA, only the operations of a training step are counted, for which Triton must be installed.

The bound is the forward and backward pass of `nn.LSTM(100, 256, bidirectional=True)` in padded batches of sentences of
similar length, eagerly and in float32; that of prediction is its forward pass.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

import bound  # noqa: E402
import measuring  # noqa: E402
import workloads  # noqa: E402
from epoch_clock import EpochClock  # noqa: E402
from measuring import Figures  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from flairlite.data import Corpus, Sentence  # noqa: E402
from flairlite.embeddings import WordEmbeddings  # noqa: E402
from flairlite.models import SequenceTagger  # noqa: E402
from flairlite.nn.forward_backward import find_kernels  # noqa: E402
from flairlite.trainers import ModelTrainer, TrainingState  # noqa: E402
from flairlite.trainers.splits import encode_split  # noqa: E402
from flairlite.trainers.step_graph import StepGraphs  # noqa: E402

NUM_TRAIN = 1254  # sentences, as in the tutorial
BATCH_SIZES = (32, 256)
VIEWS = {
    "alias",
    "as_strided",
    "detach",
    "expand",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
}
VIEWS |= {"t", "transpose", "unbind", "unsqueeze", "_unsafe_view", "view"}
NO_LAUNCH = VIEWS | {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "lift_fresh"}
NO_LAUNCH |= {"promote_types", "_record_function_enter_new", "_record_function_exit"}


def main() -> None:
    """Measure what this machine can, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and figures to FILE")
    parser.add_argument("--epochs", type=int, default=8, help="training epochs, of which the first two are left out")
    arguments = parser.parse_args()
    figures = count_operations()
    if HAS_GPU:
        figures |= measure(arguments.epochs)
    else:
        print("there is no CUDA device: only the operations of a training step are counted", file=sys.stderr)
    for name, value in figures.items():
        print(f"{name:45} {value:,.3g}" if isinstance(value, float) else f"{name:45} {value}")
    if arguments.json:
        measuring.write_report(arguments.json, figures)


class Launches(TorchDispatchMode):
    """Notes the operations that launch something on a device: no views, no empty tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.is_paused = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.partition("::")[2]
        if not self.is_paused and name not in NO_LAUNCH:
            self.names.append(name)
        return function(*args, **(kwargs or {}))


class NotedKernel:
    """A kernel of Triton that is noted as one operation, also where an interpreter runs it by many."""

    def __init__(self, kernel: Any, launches: Launches) -> None:
        self._kernel, self._launches = kernel, launches

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self._launches.names.append(self._kernel.fn.__name__)
            self._launches.is_paused = True
            self._kernel[grid](*args, **options)
            self._launches.is_paused = False

        return launch


def count_operations() -> Figures:
    """Count the operations of a training step without graphs, from the batch on the device to the changed weights."""
    model = make_tagger(tagged := read_sentences("train", 64), hidden_size=32)
    if find_kernels(torch.zeros(1, 2, 3, device=model.device)) is None:
        return {"operations_per_step": "not counted: Triton is not installed"}
    from flairlite.nn import chain_kernels

    sentences = [Sentence(one.words).set_token_labels("upos", one.tags) for one in tagged[:30]]
    split = encode_split(model, "train", sentences, "cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    state = TrainingState(model, optimizer, Path(), 1, sentences=sentences)
    dropout = torch.Generator(device=model.device).manual_seed(0)
    graphs = StepGraphs(state, dropout, max_grad_norm=5.0, use_amp=False)
    launches, compute = Launches(), graphs._compute
    model.train()

    def compute_and_count(batch: Any) -> torch.Tensor:
        with launches:
            return compute(batch)

    kernels = {name: getattr(chain_kernels, name) for name in ("_recursion_kernel", "_gradient_kernel")}
    try:
        for name, kernel in kernels.items():
            setattr(chain_kernels, name, NotedKernel(kernel, launches))
        graphs._compute = compute_and_count  # type: ignore[method-assign]
        graphs.step(split.dataset, torch.arange(30))
    finally:
        for name, kernel in kernels.items():
            setattr(chain_kernels, name, kernel)
    return {"operations_per_step": len(launches.names), "operations": " ".join(launches.names)}


def measure(epochs: int) -> Figures:
    """Measure training with and without graphs, prediction and memory on the GPU."""
    figures: Figures = {"device": torch.cuda.get_device_name(), "versions": measuring.versions("torch")}
    tagged = read_sentences("train", NUM_TRAIN)
    lengths = sorted(len(one.words) for one in tagged)
    lstm = torch.nn.LSTM(100, 256, batch_first=True, bidirectional=True, device="cuda")
    model = make_tagger(tagged)
    for size in BATCH_SIZES:
        limit = measure_bound(lstm, lengths, size, is_training=True)
        figures[f"train_{size}_bound_tokens_per_s"] = limit
        for name, switch in (("graphs", "1"), ("operations", "0")):
            torch.cuda.reset_peak_memory_stats()
            os.environ["FLAIRLITE_CUDA_GRAPHS"] = switch
            model = make_tagger(tagged)
            speed = measure_training(model, tagged, size, epochs)
            figures[f"train_{size}_{name}_tokens_per_s"] = speed
            figures[f"train_{size}_{name}_to_bound"] = speed / limit
            figures[f"train_{size}_{name}_peak_mb"] = torch.cuda.max_memory_allocated() / (1 << 20)
    os.environ.pop("FLAIRLITE_CUDA_GRAPHS")
    test = read_sentences("test", 4096)
    limit = measure_bound(lstm, sorted(len(one.words) for one in test), 256, is_training=False)
    tagger = workloads.adapt_flair_api(model.eval(), Sentence)
    torch.cuda.reset_peak_memory_stats()
    measured = workloads.measure_prediction(tagger, test, (64, 256))
    figures["predict_bound_tokens_per_s"] = limit
    figures["predict_tokens_per_s"] = measured["predict_tokens_per_s"]
    figures["predict_to_bound"] = measured["predict_tokens_per_s"] / limit
    figures["one_sentence_ms"] = measured["latency_ms"]
    figures["predict_peak_mb"] = torch.cuda.max_memory_allocated() / (1 << 20)
    return figures


def measure_bound(lstm: torch.nn.LSTM, lengths: list[int], size: int, *, is_training: bool) -> float:
    """Return the tokens per second of a bare LSTM."""
    bound.BATCH_SIZE = size
    seconds = [bound._seconds(lstm, lengths, is_packed=False, is_training=is_training) for _ in range(4)]
    return sum(lengths) / min(seconds)


def measure_training(model: SequenceTagger, tagged: list[workloads.TaggedSentence], size: int, epochs: int) -> float:
    """Return the tokens per second of the median epoch."""
    clock = EpochClock()
    sentences = [Sentence(one.words).set_token_labels("upos", one.tags) for one in tagged]
    corpus = Corpus(sentences, sentences[:100], sentences[:100])
    with tempfile.TemporaryDirectory() as folder:
        options = {"max_epochs": epochs, "mini_batch_size": size, "learning_rate": 0.1}
        ModelTrainer(model, corpus).train(folder, plugins=[clock], **options)  # type: ignore[arg-type]
    return sum(map(len, sentences)) / median(clock.train_s[2:] or clock.train_s)


def make_tagger(tagged: list[workloads.TaggedSentence], hidden_size: int = 256) -> SequenceTagger:
    """Make a tagger of the tutorial's size with random vectors of 100 dimensions."""
    words = sorted({word.lower() for one in tagged for word in one.words})
    vectors = torch.randn(len(words), 100, generator=torch.Generator().manual_seed(0)).numpy()
    sentences = [Sentence(one.words).set_token_labels("upos", one.tags) for one in tagged]
    labels = Corpus(sentences, sentences[:1], sentences[:1]).make_label_dictionary("upos")
    embeddings = WordEmbeddings(dict(zip(words, vectors, strict=True)))
    return SequenceTagger(embeddings, labels, "upos", hidden_size=hidden_size)


def read_sentences(split: str, count: int) -> list[workloads.TaggedSentence]:
    """Read so many sentences of EWT, or of the bundled corpus, which is repeated."""
    is_sample = not os.environ.get("FLAIRLITE_MIRROR")
    options = measuring.Options(None, Path(), 1, 0, sample=is_sample, plain=False, bfloat16=False)
    return list(islice(cycle(workloads.read_tagged(options.treebank(split))), count))


if __name__ == "__main__":
    main()
