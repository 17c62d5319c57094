"""Check that time and memory grow linearly with the data, and stay flat where they should.

    python benchmarks/scale.py [--only linear stream corpus long] [--json FILE]
                               [--sentences 2000] [--stream 1000000] [--tokens 10000000] [--long 20000] [--hidden 256]

Each part is a process of its own and needs no data mirror: `linear` predicts N sentences and 8 N; `stream` predicts
sentences out of a generator and watches the memory; `corpus` loads a CoNLL-U file of many tokens, trains for one epoch
and evaluates; `long` predicts one very long sentence among short ones, and trains on them. It ends with 1 when a limit
is not kept. The memory of a running process is read from /proc, so `stream` and `long` need Linux.
"""

from __future__ import annotations

import argparse
import os
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
    """A figure of a part, and the limit that it must not exceed."""

    part: str
    key: str
    title: str
    limit: float | str  # a number, or the key of another figure


@dataclass(frozen=True)
class Verdict:
    """A figure that was measured, beside its limit."""

    title: str
    value: float
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the limit is not exceeded."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.title}: {self.value:.4g}, limit {self.limit:.4g}: {'kept' if self.is_kept else 'NOT KEPT'}"


CHECKS = (
    Check("linear", "time_ratio", "predicting 8 N sentences, times as long as N", 9.0),
    Check("stream", "growth_share", "memory that grew while predicting a stream, share", 0.05),
    Check("corpus", "peak_rss_mb", "peak memory of load, epoch and evaluation, MB", "limit_mb"),
    Check("long", "predict_slowdown", "short and long sentences together, times as long as apart: prediction", 1.25),
    Check("long", "train_slowdown", "the same: training", 1.25),
)


def main() -> int:
    """Run the parts, print which limits are kept, and return 1 when one is not."""
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
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to run")
    parser.add_argument("--sentences", type=int, default=2_000, help="N, of `linear`")
    parser.add_argument("--stream", type=int, default=1_000_000, help="sentences of `stream`")
    parser.add_argument("--tokens", type=int, default=10_000_000, help="tokens of `corpus`")
    parser.add_argument("--long", type=int, default=20_000, help="words of the long sentence of `long`")
    parser.add_argument("--hidden", type=int, default=256, help="features of the network's state in a direction")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and figures there")
    parser.add_argument("--part", choices=PARTS, help="run this part in this process")
    parser.add_argument("--folder", default="", help="with --part: where files may lie")
    return parser.parse_args()


def judge(figures: dict[str, Figures]) -> list[Verdict]:
    """Check the limits of the parts that were run."""
    return [
        Verdict(check.title, own[check.key], own[check.limit] if isinstance(check.limit, str) else check.limit)
        for check in CHECKS
        if (own := figures.get(check.part)) is not None
    ]


# The parts


def linear(arguments: argparse.Namespace) -> Figures:
    """Predict N and 8 N sentences."""
    tagger = make_tagger(arguments)
    tagger.predict(list(short_sentences(arguments.sentences)))  # warms up
    kinds = {f"{factor}n": list(short_sentences(factor * arguments.sentences)) for factor in (1, 8)}
    figures = _median_seconds("predict", tagger.predict, kinds)
    return {**figures, "time_ratio": figures["predict_8n_s"] / figures["predict_1n_s"]}


def stream(arguments: argparse.Namespace) -> Figures:
    """Predict a generator's sentences, and compare the memory of the first tenth with that of all the rest."""
    tagger = make_tagger(arguments)
    samples = []
    start = time.perf_counter()
    num_tokens = 0
    for number, sentence in enumerate(tagger.predict_stream(short_sentences(arguments.stream)), 1):
        num_tokens += len(sentence)
        if number % max(1, arguments.stream // 50) == 0:
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
    """Load a large treebank, train for one epoch and evaluate."""
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
    """Predict, and train on, one long sentence among short ones, and each kind alone."""
    from flairlite.data import Sentence

    tagger = make_tagger(arguments)
    shorts = list(short_sentences(arguments.sentences))
    words = chain.from_iterable(synthetic.short_sentences(arguments.long))
    giant = Sentence(list(islice(words, arguments.long)))
    kinds = {"short": shorts, "long": [giant], "mixed": [*shorts[:100], giant, *shorts[100:]]}
    tagger.predict(shorts[:100])  # warms up
    figures: Figures = {"rss_before_mb": rss_mb()}
    figures |= _median_seconds("predict", tagger.predict, kinds)
    figures["predict_peak_rss_mb"] = measuring.peak_rss_mb()
    figures |= _median_seconds("train", partial(_train, tagger, Path(arguments.folder) / "out"), kinds)
    figures["peak_rss_mb"] = measuring.peak_rss_mb()
    for work in ("predict", "train"):
        apart = figures[f"{work}_short_s"] + figures[f"{work}_long_s"]
        figures[f"{work}_slowdown"] = figures[f"{work}_mixed_s"] / apart
    return figures


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "linear": linear,
    "stream": stream,
    "corpus": corpus,
    "long": long,
}


# What they are made of


def make_tagger(arguments: argparse.Namespace, corpus: Corpus | None = None) -> SequenceTagger:
    """Make an untrained tagger with the bundled vectors, for the labels of a corpus or of the bundled one."""
    from flairlite.datasets import SAMPLE_ENGLISH
    from flairlite.embeddings import WordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.runtime import set_cache_root

    set_cache_root(Path(arguments.folder) / "cache")
    labels = (corpus or SAMPLE_ENGLISH()).make_label_dictionary("upos")
    return SequenceTagger(WordEmbeddings("glove-mini"), labels, "upos", hidden_size=arguments.hidden)


def short_sentences(count: int) -> Iterator[Sentence]:
    """Yield made-up sentences."""
    from flairlite.data import Sentence

    return map(Sentence, synthetic.short_sentences(count))


def rss_mb() -> float:
    """The memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _median_seconds(name: str, work: Callable[[list[Sentence]], object], kinds: dict[str, list[Sentence]]) -> Figures:
    """Measure some work at each kind of sentences, in turn."""
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(PASSES):
        for kind, sentences in kinds.items():
            seconds[kind].append(_seconds(partial(work, sentences)))
    return {f"{name}_{kind}_s": median(passes) for kind, passes in seconds.items()}


def _train(tagger: SequenceTagger, out: Path, sentences: list[Sentence]) -> None:
    """Train for one epoch, on the labels that were predicted."""
    from flairlite.data import Corpus
    from flairlite.trainers import ModelTrainer

    ModelTrainer(tagger, Corpus(sentences)).train(out, max_epochs=1, save_final_model=False)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
