"""Measure flairlite, Flair, spaCy and the bound, and print the table of figures.

    python benchmarks/run.py [--peers PYTHON] [--rounds 3] [--json FILE]
    python benchmarks/run.py --smoke

PYTHON is the interpreter of an environment with Flair and spaCy; without it, their columns are empty. Processes run one
at a time and take turns, so that all of them meet the same machine load. Figures are medians over the rounds.
FLAIRLITE_MIRROR names the data mirror. `--smoke` runs one short round on the bundled data, without peers or mirror, to
check that every figure is reported.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import measuring
from measuring import Figures
from table import BOUND, FLAIR, PROJECT, SPACY, format_table, make_table, medians, missing_figures

PEERS = {FLAIR: "peer_flair.py", SPACY: "peer_spacy.py"}
SCRIPTS = {PROJECT: "flairlite_run.py", FLAIR: PEERS[FLAIR], BOUND: "bound.py", SPACY: PEERS[SPACY]}  # order of runs


def main() -> int:
    """Run all rounds and print the table. Return 1 if a figure is missing."""
    arguments = parse_arguments()
    if not arguments.smoke:
        measuring.mirror()
    load = os.getloadavg()[0]
    if load > 0.5 and not arguments.smoke:
        print(f"this machine is not idle (load {load:.2f}): speeds will be too low", file=sys.stderr)
    runs = run_rounds(arguments)
    rows = make_table(runs)
    print(format_table(rows))
    if arguments.json:
        versions = {column: column_runs[0]["versions"] for column, column_runs in runs.items()}
        report = {"rounds": arguments.rounds, "load_at_start": load, "versions": versions, "smoke": arguments.smoke}
        report |= {"table": [row.to_json() for row in rows]}
        report |= {"medians": {column: medians(column_runs) for column, column_runs in runs.items()}, "runs": runs}
        measuring.write_report(arguments.json, report)
    missing = missing_figures(runs)
    if missing:
        print(f"figures missing: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter of an environment with Flair and spaCy")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements (default: 3)")
    parser.add_argument("--epochs", type=int, default=10, help="training epochs (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, versions and all figures to FILE")
    parser.add_argument("--smoke", action="store_true", help="run one short round on the bundled data, without peers")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.peers, arguments.rounds, arguments.epochs = None, 1, 1
    if arguments.rounds < 1 or arguments.epochs < 1:
        parser.error("--rounds and --epochs must be at least 1")
    return arguments


def run_rounds(arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """Run each script once per round, with the round as seed, and return the figures of all runs by column."""
    absent = set(PEERS) - installed_peers(arguments.peers)
    runs: dict[str, list[Figures]] = {column: [] for column in SCRIPTS if column not in absent}
    for seed in range(arguments.rounds):
        for column, column_runs in runs.items():
            options = ["--epochs", str(arguments.epochs), "--seed", str(seed), *["--sample"] * arguments.smoke]
            print(f"round {seed + 1} of {arguments.rounds}: {column}", file=sys.stderr, flush=True)
            python = arguments.peers if column in PEERS else sys.executable
            figures = measuring.run_script(measuring.FOLDER / SCRIPTS[column], *options, python=python)
            column_runs.append(figures)
            if "failed" in figures:
                print(f"{column}: {figures['failed']}", file=sys.stderr)
    return runs


def installed_peers(python: str | None) -> set[str]:
    """Return the peers that the interpreter can import, and report the missing ones."""
    if python is None:
        return set()
    code = (
        "import importlib.util, sys; print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name.lower())])"
    )
    output = subprocess.run([python, "-c", code, *PEERS], capture_output=True, text=True, check=True).stdout
    found = set(output.split())
    for peer in sorted(set(PEERS) - found):
        print(f"{peer} is not installed for {python}: its column is empty", file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
