"""Compare taggers with a small and a large network, in float32 and bfloat16, with the bare network in PyTorch.

    python benchmarks/networks.py [--rounds 2] [--epochs 3] [--optimizer SGD|AdamW] [--json FILE] [--sample]

`tutorial` is the tagger of the tutorial, `rich` has GloVe, characters and subwords, and two layers. Both are trained on
the same tenth of the treebank, and then predict the whole test set. The bound is a bare `nn.LSTM` of the same sizes and
the same precision on the same sentences. Each combination runs in a process of its own; figures are medians over the
rounds. FLAIRLITE_MIRROR names the data mirror; `--sample` uses the bundled data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import bound
import measuring
import workloads
from epoch_clock import EpochClock
from measuring import Figures

NETWORKS = ("tutorial", "rich")
PRECISIONS = ("float32", "bfloat16")
BATCH_SIZE = 64  # of prediction


def main() -> None:
    """Run all combinations and print the table."""
    arguments = parse_arguments()
    names = [f"{network} {precision}" for network in NETWORKS for precision in PRECISIONS]
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        if arguments.part:
            measuring.print_figures(measure(arguments, arguments.folder or Path(folder)))
            return
        for seed in range(arguments.rounds):
            for name in names:
                print(f"round {seed + 1} of {arguments.rounds}: {name}", file=sys.stderr, flush=True)
                options = [*sys.argv[1:], "--part", name, "--folder", folder, "--seed", str(seed)]
                runs[name].append(measuring.run_script(Path(__file__), *options))
    table = {name: {key: median(run[key] for run in runs[name]) for key in runs[name][0]} for name in names}
    print(format_table(table))
    if arguments.json:
        measuring.write_report(arguments.json, {"versions": measuring.versions("torch"), "table": table, "runs": runs})


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--optimizer", choices=("SGD", "AdamW"), default="SGD")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sample", action="store_true", help="use the bundled corpus and vectors; needs no mirror")
    parser.add_argument("--part", help="run only this combination, in this process")
    parser.add_argument("--folder", type=Path, help="with --part: keep intermediate files here")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def measure(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Train a tagger in a folder, predict with it, and run its bare network. Speeds are in tokens per second."""
    import torch

    import flairlite
    from flairlite.data import Sentence
    from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
    from flairlite.trainers import ModelTrainer

    network, precision = arguments.part.split()
    flairlite.runtime.set_cache_root(folder / "cache")
    flairlite.set_seed(arguments.seed)
    whole = SAMPLE_ENGLISH() if arguments.sample else UD_ENGLISH()
    test = [workloads.TaggedSentence(sentence.words, sentence.token_labels("upos")) for sentence in whole.test]
    corpus = whole.downsample(0.1)
    model = make_tagger(network, corpus, "glove-mini" if arguments.sample else "glove")
    clock, rate = EpochClock(), {"SGD": 0.1, "AdamW": 0.003}[arguments.optimizer]
    ModelTrainer(model, corpus).train(
        folder / "out",
        learning_rate=rate,
        optimizer=getattr(torch.optim, arguments.optimizer),
        max_epochs=arguments.epochs,
        save_final_model=False,
        use_amp=precision == "bfloat16",
        plugins=[clock],
    )
    lengths = sorted(map(len, corpus.train))
    if precision == "bfloat16":
        model.bfloat16()
    tagger = workloads.adapt_flair_api(model, Sentence)
    figures = {
        "train": sum(lengths) / median(clock.train_s),
        "predict": workloads.tokens_per_second(tagger, test, BATCH_SIZE),
        "accuracy": workloads.accuracy(workloads.predicted_tags(tagger, test), [sentence.tags for sentence in test]),
    }
    bare = model.rnn.rnn
    lstm = torch.nn.LSTM(bare.input_size, 256, bare.num_layers, batch_first=True, bidirectional=True)
    lstm = lstm.to(device=model.device, dtype=getattr(torch, precision))
    for key, is_training in (("train_bound", True), ("predict_bound", False)):
        seconds = [bound.lstm_seconds(lstm, lengths, is_packed=False, is_training=is_training) for _ in range(3)]
        figures[key] = sum(lengths) / min(seconds)
    return figures


def make_tagger(network: str, corpus: Any, vectors: str) -> Any:
    """Return the untrained tagger of a network."""
    from flairlite.embeddings import CharacterEmbeddings, StackedEmbeddings, SubwordEmbeddings, WordEmbeddings
    from flairlite.models import SequenceTagger

    labels, words = corpus.make_label_dictionary(label_type="upos"), WordEmbeddings(vectors)
    if network == "tutorial":
        return SequenceTagger(words, labels, "upos")
    parts = StackedEmbeddings([words, CharacterEmbeddings(), SubwordEmbeddings()])
    return SequenceTagger(parts, labels, "upos", rnn_layers=2)


def format_table(table: Mapping[str, Figures]) -> str:
    """Format the figures of each combination as a Markdown table, with the gain of bfloat16 over float32."""
    lines = [
        "| network and precision | training | bound | share | prediction | bound | share | accuracy |",
        "|---" * 8 + "|",
    ]
    for name, figures in table.items():
        cells = []
        for key in ("train", "predict"):
            speed, limit = figures[key], figures[f"{key}_bound"]
            cells += [f"{speed:,.0f}", f"{limit:,.0f}", f"{speed / limit:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {figures['accuracy']:.4f} |")
    for network in NETWORKS:
        full, half = (table[f"{network} {precision}"] for precision in PRECISIONS)
        cells = [f"{half[key] / full[key]:.2f}x" for key in ("train", "train_bound", "predict", "predict_bound")]
        difference = half["accuracy"] - full["accuracy"]
        lines.append(f"| {network}, gain | {cells[0]} | {cells[1]} | | {cells[2]} | {cells[3]} | | {difference:+.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
