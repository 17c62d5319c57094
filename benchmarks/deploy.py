"""Compare exported models with torch and spaCy: start, single sentences, batches, memory, size. Prints a table.

    python benchmarks/deploy.py [--spacy PYTHON] [--rounds 3] [--epochs 10] [--cpu-time] [--json FILE] [--sample]

The model is that of the tutorial. Each figure is measured in a process of its own with one thread, and the columns take
turns. The table has medians over the rounds. PYTHON is the interpreter of an environment with spaCy, whose tagger is
trained for three epochs; without it, or without OpenVINO, their columns are left out. `--cpu-time` measures the time of
the processor instead of that of the clock: on a busy machine, only the ratios of such times say something. `--sample`
uses the bundled data.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import measuring
import workloads
from measuring import Figures, Options
from workloads import Tagger

TEXT = "The quick brown fox jumps over the lazy dog of Mr. Smith."
TORCH, SPACY = "torch", "spaCy"
# arguments of `load`, by column
ENGINES: dict[str, dict[str, str]] = {
    "export": {},
    "export, OpenVINO": {"engine": "openvino"},
    "export, OpenVINO bfloat16": {"engine": "openvino", "precision": "bfloat16"},
}
COLUMNS = (TORCH, SPACY, *ENGINES)
# packages that each column needs; the packages that these need are added
PACKAGES = {
    TORCH: ("torch", "numpy", "gensim", "conllu", "tqdm", "scikit-learn", "pooch", "syntok"),
    SPACY: ("spacy",),
    "export": ("numpy", "onnxruntime", "syntok"),
    "export, OpenVINO": ("numpy", "openvino", "syntok"),
    "export, OpenVINO bfloat16": ("numpy", "openvino", "syntok"),
}
# rows of the table, and whether each is given as a part of torch's, too
ROWS = {
    "first_sentence_s": ("start to the first sentence, s", True),
    "start_rss_mb": ("peak memory until then, MiB", True),
    "latency_ms": ("a single sentence, ms", True),
    "predict_tokens_per_s": ("whole test split, tokens/s", True),
    "first_pass_tokens_per_s": ("the same, first pass", True),
    "peak_rss_mb": ("peak memory with the whole test split, MiB", True),
    "accuracy": ("accuracy on the whole test split", False),
    "changed_labels": ("labels that differ from torch's", False),
    "installed_mb": ("installed size, MB", True),
}
_SIZES, _PASSES, _NUM_SINGLE = (64, 128), 3, 200


def main() -> None:
    """Run one part, or all rounds, and print the table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # also of NumPy's linear algebra
    if "--part" in sys.argv:
        parts: dict[str, Callable[[Options], Figures]] = {"train": train, "train_spacy": train_spacy}
        for column in COLUMNS:
            parts |= {f"start {column}": partial(start, column), f"predict {column}": partial(predict, column)}
        options = Options.parse(__doc__, parts)
        measuring.print_figures(parts[str(options.part)](options))
        return
    arguments = parse_arguments()
    figures = measure(arguments)
    print(format_table(figures))
    if arguments.json:
        measuring.write_report(arguments.json, {"rounds": arguments.rounds, "columns": figures})


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spacy", metavar="PYTHON", help="the interpreter of an environment with spaCy")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements (default: 3)")
    parser.add_argument("--epochs", type=int, default=10, help="training epochs (default: 10)")
    parser.add_argument("--cpu-time", action="store_true", help="measure processor time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and figures to FILE")
    parser.add_argument("--sample", action="store_true", help="use the bundled corpus and vectors; needs no mirror")
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> dict[str, Figures]:
    """Return the figures of each column: medians over the rounds."""
    if arguments.cpu_time:
        os.environ["BENCHMARK_CPU_TIME"] = "1"
    columns = [TORCH, *[SPACY] * bool(arguments.spacy), "export"]
    if importlib.util.find_spec("openvino"):
        columns += list(ENGINES)[1:]
    given = ["--epochs", str(arguments.epochs), *["--sample"] * arguments.sample]
    found: dict[str, list[Figures]] = {column: [] for column in columns}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:

        def run(part: str, column: str = TORCH) -> Figures:
            python = arguments.spacy if column == SPACY else sys.executable
            return measuring.run_script(Path(__file__), *given, "--part", part, "--folder", folder, python=python)

        sizes = run("train")
        if arguments.spacy:
            run("train_spacy", SPACY)
        for number in range(arguments.rounds):
            for column in columns:
                print(f"round {number + 1} of {arguments.rounds}: {column}", file=sys.stderr, flush=True)
                found[column].append({**run(f"start {column}", column), **run(f"predict {column}", column)})
        tags = {column: json.loads(_tags_path(Path(folder), column).read_text("utf-8")) for column in columns}
    table = {column: {name: median(row[name] for row in rows) for name in rows[0]} for column, rows in found.items()}
    for column in columns:
        pairs = zip(tags[TORCH], tags[column], strict=True)
        table[column]["changed_labels"] = None if column == SPACY else sum(one != other for one, other in pairs)
    table[TORCH]["model_mb"], table["export"]["model_mb"] = sizes["model_mb"], sizes["export_mb"]
    return table


def format_table(figures: dict[str, Figures]) -> str:
    """Return a Markdown table; after a column's figure, its ratio to torch's."""
    lines = [f"| | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    for name, (title, has_ratio) in {**ROWS, "model_mb": ("model file, MB", False)}.items():
        cells = []
        for column, found in figures.items():
            value = found.get(name)
            ratio = f" ({value / figures[TORCH][name]:.2f})" if has_ratio and value and column != TORCH else ""
            digits = 4 if name == "accuracy" else 0 if isinstance(value, int) or (value or 0) >= 1000 else 2
            cells.append("" if value is None else f"{value:,.{digits}f}{ratio}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


# Parts, each in a process of its own


def train(options: Options) -> Figures:
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


def train_spacy(options: Options) -> Figures:
    """Train spaCy's tagger, and store it."""
    import peer_spacy

    figures: Figures = {}
    peer_spacy.train_pipeline(options, figures).to_disk(options.folder / "spacy")
    return figures


def start(column: str, options: Options) -> Figures:
    """Measure the start of a process until the first sentence has labels."""
    tagger, text = _load(column, options)
    sentence = tagger.predict_one(text)
    seconds = time.process_time() if _is_cpu_time() else measuring.seconds_since_start()
    assert any(tagger.tags(sentence))
    return {"first_sentence_s": seconds, "start_rss_mb": measuring.peak_rss_mb(), "num_modules": len(sys.modules)}


def predict(column: str, options: Options) -> Figures:
    """Measure single sentences, and the whole test split in batches."""
    tagger, _ = _load(column, options)
    test = workloads.read_tagged(options.treebank("test"))
    figures: Figures = {"latency_ms": 1000 * median(_time_singles(tagger, test))}
    num_words = sum(len(sentence.words) for sentence in test)
    speeds = []
    for size in _SIZES:
        seconds = []
        for _ in range(_PASSES):
            sentences = [tagger.make(sentence.words) for sentence in test]
            begin = _clock()
            tagger.predict(sentences, size)
            seconds.append(_clock() - begin)
        figures.setdefault("first_pass_tokens_per_s", num_words / seconds[0])
        speeds.append(num_words / median(seconds))
    figures |= {"predict_tokens_per_s": max(speeds), "peak_rss_mb": measuring.peak_rss_mb()}
    tags = workloads.predicted_tags(tagger, test)
    figures["accuracy"] = workloads.accuracy(tags, [sentence.tags for sentence in test])
    _tags_path(options.folder, column).write_text(json.dumps([tag for each in tags for tag in each]), "utf-8")
    return {**figures, "installed_mb": installed_mb(PACKAGES[column])}


def installed_mb(packages: Sequence[str]) -> float:
    """Return the size of the files of packages and of the packages that they need, as far as they are installed."""
    found: dict[str, float] = {}
    left = list(packages)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
        found[name] = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
        needed = (line for line in distribution.requires or () if "extra ==" not in line)
        left += [match[0] for line in needed if (match := re.match(r"[\w.-]+", line))]
    return sum(found.values())


def _load(column: str, options: Options) -> tuple[Tagger, Any]:
    """Return the tagger of a column, and what it takes for the text of the first sentence."""
    if column == SPACY:
        import peer_spacy
        import spacy

        return peer_spacy.adapt(spacy.load(options.folder / "spacy")), TEXT
    if column == TORCH:
        import torch

        from flairlite.models import SequenceTagger

        torch.set_num_threads(1)
        model: Any = SequenceTagger.load(options.folder / "out" / "final-model.pt")
    else:
        from flairlite.deploy import load

        model = load(options.folder / "model.onnx", **ENGINES[column])  # type: ignore[arg-type]
        assert "torch" not in sys.modules
    from flairlite.data import Sentence

    return workloads.adapt_flair_api(model, Sentence), TEXT


def _time_singles(tagger: Tagger, test: Sequence[Any]) -> list[float]:
    seconds = []
    for sentence in [tagger.make(sentence.words) for sentence in test[:_NUM_SINGLE]]:
        begin = _clock()
        tagger.predict_one(sentence)
        seconds.append(_clock() - begin)
    return seconds


def _tags_path(folder: Path, column: str) -> Path:
    return folder / f"tags {column}.json"


def _is_cpu_time() -> bool:
    return "BENCHMARK_CPU_TIME" in os.environ


def _clock() -> float:
    return time.process_time() if _is_cpu_time() else time.perf_counter()


if __name__ == "__main__":
    main()
