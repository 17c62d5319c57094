"""The command `flairlite`: train, apply and inspect models without writing Python."""

from __future__ import annotations

import importlib.util
import sys

_PACKAGES = ("typer", "rich")


def main() -> None:
    """Run the command with the arguments of the process, and end the process with its exit code."""
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        sys.stderr.write(f"flairlite needs {' and '.join(missing)}: pip install 'flairlite[cli]'\n")
        sys.exit(2)
    from flairlite.cli.process import run_command

    sys.exit(run_command(sys.argv[1:]))
