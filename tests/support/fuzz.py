"""Fuzz readers, model files and predictions: `python tests/support/fuzz.py --inputs 100000`.

Each input is a valid one that was modified. Reading it must end, in bounded time, in a result or in a flairlite error
that names the file. A slow and simple reader checks the result, so that no label is lost without a warning. `--seed`
and the index of an input determine its content; inputs that fail are kept in `--keep`, and the exit code is then 1.
`fuzz_targets.py` contains the readers.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flairlite.errors import DataFormatError, FlairliteError

UNUSUAL = [  # what replaces parts of an input
    b"\t", b" ", b"\n", b"\n\n", b"\r\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xe2\x80\xa8",
    b"\x85", b"\xc2\x85", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", "e\u0301".encode(), "\u202e".encode(), b"\x1c",
    b"\x0b", b"\x0c", b"\x1f\x8b", b"_", b"-", b"0", b"-1", b"1-2", b"1.1", b"#", b"# a = b", b"nan", b"inf", b"-inf",
    b"1e400", b"9" * 40, b"1_0", "٣".encode(), "²".encode(), b'"', b"'", b",", b"{", b"}", b"[", b"]", b"[" * 5000,
    b"\\", b"\\ud800", b"null", b"true", b"O", b"B-", b"I-X", b"B-X", b"S-X", b"E-X", b"<unk>", b"__label__",
    b"__label__x ", b"a" * 3000, b"|", b"=", b";",
]  # fmt: skip


class TooSlow(BaseException):
    """An input took longer than the limit; not an Exception, so that no reader catches it."""


@dataclass(frozen=True)
class Target:
    """A function under test.

    Attributes:
        seeds: Valid inputs.
        run: Takes the path of an input and the warnings logged so far; raises if the result is wrong.
        prepare: Makes an input, instead of `mutate`, where changed bytes alone would be refused at once.
        share: Weight by which the number of inputs is divided among the targets.
    """

    seeds: Sequence[bytes]
    run: Callable[[Path, list[str]], object]
    prepare: Callable[[random.Random], bytes] | None = None
    share: float = 1.0


@dataclass
class Tally:
    """Counts of the outcomes of a target."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    with_line: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def mutate(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Change a valid input at one to six positions."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        start = rng.randint(0, len(content))
        end = min(len(content), start + rng.choice((0, 1, 1, 2, 5, 20, 100)))
        change = rng.randrange(8)
        if change == 0 and start < len(content):
            content[start] = rng.randrange(256)
        elif change == 1:
            del content[start:end]
        elif change == 2:
            content[start:start] = content[start:end] * rng.choice((1, 2, 50))
        elif change == 3:
            other = rng.choice(seeds)
            offset = rng.randint(0, len(other))
            content[start:end] = other[offset : offset + rng.choice((1, 10, 200))]
        elif change == 4 and rng.random() < 0.3:
            del content[start:]
        else:
            content[start:end] = rng.choice(UNUSUAL)
    return bytes(content)


def try_input(target: Target, path: Path, warned: list[str], tally: Tally, limit: float) -> None:
    """Run a target on the input at `path`, and count the outcome."""
    start = time.process_time()
    tally.inputs += 1
    warned.clear()
    try:
        with _time_limit(limit):
            target.run(path, warned)
        tally.accepted += 1
    except FlairliteError as error:
        tally.refused += 1
        line = error.line if isinstance(error, DataFormatError) else None
        tally.with_line += line is not None
        content = path.read_bytes()
        num_lines = content.replace(b"\r", b"\n").count(b"\n") + 1 if content[:2] != b"\x1f\x8b" else sys.maxsize
        if str(path) not in str(error) or not 1 <= (1 if line is None else line) <= num_lines:
            tally.failures.append(f"wrong location, the input is {path} with {num_lines} lines: {error}"[:500])
    except (Exception, TooSlow):
        tally.failures.append(traceback.format_exc()[-1500:])
    duration = time.process_time() - start
    tally.seconds += duration
    tally.slowest = max(tally.slowest, duration)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` after a time of the processor, which other processes may keep busy too."""

    def stop(*_: object) -> None:
        raise TooSlow(f"longer than {seconds} s")

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


class _Collector(logging.Handler):
    """Collects the messages of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _isolated() -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder, in memory if possible, and the logged warnings; without network, Python's warnings are errors."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz ü ", dir=memory if os.access(memory, os.W_OK) else None))
    previous = {name: os.environ.get(name) for name in ("FLAIRLITE_CACHE_ROOT", "FLAIRLITE_OFFLINE")}
    os.environ.update(FLAIRLITE_CACHE_ROOT=str(folder / "cache"), FLAIRLITE_OFFLINE="1")
    handler, logger = _Collector(), logging.getLogger("flairlite")
    logger.addHandler(handler)
    logger.propagate, was_propagating = False, logger.propagate
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield folder, handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = was_propagating
        for name, value in previous.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)


def fuzz(
    targets: dict[str, Target], inputs: int, seed: int = 0, *, limit: float = 10.0, keep: Path | None = None
) -> dict[str, Tally]:
    """Divide a number of inputs among the targets and try them; those that fail are written to `keep`."""
    tallies = {name: Tally() for name in targets}
    total = sum(target.share for target in targets.values())
    with _isolated() as (folder, warned):
        for name, target in targets.items():
            path, tally = folder / name, tallies[name]
            for index in range(max(1, round(inputs * target.share / total))):
                rng = random.Random(f"{name} {seed} {index}")
                content = target.prepare(rng) if target.prepare else mutate(target.seeds, rng)
                path.write_bytes(content)
                num_failures = len(tally.failures)
                try_input(target, path, warned, tally, limit)
                if len(tally.failures) > num_failures and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{index}").write_bytes(content)
                shutil.rmtree(folder / "cache", ignore_errors=True)
    return tallies


def format_report(tallies: dict[str, Tally]) -> str:
    """Return a table of the outcomes, with the totals in its last line."""
    rows = [("target", "inputs", "accepted", "refused", "with a line", "seconds", "slowest, s", "failures")]
    for name, tally in tallies.items():
        counts = (tally.inputs, tally.accepted, tally.refused, tally.with_line)
        times = (f"{tally.seconds:.1f}", f"{tally.slowest:.2f}")
        rows.append((name, *(f"{count:,}" for count in counts), *times, str(len(tally.failures))))
    lines = [first.ljust(22) + "".join(cell.rjust(13) for cell in others) for first, *others in rows]
    inputs, seconds = sum(tally.inputs for tally in tallies.values()), sum(tally.seconds for tally in tallies.values())
    failures = sum(len(tally.failures) for tally in tallies.values())
    return "\n".join([*lines, f"{inputs:,} inputs in {seconds:,.0f} s: {failures} failures"])


def main() -> int:
    """Run the command."""
    from fuzz_targets import all_targets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of targets")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for inputs that fail")
    options = parser.parse_args()
    targets = {name: target for name, target in all_targets().items() if not options.only or name in options.only}
    tallies = fuzz(targets, options.inputs, options.seed, keep=options.keep)
    for name, tally in tallies.items():
        for failure in tally.failures[:5]:
            print(f"--- {name}\n{failure}", file=sys.stderr)
    print(format_report(tallies))
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
