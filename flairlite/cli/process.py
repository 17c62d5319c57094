"""Run the command in a process: exit codes, one-line errors, Ctrl-C and closed pipes."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from typer import Exit
from typer.core import TyperGroup

from flairlite.errors import FlairliteError

BUG, WRONG_INPUT = 1, 2  # exit codes
INTERRUPTED, BROKEN_PIPE = 130, 141  # as shells report a process that SIGINT or SIGPIPE ended

log = logging.getLogger("flairlite")


class CommandGroup(TyperGroup):
    """A group of commands whose errors are one line on standard error, and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # so that a closed pipe is noticed here, not when Python exits
            return result
        except (FlairliteError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                _drop_output()
                raise Exit(BROKEN_PIPE) from None
            raise _report(error, str(error) or type(error).__name__, WRONG_INPUT, ctx) from None
        except KeyboardInterrupt as error:
            if ctx.params.get("debug"):
                traceback.print_exception(error)
            raise Exit(INTERRUPTED) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click"):  # wrong usage, or the end of the command
                raise
            shown = traceback.format_exception_only(error)[-1].strip()
            raise _report(error, f"this is a bug in flairlite: {shown}", BUG, ctx) from None


def _report(error: BaseException, message: str, code: int, ctx: Any) -> Exit:
    """Print an error, and return the exception that ends the command with an exit code."""
    if ctx.params.get("debug"):
        traceback.print_exception(error)
    hint = "" if code != BUG or ctx.params.get("debug") else f". Show where with: {ctx.info_name} --debug"
    if hint and ctx.invoked_subcommand:
        hint += f" {ctx.invoked_subcommand} ..."
    _write_error(f"{ctx.info_name}: {message}{hint}")
    return Exit(code)


def _write_error(message: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(message.rstrip() + "\n")
            sys.stderr.flush()


def _drop_output() -> None:
    """Send what standard output still buffers to nowhere, so that Python does not complain when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def run_command(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        from flairlite.cli.app import app

        app(list(arguments), prog_name="flairlite")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else BUG if end.code else 0
    except KeyboardInterrupt:  # while the command is imported
        return INTERRUPTED
    except OSError as error:  # help that is piped into a closed pipe, or onto a full disk
        if error.errno == errno.EPIPE:
            _drop_output()
            return BROKEN_PIPE
        _write_error(f"flairlite: {error}")
        return WRONG_INPUT
    return 0


@contextlib.contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Print warnings of the library to standard error, unless the program has configured logging itself."""
    handler = _Warnings()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        _write_error(f"flairlite: {record.levelname.lower()}: {record.getMessage()}")
