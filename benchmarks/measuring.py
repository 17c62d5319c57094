"""Options, processes, clocks and memory: shared by all benchmarks.

Imports only the standard library, because the processes of Flair and spaCy, which have no flairlite, use it too.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
NUM_VECTORS = 400_000  # the vocabulary size of GloVe 6B
_STARTED = "BENCHMARK_STARTED"  # environment variable: the time at which the parent started this process
_IMPORTED = time.time()

Figures = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Command-line options of a measuring script.

    Attributes:
        part: The part to run in this process; None to run all parts, each in a new process.
        folder: The folder for files that one part passes to the next.
        epochs: The number of training epochs.
        seed: The random seed.
        sample: Whether to use the bundled corpus and vectors, which need no mirror, and fewer synthetic vectors.
        plain: Whether to train on random instead of length-bucketed batches.
        bfloat16: Whether to train in bfloat16.
    """

    part: str | None
    folder: Path
    epochs: int
    seed: int
    sample: bool
    plain: bool
    bfloat16: bool

    @classmethod
    def parse(cls, description: str | None, parts: Collection[str]) -> Options:
        """Parse the command line of a script that has the given parts."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--part", choices=parts, help="run only this part, in this process")
        parser.add_argument("--folder", type=Path, default=Path(), help="with --part: folder for intermediate files")
        parser.add_argument("--epochs", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--sample", action="store_true", help="use the bundled corpus and vectors; needs no mirror")
        parser.add_argument("--plain", action="store_true", help="use random instead of length-bucketed batches")
        parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16, with use_amp=True")
        return cls(**vars(parser.parse_args()))

    @property
    def num_vectors(self) -> int:
        """The number of synthetic vectors."""
        return 2_000 if self.sample else NUM_VECTORS

    def treebank(self, split: str) -> Path:
        """Return the CoNLL-U file of a split of EWT in the mirror, or of the bundled sample."""
        if self.sample:
            return FOLDER.parent / "resources" / "sample_english" / f"{split}.conllu"
        return mirror() / "ud_english" / "r2.16" / f"en_ewt-ud-{split}.conllu"


def mirror() -> Path:
    """Return the folder that FLAIRLITE_MIRROR names."""
    folder = Path(os.environ.get("FLAIRLITE_MIRROR", "")).expanduser()
    if not (folder / "registry.txt").is_file():
        raise SystemExit(
            "set FLAIRLITE_MIRROR to a folder with registry.txt, UD_English-EWT and GloVe; run.py --smoke needs none"
        )
    return folder


# Processes


def run_parts(script: str, description: str | None, parts: dict[str, Callable[[Options], Figures]]) -> None:
    """Run each part of a script in a new process and print all figures; with --part, run that part here."""
    options = Options.parse(description, parts)
    if options.part is not None:
        print_figures(parts[options.part](options))
        return
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for part in parts:
            figures |= run_script(Path(script), *sys.argv[1:], "--part", part, "--folder", folder)
    print_figures(figures)


def run_script(script: Path, *arguments: str, python: str = sys.executable) -> Figures:
    """Run a script in a new process, and return the figures in its last line of output.

    The calling process must be small, because a child process inherits the peak memory of its parent.
    """
    environment = {**os.environ, _STARTED: repr(time.time())}
    command = [python, str(script), *arguments]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stdout[-1000:]}\n{process.stderr[-3000:]}")
    figures: Figures = json.loads(process.stdout.splitlines()[-1])
    return figures


def print_figures(figures: Figures) -> None:
    """Print the figures as one line of JSON, floats rounded to five significant digits."""
    rounded = {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps(rounded), flush=True)


def write_report(path: Path, report: Figures) -> None:
    """Write a report as JSON, with date and machine added."""
    report = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        **report,
    }
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> Figures:
    """Return processor, number of cores, memory and operating system."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), cpu)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(memory, 1), "system": platform.platform()}


def versions(*packages: str) -> Figures:
    """Return the versions of Python and of the given packages."""
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}


# Clocks and memory


@contextlib.contextmanager
def timing(figures: Figures, key: str) -> Iterator[None]:
    """Store the duration of the `with` block in seconds under `key`."""
    start = time.perf_counter()
    yield
    figures[key] = time.perf_counter() - start


def timing_calls(owner: type, name: str) -> list[float]:
    """Patch a method so that the returned list receives the duration of each call in seconds."""
    seconds: list[float] = []
    method = getattr(owner, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = method(*arguments, **named)
        seconds.append(time.perf_counter() - start)
        return result

    setattr(owner, name, timed)
    return seconds


def seconds_since_start() -> float:
    """Return the seconds since `run_script` started this process, or since this module was imported."""
    return time.time() - float(os.environ.get(_STARTED, _IMPORTED))


def peak_rss_mb() -> float:
    """Return the peak memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
