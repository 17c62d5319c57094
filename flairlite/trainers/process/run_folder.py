"""The folder of a run: the names of its files, and a lock so that one run at a time writes there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from flairlite.errors import FileWriteError, TrainingError
from flairlite.storage.atomic import file_lock, remove_temporary
from flairlite.storage.run_files import (
    BEST_MODEL,
    CHECKPOINT,
    FINAL_MODEL,
    HISTORY,
    LOSS_TABLE,
    REPORT,
    RUN_RECORD,
    predictions_name,
    scores_name,
)

log = logging.getLogger("flairlite")

OWNER = ".running"  # the id of the process that writes into the folder
LOCK = ".running.lock"

_folders_in_use: set[tuple[int, str]] = set()  # with the process, because a forked child has a copy
_SPLITS = ("dev", "test", "train_sample")
_RESULTS = (
    *(BEST_MODEL, FINAL_MODEL, CHECKPOINT, RUN_RECORD, HISTORY, REPORT),
    *map(predictions_name, _SPLITS),
    *map(scores_name, _SPLITS),
)


class RunFolderError(TrainingError, FileWriteError):
    """The folder of a run, or a file in it, cannot be written."""


def clear_folder(folder: Path) -> None:
    """Remove the results of an earlier run, which would be mistaken for those of this run.

    Raises:
        RunFolderError: If one of them cannot be removed.
    """
    for path in (folder / name for name in _RESULTS):
        try:
            path.unlink(missing_ok=True)
            remove_temporary(path)
        except OSError as error:
            problem = f"{path}, of an earlier run, cannot be removed: {error.strerror or error}. Remove it, or choose "
            raise RunFolderError(f"{problem}another base path", path=path, errno=error.errno) from error


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder within the `with` statement.

    The operating system ends the lock with the process that holds it. So the lock file of a killed run is no obstacle,
    and a process id that belongs to another program by now is not mistaken.

    Raises:
        TrainingError: If another run has the folder, with the id of its process.
        RunFolderError: If the folder cannot be written.
    """
    key = os.getpid(), str(folder.resolve())
    with contextlib.ExitStack() as stack:
        try:
            is_locked = stack.enter_context(file_lock(folder / LOCK, timeout=0))
        except TimeoutError:
            raise _in_use(folder) from None
        except FileWriteError as error:
            raise RunFolderError(f"{error}. Choose another base path", path=error.path, errno=error.errno) from error
        if key in _folders_in_use:  # by this thread, for which the lock is re-entrant
            raise _in_use(folder)
        _folders_in_use.add(key)
        stack.callback(_folders_in_use.discard, key)
        if not is_locked:
            log.warning("%s cannot be locked: make sure that no other run writes there", folder)
        stack.callback(_remove, folder / LOCK)  # while it is locked, so that a process that has opened it sees that
        stack.callback(_remove, folder / OWNER)
        try:
            (folder / OWNER).write_text(f"{os.getpid()}\n", encoding="utf-8")
        except OSError as error:
            problem = f"{folder / OWNER} cannot be written: {error.strerror or error}. Choose another base path"
            raise RunFolderError(problem, path=folder / OWNER, errno=error.errno) from error
        for name in (*_RESULTS, LOSS_TABLE):
            remove_temporary(folder / name)
        yield


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the folder may have become read-only, and Windows removes no open file
        path.unlink()


def _in_use(folder: Path) -> TrainingError:
    try:
        owner = (folder / OWNER).read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        owner = "unknown"
    return TrainingError(
        f"another run writes into {folder}: the process {owner}. Wait for it or end it, or choose another base path"
    )
