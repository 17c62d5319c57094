"""The folder of a run: the names of its files, and a lock so that one run at a time writes there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from flairlite.errors import TrainingError
from flairlite.storage.atomic import file_lock, remove_temporary

log = logging.getLogger("flairlite")

BEST_MODEL = "best-model.pt"
FINAL_MODEL = "final-model.pt"
CHECKPOINT = "checkpoint.pt"
RUN_RECORD = "run.json"
LOSS_TABLE = "loss.tsv"
TRAINING_LOG = "training.log"
OWNER = ".running"  # the id of the process that writes into the folder
LOCK = ".running.lock"

_RESULTS = (BEST_MODEL, FINAL_MODEL, CHECKPOINT, RUN_RECORD, "dev.tsv", "test.tsv", "train_sample.tsv")


def clear_folder(folder: Path) -> None:
    """Remove the results of an earlier run, which would be mistaken for those of this run."""
    for name in _RESULTS:
        (folder / name).unlink(missing_ok=True)
        remove_temporary(folder / name)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder within the `with` statement.

    The operating system ends the lock with the process that holds it. So the lock file of a killed run is no obstacle,
    and a process id that belongs to another program by now is not mistaken.

    Raises:
        TrainingError: If another run has the folder, with the id of its process, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            is_locked = stack.enter_context(file_lock(folder / LOCK, timeout=0))
        except TimeoutError:
            raise TrainingError(
                f"another run writes into {folder}: the process {_read_owner(folder)}. Wait for it or end it, or "
                "choose another base path"
            ) from None
        except OSError as error:
            raise _not_writable(folder / LOCK, error) from error
        if not is_locked:
            log.warning("%s cannot be locked: make sure that no other run writes there", folder)
        stack.callback(_remove, folder / LOCK)  # while it is locked, so that a process that has opened it sees that
        stack.callback(_remove, folder / OWNER)
        try:
            (folder / OWNER).write_text(f"{os.getpid()}\n", encoding="utf-8")
        except OSError as error:
            raise _not_writable(folder / OWNER, error) from error
        for name in (*_RESULTS, LOSS_TABLE):
            remove_temporary(folder / name)
        yield


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the folder may have become read-only, and Windows removes no open file
        path.unlink()


def _read_owner(folder: Path) -> str:
    try:
        return (folder / OWNER).read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"


def _not_writable(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path} cannot be written: {error.strerror or error}. Choose another base path")
