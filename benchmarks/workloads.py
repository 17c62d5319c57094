"""The workloads that every library runs: the script of the tutorial, and prediction.

Imports only the standard library; the libraries are passed as arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import measuring
from measuring import Figures, Options, timing

BATCH_SIZES = (32, 64, 128)
_PASSES = 3
_NUM_SINGLE = 200  # sentences predicted one at a time

Words = list[str]


@dataclass(frozen=True)
class TaggedSentence:
    """The words of a sentence and their parts of speech."""

    words: Words
    tags: Words


def read_tagged(path: Path) -> list[TaggedSentence]:
    """Read words and UPOS tags of a valid CoNLL-U file, without any of the measured libraries."""
    sentences = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n") if not line.startswith("#")]
        rows = [row for row in rows if row[0].isdigit()]  # skip multi-word tokens and empty nodes
        sentences.append(TaggedSentence([row[1] for row in rows], [row[3] for row in rows]))
    return sentences


@dataclass(frozen=True)
class Library:
    """The parts of a library with Flair's API that the tutorial uses."""

    load_corpus: Callable[[], Any]
    load_embeddings: Callable[[], Any]
    SequenceTagger: Any
    ModelTrainer: Any


@dataclass(frozen=True)
class TutorialResult:
    """The result of the tutorial: the trained model and its corpus."""

    model: Any
    corpus: Any


def run_tutorial(library: Library, options: Options, figures: Figures, **training: Any) -> TutorialResult:
    """Run the script of the tutorial, and store its durations, memory and score in `figures`."""
    with timing(figures, "corpus_s"):
        corpus = library.load_corpus()
    if not options.sample:
        corpus = corpus.downsample(0.1)
    labels = corpus.make_label_dictionary(label_type="upos")
    with timing(figures, "embeddings_s"):
        embeddings = library.load_embeddings()
    model = library.SequenceTagger(hidden_size=256, embeddings=embeddings, tag_dictionary=labels, tag_type="upos")
    trainer = library.ModelTrainer(model, corpus)
    out = options.folder / "out"
    with timing(figures, "train_s"):
        result = trainer.train(out, learning_rate=0.1, mini_batch_size=32, max_epochs=options.epochs, **training)
    figures["script_s"] = measuring.seconds_since_start()
    figures["peak_rss_mb"] = measuring.peak_rss_mb()
    figures["test_micro_f1"] = result["test_score"]
    figures["model_mb"] = (out / "final-model.pt").stat().st_size / 1e6
    figures["num_train_tokens"] = sum(map(len, corpus.train))
    return TutorialResult(model, corpus)


@dataclass(frozen=True)
class Tagger:
    """The functions of a tagger that the prediction workload calls.

    Attributes:
        make: Makes a sentence of the library from words.
        predict: Predicts a list of sentences, given the batch size.
        predict_one: Predicts one sentence.
        tags: Returns the predicted tags of a sentence.
    """

    make: Callable[[Words], Any]
    predict: Callable[[list[Any], int], Any]
    predict_one: Callable[[Any], Any]
    tags: Callable[[Any], Words]


def adapt_flair_api(model: Any, sentence_class: Any) -> Tagger:
    """Adapt a model of a library with Flair's API."""
    return Tagger(
        make=sentence_class,
        predict=lambda sentences, size: model.predict(sentences, mini_batch_size=size),
        predict_one=model.predict,
        tags=lambda sentence: [token.get_label("upos").value for token in sentence],
    )


def measure_prediction(tagger: Tagger, test: Sequence[TaggedSentence], sizes: Sequence[int] = BATCH_SIZES) -> Figures:
    """Measure tokens per second for each batch size, the latency of single sentences in ms, and accuracy."""
    figures: Figures = {}
    singles = [tagger.make(sentence.words) for sentence in test[:_NUM_SINGLE]]
    milliseconds = []
    for sentence in singles:
        start = time.perf_counter()
        tagger.predict_one(sentence)
        milliseconds.append((time.perf_counter() - start) * 1000)
    figures["latency_ms"] = median(milliseconds)
    for size in sizes:
        figures[f"predict_{size}_tokens_per_s"] = tokens_per_second(tagger, test, size)
    figures["predict_tokens_per_s"] = max(figures[f"predict_{size}_tokens_per_s"] for size in sizes)
    figures["whole_test_accuracy"] = accuracy(predicted_tags(tagger, test), [sentence.tags for sentence in test])
    return figures


def tokens_per_second(tagger: Tagger, test: Sequence[TaggedSentence], size: int) -> float:
    """Return the tokens per second of the median pass; each pass predicts new sentences."""
    seconds = []
    for _ in range(_PASSES):
        sentences = [tagger.make(sentence.words) for sentence in test]
        start = time.perf_counter()
        tagger.predict(sentences, size)
        seconds.append(time.perf_counter() - start)
    return sum(len(sentence.words) for sentence in test) / median(seconds)


def predicted_tags(tagger: Tagger, test: Sequence[TaggedSentence]) -> list[Words]:
    """Return the predicted tags of the sentences."""
    sentences = [tagger.make(sentence.words) for sentence in test]
    tagger.predict(sentences, max(BATCH_SIZES))
    return [tagger.tags(sentence) for sentence in sentences]


def accuracy(tags: Sequence[Words], gold: Sequence[Words]) -> float:
    """Return the accuracy over words, which equals micro F1 because every word has one tag."""
    pairs = list(zip(chain.from_iterable(tags), chain.from_iterable(gold), strict=True))
    return sum([predicted == expected for predicted, expected in pairs]) / len(pairs)
