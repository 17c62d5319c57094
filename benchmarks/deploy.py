"""Measure exported models next to torch: start, memory, single sentences and batches. Prints one line of JSON.

    python benchmarks/deploy.py [--epochs 10] [--seed 0] [--sample]

`export` trains the model of the tutorial and exports it. The other parts predict with it, each in a process of its own
and with one thread: `start_torch` and `start` until the first sentence has labels, `predict_torch` and `predict` single
sentences and the whole test split. Figures of torch end in `_torch`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import measuring
import workloads
from measuring import Figures, Options

TEXT = "The quick brown fox jumps over the lazy dog of Mr. Smith."
MEASURED = ("latency_ms", "predict_tokens_per_s", "whole_test_accuracy")


def export(options: Options) -> Figures:
    """Train the model of the tutorial, and export it."""
    from flairlite import runtime
    from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
    from flairlite.embeddings import WordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    runtime.set_cache_root(options.folder / "cache")
    library = workloads.Library(
        load_corpus=SAMPLE_ENGLISH if options.sample else UD_ENGLISH,
        load_embeddings=lambda: WordEmbeddings("glove-mini" if options.sample else "glove"),
        SequenceTagger=SequenceTagger,
        ModelTrainer=ModelTrainer,
    )
    training: Figures = {}
    workloads.run_tutorial(library, options, training, seed=options.seed)
    SequenceTagger.load(options.folder / "out" / "final-model.pt").export(options.folder / "model.onnx")
    return {"model_mb": training["model_mb"], "export_mb": (options.folder / "model.onnx").stat().st_size / 1e6}


def start_torch(options: Options) -> Figures:
    """Load the model and predict one sentence with torch."""
    return {f"{name}_torch": value for name, value in _start(_load_torch(options)).items()}


def start(options: Options) -> Figures:
    """Load the exported model and predict one sentence."""
    return _start(_load_export(options))


def predict_torch(options: Options) -> Figures:
    """Measure prediction with torch."""
    return {f"{name}_torch": value for name, value in _predict(_load_torch(options), options).items()}


def predict(options: Options) -> Figures:
    """Measure prediction with the exported model."""
    return _predict(_load_export(options), options)


def _start(model: Any) -> Figures:
    assert model.predict(TEXT).get_labels("upos")
    figures = {"first_sentence_s": measuring.seconds_since_start(), "num_modules": len(sys.modules)}
    return {**figures, "peak_rss_mb": measuring.peak_rss_mb()}


def _predict(model: Any, options: Options) -> Figures:
    from flairlite.data import Sentence

    tagger = workloads.adapt_flair_api(model, Sentence)
    figures = workloads.measure_prediction(tagger, workloads.read_tagged(options.treebank("test")))
    figures = {name: figures[name] for name in MEASURED}
    return {**figures, "predict_peak_rss_mb": measuring.peak_rss_mb()}


def _load_torch(options: Options) -> Any:
    import torch

    from flairlite.models import SequenceTagger

    torch.set_num_threads(1)
    return SequenceTagger.load(options.folder / "out" / "final-model.pt")


def _load_export(options: Options) -> Any:
    from flairlite.deploy import load

    model = load(options.folder / "model.onnx")
    assert "torch" not in sys.modules
    return model


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # also of NumPy's linear algebra
    parts = (export, start_torch, start, predict_torch, predict)
    measuring.run_parts(__file__, __doc__, {part.__name__: part for part in parts})
