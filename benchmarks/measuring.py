"""What all benchmarks share: options, processes, clocks and memory.

Only the standard library is imported here: the peers' processes, which have no flairlite, use this module too.
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
NUM_VECTORS = 400_000  # as many as the whole GloVe 6B has
_STARTED = "BENCHMARK_STARTED"  # environment variable: when the parent started this process
_IMPORTED = time.time()

Figures = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What a measuring process is asked for.

    Attributes:
        part: The part to run in this process, or None for all, each in a process of its own.
        folder: Where one part leaves files for the next.
        epochs: Epochs of the tutorial's training.
        seed: Decides everything random.
        sample: Use the bundled corpus and vectors, which need no mirror, and few synthetic ones.
        plain: Train on batches of random sentences, not of sentences of about the same length.
    """

    part: str | None
    folder: Path
    epochs: int
    seed: int
    sample: bool
    plain: bool

    @classmethod
    def parse(cls, description: str | None, parts: Collection[str]) -> Options:
        """Read the command line of a script with these parts."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--part", choices=parts, help="run this part only, in this process")
        parser.add_argument("--folder", type=Path, default=Path(), help="with --part: where the parts leave files")
        parser.add_argument("--epochs", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--sample", action="store_true", help="the bundled corpus and vectors, without a mirror")
        parser.add_argument("--plain", action="store_true", help="random batches, not length-bucketed ones")
        return cls(**vars(parser.parse_args()))

    @property
    def num_vectors(self) -> int:
        """How many synthetic vectors stand for the whole of GloVe."""
        return 2_000 if self.sample else NUM_VECTORS

    def treebank(self, split: str) -> Path:
        """The CoNLL-U file of a split: of the mirror's EWT, or of the bundled sample."""
        if self.sample:
            return FOLDER.parent / "resources" / "sample_english" / f"{split}.conllu"
        return mirror() / "ud_english" / "r2.16" / f"en_ewt-ud-{split}.conllu"


def mirror() -> Path:
    """The data mirror: the folder that FLAIRLITE_MIRROR names."""
    folder = Path(os.environ.get("FLAIRLITE_MIRROR", "")).expanduser()
    if not (folder / "registry.txt").is_file():
        raise SystemExit(
            "set FLAIRLITE_MIRROR to a folder with registry.txt, UD_English-EWT and GloVe, or use --sample"
        )
    return folder


# Processes


def run_parts(script: str, description: str | None, parts: dict[str, Callable[[Options], Figures]]) -> None:
    """Be the main function of a measuring script: run each part alone in a process, and print all their figures."""
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
    """Run a script in a process of its own, and return the figures that its last line holds.

    The caller should be small: a process is born with its parent's peak memory, and reports no less.
    """
    environment = {**os.environ, _STARTED: repr(time.time())}
    command = [python, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def print_figures(figures: Figures) -> None:
    """Print one line of JSON, floats with five digits."""
    rounded = {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps(rounded), flush=True)


def write_report(path: Path, report: Figures) -> None:
    """Write a report as JSON, with the date and the machine."""
    report = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        **report,
    }
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> Figures:
    """Describe the machine: processor, cores, memory, system."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), cpu)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(memory, 1), "system": platform.platform()}


def versions(*packages: str) -> Figures:
    """The versions of Python and of installed packages."""
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}


# Clocks and memory


@contextlib.contextmanager
def timing(figures: Figures, key: str) -> Iterator[None]:
    """Note under `key` how many seconds the block took."""
    start = time.perf_counter()
    yield
    figures[key] = time.perf_counter() - start


def timing_calls(owner: type, name: str) -> list[float]:
    """Make a method note the seconds of each of its calls in the list that is returned."""
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
    """Seconds since `run_script` started this process; started by hand, since it imported this module."""
    return time.time() - float(os.environ.get(_STARTED, _IMPORTED))


def peak_rss_mb() -> float:
    """The most memory that this process has had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
