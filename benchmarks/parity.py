"""Compare two ways to train in accuracy and speed: length-bucketed and random batches, or float32 and bfloat16.

    python benchmarks/parity.py [--compare batches|precision] [--seeds 5] [--epochs 10] [--json FILE] [--sample]

For each seed, trains the tagger of the tutorial in both ways on the same tenth of the treebank and from the same
initial weights, each run in a new process. Prints mean and standard deviation of test micro F1 on 208
sentences, of accuracy on the whole test set (2,077 sentences, hence less variance) and of training speed.
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
COMPARISONS: dict[str, dict[str, list[str]]] = {  # mode -> options of flairlite_run.py
    "batches": {"bucketed": [], "plain": ["--plain"]},
    "precision": {"bfloat16": ["--bfloat16"], "float32": []},
}
KEYS = {
    "test_micro_f1": "test micro F1",
    "whole_test_accuracy": "accuracy on the whole test",
    "train_tokens_per_s": "training, tokens/s",
}


def main() -> None:
    """Run all trainings one after another, and print the table."""
    arguments = parse_arguments()
    runs = run_trainings(arguments)
    summary = summarise(runs)
    print(format_summary(summary))
    if arguments.json:
        versions = next(iter(runs.values()))[0]["versions"]
        measuring.write_report(arguments.json, {"versions": versions, "summary": summary, "runs": runs})


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", choices=COMPARISONS, default="batches")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sample", action="store_true", help="use the bundled corpus and vectors; needs no mirror")
    return parser.parse_args()


def run_trainings(arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """Train once per seed and mode; return the figures by mode."""
    modes = COMPARISONS[arguments.compare]
    runs: dict[str, list[Figures]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        common = ["--folder", folder, "--epochs", str(arguments.epochs), *["--sample"] * arguments.sample]
        measuring.run_script(SCRIPT, "--part", "first", *common)  # fills the cache
        for seed in range(arguments.seeds):
            for mode, options in modes.items():
                print(f"seed {seed}: {mode}", file=sys.stderr, flush=True)
                figures = measuring.run_script(SCRIPT, "--part", "tutorial", "--seed", str(seed), *common, *options)
                runs[mode].append(figures)
    return runs


def summarise(runs: Mapping[str, Sequence[Figures]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and standard deviation by figure and mode, and of the difference per seed between the modes."""
    summary = {}
    one, other = runs
    for key in KEYS:
        values = {mode: [run[key] for run in mode_runs] for mode, mode_runs in runs.items()}
        values[f"{one} - {other}"] = [left - right for left, right in zip(values[one], values[other], strict=True)]
        summary[key] = {
            name: {"mean": mean(column), "stdev": stdev(column) if len(column) > 1 else 0.0}
            for name, column in values.items()
        }
    return summary


def format_summary(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Format the summary as a Markdown table."""
    columns = list(summary["test_micro_f1"])
    lines = [f"| figure | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for key, row in summary.items():
        digits = 0 if key == "train_tokens_per_s" else 4
        cells = [f"{row[column]['mean']:,.{digits}f} ± {row[column]['stdev']:,.{digits}f}" for column in columns]
        lines.append(f"| {KEYS[key]} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
