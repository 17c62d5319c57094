"""The command line: `python -m flairlite rerun RUN.json` repeats a training run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from flairlite.errors import FlairliteError
from flairlite.trainers.repetition import rerun


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    Returns:
        0 when the repeated run gave the same to the last bit, 1 when it did not, 2 when it cannot be repeated.
    """
    parser = argparse.ArgumentParser(prog="flairlite", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rerun", help="repeat a training run, and compare the result")
    command.add_argument("record", metavar="RUN.json", help="the run.json of the run, or its folder")
    command.add_argument("--to", metavar="FOLDER", help="where to write; by default beside the run, as NAME-rerun")
    command.add_argument("--device", help="where to train, such as cpu or cuda:0")
    options = parser.parse_args(arguments)
    try:
        found = rerun(options.record, options.to, device=options.device)
    except FlairliteError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for title, lines in (("Differs", found.differences), ("Other circumstances", found.circumstances)):
        sys.stdout.writelines(f"{title}: {line}\n" for line in lines)
    if not found.differences:
        sys.stdout.write(f"The same to the last bit: {found.base_path}\n")
    return int(bool(found.differences))


if __name__ == "__main__":
    sys.exit(main())
