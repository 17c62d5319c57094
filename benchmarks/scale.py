"""Check that time grows linearly with the data, and that memory stays within its limits.

    python benchmarks/scale.py [--only linear stream corpus long growth labels] [--json FILE]
                               [--sentences 2000] [--stream 1000000] [--tokens 10000000] [--long 20000]
                               [--growth 2000000] [--labelled 5000] [--hidden 256]

Each part runs in a process of its own and needs no data mirror: `linear` predicts N and 8 N sentences; `stream`
predicts sentences from a generator and samples the memory; `corpus` loads a large CoNLL-U file, trains for one epoch
and evaluates; `long` predicts, and trains on, one very long sentence among short ones; `growth` trains for one epoch on
a tenth of a file, on the file, and on ten copies of it, which are read from the disk; `labels` trains and evaluates
taggers of 18, 50 and 1,000 labels. The exit status is 1 if a limit is exceeded. `stream` and `long` read their memory
from /proc and therefore need Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import measuring
import synthetic
from measuring import Figures, timing

if TYPE_CHECKING:
    from flairlite.data import Corpus, Sentence
    from flairlite.models import SequenceTagger


PASSES = 3


@dataclass(frozen=True)
class Check:
    """A figure of a part and the limit that it must not exceed."""

    part: str
    key: str
    title: str
    limit: float | str  # a number, or the key of another figure


@dataclass(frozen=True)
class Verdict:
    """A measured figure and its limit."""

    title: str
    value: float
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the figure is within the limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.title}: {self.value:.4g}, limit {self.limit:.4g}: {'ok' if self.is_kept else 'EXCEEDED'}"


CHECKS = (
    Check("linear", "time_ratio", "prediction time of 8 N sentences / N sentences", 9.0),
    Check("stream", "growth_share", "relative memory growth while predicting a stream", 0.05),
    Check("corpus", "peak_rss_mb", "peak memory of loading, training and evaluation, MiB", "limit_mb"),
    Check("long", "predict_slowdown", "prediction time of short and long sentences together / separately", 1.25),
    Check("long", "train_slowdown", "training time of short and long sentences together / separately", 1.25),
    Check("growth", "time_ratio", "time per token of training on ten copies / one copy of a file", 1.25),
    Check("growth", "bytes_per_token", "memory growth from one copy to ten, bytes per token", 100.0),
    Check("labels", "train_ratio", "training time with 1,000 / 50 labels (the pairs of labels: 400)", 50.0),
    Check("labels", "evaluate_ratio", "evaluation time with 1,000 / 50 labels", 100.0),
    Check("labels", "growth_mb", "memory growth from 50 to 1,000 labels, MiB", 400.0),
)


def main() -> int:
    """Run the parts and print the result of each check. Return 1 if a limit is exceeded."""
    arguments = parse_arguments()
    if arguments.part:
        measuring.print_figures(PARTS[arguments.part](arguments))
        return 0
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for part in arguments.only:
            print(f"{part} ...", file=sys.stderr, flush=True)
            command = [*sys.argv[1:], "--part", part, "--folder", folder]
            if part == "corpus":
                synthetic.write_treebank(Path(folder) / "treebank.conllu", arguments.tokens)
            figures[part] = measuring.run_script(Path(__file__), *command)
            measuring.print_figures(figures[part])
    verdicts = judge(figures)
    for verdict in verdicts:
        print(verdict)
    if arguments.json:
        measuring.write_report(arguments.json, {"options": {**vars(arguments), "json": None}, "figures": figures})
    return int(not all(verdict.is_kept for verdict in verdicts))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    parser.add_argument("--sentences", type=int, default=2_000, help="`linear`: the number N of sentences")
    parser.add_argument("--stream", type=int, default=1_000_000, help="`stream`: number of sentences")
    parser.add_argument("--tokens", type=int, default=10_000_000, help="`corpus`: number of tokens")
    parser.add_argument("--long", type=int, default=20_000, help="`long`: number of words of the long sentence")
    parser.add_argument("--growth", type=int, default=2_000_000, help="`growth`: number of tokens of ten copies")
    parser.add_argument("--labelled", type=int, default=5_000, help="`labels`: number of tokens")
    parser.add_argument("--hidden", type=int, default=256, help="hidden size of the LSTM per direction")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and figures to FILE")
    parser.add_argument("--part", choices=PARTS, help="run only this part, in this process")
    parser.add_argument("--folder", default="", help="with --part: folder for intermediate files")
    return parser.parse_args()


def judge(figures: dict[str, Figures]) -> list[Verdict]:
    """Compare the figures of the given parts with their limits."""
    return [
        Verdict(check.title, part[check.key], part[check.limit] if isinstance(check.limit, str) else check.limit)
        for check in CHECKS
        if (part := figures.get(check.part)) is not None
    ]


# The parts


def linear(arguments: argparse.Namespace) -> Figures:
    """Predict N and 8 N sentences."""
    tagger = make_tagger(arguments)
    tagger.predict(list(short_sentences(arguments.sentences)))  # warm-up
    inputs = {f"{factor}n": list(short_sentences(factor * arguments.sentences)) for factor in (1, 8)}
    figures = _median_seconds("predict", tagger.predict, inputs)
    return {**figures, "time_ratio": figures["predict_8n_s"] / figures["predict_1n_s"]}


def stream(arguments: argparse.Namespace) -> Figures:
    """Predict the sentences of a generator, and compare the memory in the first tenth with that in the rest."""
    tagger = make_tagger(arguments)
    samples = []
    start = time.perf_counter()
    num_tokens = 0
    for count, sentence in enumerate(tagger.predict_stream(short_sentences(arguments.stream)), start=1):
        num_tokens += len(sentence)
        if count % max(1, arguments.stream // 50) == 0:
            samples.append(rss_mb())
    seconds = time.perf_counter() - start
    early, late = max(samples[:5]), max(samples[5:])
    return {
        "tokens_per_s": num_tokens / seconds,
        "early_rss_mb": early,
        "late_rss_mb": late,
        "growth_share": late / early - 1,
        "rss_mb": [round(sample) for sample in samples],
    }


def corpus(arguments: argparse.Namespace) -> Figures:
    """Load a large treebank, train on it for one epoch, and evaluate on it."""
    from flairlite.data import Corpus
    from flairlite.datasets import read_conllu
    from flairlite.trainers import ModelTrainer

    folder = Path(arguments.folder)
    figures: Figures = {"hidden_size": arguments.hidden}
    path = folder / "treebank.conllu"
    figures["file_mb"] = path.stat().st_size / 1e6
    with timing(figures, "load_s"):
        sentences = read_conllu(path)
    figures["loaded_rss_mb"] = measuring.peak_rss_mb()
    figures["num_tokens"] = sum(map(len, sentences))
    tagger = make_tagger(arguments, Corpus(sentences))
    with timing(figures, "train_s"):
        ModelTrainer(tagger, Corpus(sentences)).train(folder / "out", mini_batch_size=32, max_epochs=1)
    figures["trained_rss_mb"] = measuring.peak_rss_mb()
    with timing(figures, "evaluate_s"):
        figures["accuracy"] = tagger.evaluate(sentences).accuracy
    figures["peak_rss_mb"] = measuring.peak_rss_mb()
    figures["limit_mb"] = (2e9 + 60 * figures["num_tokens"]) / (1 << 20)
    return figures


def long(arguments: argparse.Namespace) -> Figures:
    """Predict and train on a long sentence, on short sentences, and on both together."""
    from flairlite.data import Sentence

    tagger = make_tagger(arguments)
    shorts = list(short_sentences(arguments.sentences))
    words = chain.from_iterable(synthetic.short_sentences(arguments.long))
    giant = Sentence(list(islice(words, arguments.long)))
    inputs = {"short": shorts, "long": [giant], "mixed": [*shorts[:100], giant, *shorts[100:]]}
    tagger.predict(shorts[:100])  # warm-up
    figures: Figures = {"rss_before_mb": rss_mb()}
    figures |= _median_seconds("predict", tagger.predict, inputs)
    figures["predict_peak_rss_mb"] = measuring.peak_rss_mb()
    figures |= _median_seconds("train", partial(_train, tagger, Path(arguments.folder) / "out"), inputs)
    figures["peak_rss_mb"] = measuring.peak_rss_mb()
    for work in ("predict", "train"):
        separate = figures[f"{work}_short_s"] + figures[f"{work}_long_s"]
        figures[f"{work}_slowdown"] = figures[f"{work}_mixed_s"] / separate
    return figures


def growth(arguments: argparse.Namespace) -> Figures:
    """Train for one epoch on a tenth of a file, on the file, and on ten copies of it, all read from the disk."""
    from flairlite.data import Corpus
    from flairlite.datasets import UniversalDependenciesDataset
    from flairlite.trainers import ModelTrainer

    figures: Figures = {}
    path = Path(arguments.folder) / "growth.conllu"
    for name, num_tokens, copies in (("tenth", 0.01, 1), ("one", 0.1, 1), ("ten", 0.1, 10)):
        synthetic.write_treebank(path, round(arguments.growth * num_tokens))
        path.write_bytes(path.read_bytes() * copies)
        with timing(figures, f"load_{name}_s"):
            corpus = Corpus(UniversalDependenciesDataset(path, in_memory=False))
            tagger = make_tagger(arguments, corpus)
        with timing(figures, f"train_{name}_s"):
            ModelTrainer(tagger, corpus).train(Path(arguments.folder) / "out", max_epochs=1, save_final_model=False)
        figures[f"peak_rss_{name}_mb"] = measuring.peak_rss_mb()  # the peak so far: files grow
    grown_mb = figures["peak_rss_ten_mb"] - figures["peak_rss_one_mb"]
    figures["bytes_per_token"] = grown_mb * (1 << 20) / (0.9 * arguments.growth)
    figures["time_ratio"] = figures["train_ten_s"] / figures["train_one_s"] / 10
    return figures


def labels(arguments: argparse.Namespace) -> Figures:
    """Train taggers of more and more labels for one epoch, and evaluate them."""
    from flairlite.data import Corpus, Dictionary, Sentence
    from flairlite.embeddings import WordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    figures: Figures = {}
    embeddings = WordEmbeddings("glove-mini")
    for count in (18, 50, 1000):
        rng, names, sentences, num_tokens = random.Random(0), [f"L{index}" for index in range(count)], [], 0
        while num_tokens < arguments.labelled:
            words = rng.choices(synthetic.FREQUENT_WORDS, k=rng.randint(1, synthetic.MAX_WORDS))
            sentences.append(Sentence(words).set_token_labels("label", rng.choices(names, k=len(words))))
            num_tokens += len(words)
        tagger = SequenceTagger(embeddings, Dictionary.from_items(names), "label", hidden_size=arguments.hidden)
        trainer = ModelTrainer(tagger, Corpus(sentences))
        with timing(figures, f"train_{count}_s"):
            trainer.train(Path(arguments.folder) / "out", max_epochs=1, save_final_model=False)
        with timing(figures, f"evaluate_{count}_s"):
            tagger.evaluate(sentences)
        figures[f"peak_rss_{count}_mb"] = measuring.peak_rss_mb()
    figures |= {f"{name}_ratio": figures[f"{name}_1000_s"] / figures[f"{name}_50_s"] for name in ("train", "evaluate")}
    figures["growth_mb"] = figures["peak_rss_1000_mb"] - figures["peak_rss_50_mb"]
    return figures


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "linear": linear,
    "stream": stream,
    "corpus": corpus,
    "long": long,
    "growth": growth,
    "labels": labels,
}


# Shared by the parts


def make_tagger(arguments: argparse.Namespace, corpus: Corpus | None = None) -> SequenceTagger:
    """Return an untrained tagger with the bundled vectors and the labels of `corpus`, by default the bundled one."""
    from flairlite.datasets import SAMPLE_ENGLISH
    from flairlite.embeddings import WordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.runtime import set_cache_root

    set_cache_root(Path(arguments.folder) / "cache")
    labels = (corpus or SAMPLE_ENGLISH()).make_label_dictionary("upos")
    return SequenceTagger(WordEmbeddings("glove-mini"), labels, "upos", hidden_size=arguments.hidden)


def short_sentences(count: int) -> Iterator[Sentence]:
    """Yield synthetic sentences."""
    from flairlite.data import Sentence

    return map(Sentence, synthetic.short_sentences(count))


def rss_mb() -> float:
    """Return the current memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _median_seconds(
    name: str, function: Callable[[list[Sentence]], object], inputs: dict[str, list[Sentence]]
) -> Figures:
    """Return the median duration of `function` for each input; the passes over the inputs alternate."""
    seconds: dict[str, list[float]] = {key: [] for key in inputs}
    for _ in range(PASSES):
        for key, sentences in inputs.items():
            seconds[key].append(_seconds(partial(function, sentences)))
    return {f"{name}_{key}_s": median(passes) for key, passes in seconds.items()}


def _train(tagger: SequenceTagger, out: Path, sentences: list[Sentence]) -> None:
    """Train for one epoch on the predicted labels of the sentences."""
    from flairlite.data import Corpus
    from flairlite.trainers import ModelTrainer

    ModelTrainer(tagger, Corpus(sentences)).train(out, max_epochs=1, save_final_model=False)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
