"""Give readers, model files and predictions what nobody would: `python tests/support/fuzz.py --inputs 100000`.

Each input is a good one with something done to it. It must end, in time, in a result or in an error of flairlite that
names the file; what is read is counted again by a slow, plain reader, so that no label is lost unless the log says so.
Inputs follow from `--seed` and their number; those that break a promise are kept in `--keep`, and the exit code is 1.
`fuzz_targets.py` has the readers.
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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flairlite.errors import DataFormatError, FlairliteError

NASTY = [
    *[
        b"\t",
        b" ",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"\x85",
    ],
    *[
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
        "e\u0301".encode(),
        "\u202e".encode(),
        b"\x1c",
        b"\x0b",
        b"\x0c",
        b"\x1f\x8b",
    ],
    *[b"_", b"-", b"0", b"-1", b"1-2", b"1.1", b"#", b"# a = b", b"nan", b"inf", b"-inf", b"1e400", b"9" * 40, b"1_0"],
    *[
        "٣".encode(),
        "²".encode(),
        b'"',
        b"'",
        b",",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[" * 5000,
        b"\\",
        b"\\ud800",
        b"null",
        b"true",
    ],
    *[
        b"O",
        b"B-",
        b"I-X",
        b"B-X",
        b"S-X",
        b"E-X",
        b"<unk>",
        b"__label__",
        b"__label__x ",
        b"a" * 3000,
        b"|",
        b"=",
        b";",
    ],
]


class TooSlow(BaseException):
    """An input took longer than it may; no reader catches this."""


@dataclass(frozen=True)
class Target:
    """Something that takes input.

    Attributes:
        seeds: Good inputs.
        run: Takes the path of an input and what the log says meanwhile; raises when a promise is broken.
        prepare: Makes the input of the good one that was changed, where bytes alone would not get far.
        share: How many inputs it gets, beside the others.
    """

    seeds: Sequence[bytes]
    run: Callable[[Path, list[str]], object]
    prepare: Callable[[random.Random], bytes] | None = None
    share: float = 1.0


@dataclass
class Tally:
    """What became of the inputs of a target."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    with_line: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Change a good input in one to six places."""
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        start = chance.randint(0, len(content))
        end = min(len(content), start + chance.choice((0, 1, 1, 2, 5, 20, 100)))
        deed = chance.randrange(8)
        if deed == 0 and start < len(content):
            content[start] = chance.randrange(256)
        elif deed == 1:
            del content[start:end]
        elif deed == 2:
            content[start:start] = content[start:end] * chance.choice((1, 2, 50))
        elif deed == 3:
            other = chance.choice(seeds)
            place = chance.randint(0, len(other))
            content[start:end] = other[place : place + chance.choice((1, 10, 200))]
        elif deed == 4 and chance.random() < 0.3:
            del content[start:]
        else:
            content[start:end] = chance.choice(NASTY)
    return bytes(content)


def try_input(target: Target, path: Path, said: list[str], tally: Tally, limit: float) -> None:
    """Run a target on the input at `path`, and count what becomes of it."""
    start = time.process_time()
    tally.inputs += 1
    said.clear()
    try:
        with _at_most(limit):
            target.run(path, said)
        tally.accepted += 1
    except FlairliteError as error:
        tally.refused += 1
        line = error.line if isinstance(error, DataFormatError) else None
        tally.with_line += line is not None
        content = path.read_bytes()
        num_lines = content.replace(b"\r", b"\n").count(b"\n") + 1 if content[:2] != b"\x1f\x8b" else sys.maxsize
        if str(path) not in str(error) or not 1 <= (1 if line is None else line) <= num_lines:
            tally.failures.append(f"the error names not the place, {path} with {num_lines} lines: {error}"[:500])
    except (Exception, TooSlow):
        tally.failures.append(traceback.format_exc()[-1500:])
    took = time.process_time() - start
    tally.seconds += took
    tally.slowest = max(tally.slowest, took)


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Stop what takes longer, in time of the processor: others may be busy with it, too."""

    def stop(*_: object) -> None:
        raise TooSlow(f"longer than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class _Said(logging.Handler):
    """Keeps what the library says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _own_world() -> Iterator[tuple[Path, list[str]]]:
    """Give a folder in memory where there is one, a cache in it, no network, and what is said; warnings are errors."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz ü ", dir=memory if os.access(memory, os.W_OK) else None))
    before = {name: os.environ.get(name) for name in ("FLAIRLITE_CACHE_ROOT", "FLAIRLITE_OFFLINE")}
    os.environ.update(FLAIRLITE_CACHE_ROOT=str(folder / "cache"), FLAIRLITE_OFFLINE="1")
    handler, logger = _Said(), logging.getLogger("flairlite")
    logger.addHandler(handler)
    logger.propagate, was_propagating = False, logger.propagate
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield folder, handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = was_propagating
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)


def fuzz(
    targets: dict[str, Target], inputs: int, seed: int = 0, *, limit: float = 10.0, keep: Path | None = None
) -> dict[str, Tally]:
    """Try as many inputs, shared among the targets; one that breaks a promise is written into `keep`."""
    tallies = {name: Tally() for name in targets}
    total = sum(target.share for target in targets.values())
    with _own_world() as (folder, said):
        for name, target in targets.items():
            path, tally = folder / name, tallies[name]
            for number in range(max(1, round(inputs * target.share / total))):
                chance = random.Random(f"{name} {seed} {number}")
                content = target.prepare(chance) if target.prepare else mutated(target.seeds, chance)
                path.write_bytes(content)
                num_failures = len(tally.failures)
                try_input(target, path, said, tally, limit)
                if len(tally.failures) > num_failures and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{number}").write_bytes(content)
                shutil.rmtree(folder / "cache", ignore_errors=True)
    return tallies


def report(tallies: dict[str, Tally]) -> str:
    """Return a table."""
    rows = [("target", "inputs", "accepted", "refused", "with a line", "seconds", "slowest, s", "failures")]
    total = Counter[str]()
    for name, tally in tallies.items():
        counts = (tally.inputs, tally.accepted, tally.refused, tally.with_line)
        times = (f"{tally.seconds:.1f}", f"{tally.slowest:.2f}")
        rows.append((name, *(f"{count:,}" for count in counts), *times, str(len(tally.failures))))
        total.update(inputs=tally.inputs, failures=len(tally.failures), seconds=round(tally.seconds))
    lines = ["".join(cell.ljust(22) if not place else cell.rjust(13) for place, cell in enumerate(row)) for row in rows]
    lines.append(f"{total['inputs']:,} inputs in {total['seconds']:,} s: {total['failures']} failures")
    return "\n".join(lines)


def main() -> int:
    """Run the long form."""
    from fuzz_targets import all_targets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of targets")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where to put inputs that fail")
    options = parser.parse_args()
    targets = {name: target for name, target in all_targets().items() if not options.only or name in options.only}
    tallies = fuzz(targets, options.inputs, options.seed, keep=options.keep)
    for name, tally in tallies.items():
        for failure in tally.failures[:5]:
            print(f"--- {name}\n{failure}", file=sys.stderr)
    print(report(tallies))
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
