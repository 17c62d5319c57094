"""Show that length-bucketed batches, which are faster, learn as well as batches of random sentences.

    python benchmarks/parity.py [--seeds 5] [--epochs 10] [--json FILE] [--sample]

Each seed trains the tutorial's tagger both ways, a process a run, on the same tenth of the treebank from the same first
weights. Prints mean and standard deviation of test micro F1 (208 sentences), of accuracy on the whole test set (2,077
sentences, hence steadier) and of training speed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

import measuring
from measuring import Figures

SCRIPT = measuring.FOLDER / "flairlite_run.py"
WAYS: dict[str, list[str]] = {"bucketed": [], "plain": ["--plain"]}
KEYS = {
    "test_micro_f1": "test micro F1",
    "whole_test_accuracy": "accuracy on the whole test",
    "train_tokens_per_s": "training, tokens/s",
}


def main() -> None:
    """Run all trainings, in turn, and print the table."""
    arguments = parse_arguments()
    runs = run_trainings(arguments)
    summary = summarise(runs)
    print(format_summary(summary))
    if arguments.json:
        versions = runs["bucketed"][0]["versions"]
        measuring.write_report(arguments.json, {"versions": versions, "summary": summary, "runs": runs})


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sample", action="store_true", help="the bundled corpus and vectors, without a mirror")
    return parser.parse_args()


def run_trainings(arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """Train once a seed and way, in turn; return the figures by way."""
    runs: dict[str, list[Figures]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        common = ["--folder", folder, "--epochs", str(arguments.epochs), *["--sample"] * arguments.sample]
        measuring.run_script(SCRIPT, "--part", "first", *common)  # fills the cache
        for seed in range(arguments.seeds):
            for way, options in WAYS.items():
                print(f"seed {seed}: {way}", file=sys.stderr, flush=True)
                figures = measuring.run_script(SCRIPT, "--part", "tutorial", "--seed", str(seed), *common, *options)
                runs[way].append(figures)
    return runs


def summarise(runs: Mapping[str, Sequence[Figures]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and standard deviation by figure and way, and of the difference between the ways, seed by seed."""
    summary = {}
    for key in KEYS:
        values = {way: [run[key] for run in way_runs] for way, way_runs in runs.items()}
        pairs = zip(values["bucketed"], values["plain"], strict=True)
        values["bucketed - plain"] = [bucketed - plain for bucketed, plain in pairs]
        summary[key] = {
            name: {"mean": mean(numbers), "stdev": stdev(numbers) if len(numbers) > 1 else 0.0}
            for name, numbers in values.items()
        }
    return summary


def format_summary(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Lay the summary out as a Markdown table."""
    columns = list(summary["test_micro_f1"])
    lines = [f"| figure | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for key, ways in summary.items():
        digits = 0 if key == "train_tokens_per_s" else 4
        cells = [f"{ways[way]['mean']:,.{digits}f} ± {ways[way]['stdev']:,.{digits}f}" for way in columns]
        lines.append(f"| {KEYS[key]} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
