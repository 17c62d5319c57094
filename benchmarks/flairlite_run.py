"""Measure flairlite: import, first and later loads, the tutorial and prediction. Prints one line of JSON.

    python benchmarks/flairlite_run.py [--epochs 10] [--seed 0] [--sample] [--plain] [--bfloat16]

Each part runs in a process of its own: `first` loads data into an empty cache, `tutorial` runs the script of the
tutorial and nothing else until its report, `tuned` does so with `tune_process=True`, which the defaults do not set, and
`prediction` uses the model that they saved, which is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import measuring
import synthetic
import workloads
from measuring import Figures, Options, timing
from workloads import Library, TaggedSentence, Tagger

HEAVY = ("conllu", "gensim", "pooch", "regex", "requests", "scipy", "sklearn", "smart_open", "syntok", "tqdm")


def first(options: Options) -> Figures:
    """Load treebank and vectors into an empty cache."""
    figures = _import_flairlite(options)
    library = _library(options)
    with timing(figures, "corpus_first_s"):
        library.load_corpus()
    with timing(figures, "embeddings_first_s"):
        library.load_embeddings()
    path = synthetic.write_vectors(_synthetic(options), options.num_vectors)
    with timing(figures, "embeddings_400k_first_s"):
        _word_embeddings(path)
    return figures


def tutorial(options: Options) -> Figures:
    """Run the script of the tutorial, then compare the predictions of the trained and the saved model."""
    figures = _import_flairlite(options)
    from epoch_clock import EpochClock

    from flairlite.data import Sentence
    from flairlite.models import SequenceTagger
    from flairlite.trainers.callbacks.best_model import BestModel

    clock, writing = EpochClock(), measuring.timing_calls(BestModel, "on_epoch_end")
    training = {"seed": options.seed, "bucketing": not options.plain, "use_amp": options.bfloat16}
    trained = workloads.run_tutorial(_library(options), options, figures, **training, plugins=[clock])
    figures["train_tokens_per_s"] = figures["num_train_tokens"] / median(clock.train_s)
    writes = [pair for pair, best in zip(zip(writing, clock.epoch_s, strict=True), clock.was_best, strict=True) if best]
    figures["best_model_write_s"] = median(write for write, _ in writes)
    figures["best_model_share"] = median(write / epoch for write, epoch in writes)

    test = workloads.read_tagged(options.treebank("test"))
    saved = SequenceTagger.load(options.folder / "out" / "best-model.pt")  # training restores the best model at the end
    tags, saved_tags = (
        workloads.predicted_tags(workloads.adapt_flair_api(model, Sentence), test) for model in (trained.model, saved)
    )
    figures["whole_test_accuracy"] = workloads.accuracy(tags, [sentence.tags for sentence in test])
    figures["changed_by_saving"] = round((1 - workloads.accuracy(tags, saved_tags)) * sum(map(len, tags)))
    return figures


def tuned(options: Options) -> Figures:
    """Run the script of the tutorial with `tune_process=True`, for its time and peak memory."""
    figures = _import_flairlite(options)
    workloads.run_tutorial(
        _library(options), options, figures, seed=options.seed, bucketing=not options.plain, tune_process=True
    )
    return {f"tuned_{name}": figures[name] for name in ("script_s", "peak_rss_mb")}


def prediction(options: Options) -> Figures:
    """Measure prediction in float32 and bfloat16, and the size of a model with a vocabulary as large as GloVe's."""
    figures = _import_flairlite(options)
    import torch

    from flairlite.data import Sentence
    from flairlite.models import SequenceTagger

    with timing(figures, "load_model_s"):
        model = SequenceTagger.load(options.folder / "out" / "final-model.pt")
    test = workloads.read_tagged(options.treebank("test"))
    tagger = workloads.adapt_flair_api(model, Sentence)
    figures |= workloads.measure_prediction(tagger, test)
    try:
        with torch.autocast(model.device.type, torch.bfloat16):
            figures |= _bfloat16(tagger, test, figures["whole_test_accuracy"])
    except RuntimeError as error:  # keep the other figures; run.py reports these as missing
        figures["failed"] = f"prediction in bfloat16: {error}"
    sentences = [Sentence(sentence.words) for sentence in test]
    with timing(figures, "encode_s"):
        model.encode(sentences)

    with timing(figures, "embeddings_400k_s"):
        embeddings = _word_embeddings(_synthetic(options))
    file = options.folder / "model-400k.pt"
    large = SequenceTagger(embeddings, model.tag_dictionary, "upos")
    large.compact()  # as training does
    large.save(file)
    figures["model_400k_mb"] = file.stat().st_size / 1e6
    figures.pop("import_s")  # reported for `tutorial` only
    return figures


def _bfloat16(tagger: Tagger, test: Sequence[TaggedSentence], full_accuracy: float) -> Figures:
    """Measure prediction speed in bfloat16, and the loss of accuracy in percentage points."""
    speeds = [workloads.tokens_per_second(tagger, test, size) for size in workloads.BATCH_SIZES]
    accuracy = workloads.accuracy(workloads.predicted_tags(tagger, test), [sentence.tags for sentence in test])
    return {"predict_bf16_tokens_per_s": max(speeds), "bf16_loss_points": 100 * (full_accuracy - accuracy)}


def _import_flairlite(options: Options) -> Figures:
    """Import flairlite, and measure the time and the heavy modules that it adds to torch. Set cache and seed."""
    figures: Figures = {}
    with timing(figures, "import_torch_s"):
        import torch
    before = set(sys.modules)
    with timing(figures, "import_s"):  # everything that the tutorial imports
        with timing(figures, "import_package_s"):
            import flairlite
        import flairlite.datasets
        import flairlite.trainers
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    figures["heavy_modules"] = sorted(loaded.intersection(HEAVY))
    figures["num_heavy_modules"] = len(figures["heavy_modules"])
    figures["versions"] = {**measuring.versions("torch"), "flairlite": flairlite.__version__}
    figures["threads"] = torch.get_num_threads()
    flairlite.runtime.set_cache_root(options.folder / "cache")
    flairlite.set_seed(options.seed)
    return figures


def _library(options: Options) -> Library:
    from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    return Library(
        load_corpus=SAMPLE_ENGLISH if options.sample else UD_ENGLISH,
        load_embeddings=lambda: _word_embeddings("glove-mini" if options.sample else "glove"),
        SequenceTagger=SequenceTagger,
        ModelTrainer=ModelTrainer,
    )


def _word_embeddings(name: str | Path) -> Any:
    from flairlite.embeddings import WordEmbeddings

    return WordEmbeddings(name)


def _synthetic(options: Options) -> Path:
    return options.folder / "synthetic.bin"


if __name__ == "__main__":
    parts = {"first": first, "tutorial": tutorial, "tuned": tuned, "prediction": prediction}
    measuring.run_parts(__file__, __doc__, parts)
