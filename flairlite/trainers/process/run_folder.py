"""The folder of a run: what lies in it, and that one run at a time writes there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flairlite.errors import TrainingError
from flairlite.storage.atomic import remove_temporary

log = logging.getLogger("flairlite")

BEST_MODEL = "best-model.pt"
FINAL_MODEL = "final-model.pt"
CHECKPOINT = "checkpoint.pt"
RUN_RECORD = "run.json"
LOSS_TABLE = "loss.tsv"
TRAINING_LOG = "training.log"
LOCK = ".running"  # there while a run goes on, and after one that was killed

_RESULTS = (
    BEST_MODEL,
    FINAL_MODEL,
    CHECKPOINT,
    RUN_RECORD,
    "dev.tsv",
    "test.tsv",
    "train_sample.tsv",
)  # the others are begun anew anyway


def clear_folder(folder: Path) -> None:
    """Remove what an earlier run wrote: it would be taken for this run's."""
    for name in _RESULTS:
        (folder / name).unlink(missing_ok=True)
        remove_temporary(folder / name)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder.

    The lock is the system's, on an open file. It ends with the process that has it, however that ends: a lock file that
    a killed run has left is no obstacle, and no process id that belongs to another program by now is mistaken.

    Raises:
        TrainingError: when another run has the folder, with the id of its process.
    """
    path = folder / LOCK
    file = _lock(path)
    try:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        for name in (*_RESULTS, LOSS_TABLE):
            remove_temporary(folder / name)
        yield
    finally:
        with contextlib.suppress(OSError):  # a folder that became read-only
            path.unlink()  # while it is locked: whoever opened it meanwhile sees that it is gone
        file.close()


def _lock(path: Path) -> IO[str]:
    while True:
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"{path} cannot be written: {error.strerror}. Choose another base path") from error
        try:
            _lock_file(file)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise TrainingError(
                f"another run writes into {path.parent}: the process {owner}. Wait for it or end it, or choose another "
                "base path"
            ) from None
        file.close()  # its owner removed it at this moment


def _lock_file(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        log.warning("this system cannot lock files: see to it that no other run writes into the same folder")
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        log.warning("%s cannot be locked: %s. See to it that no other run writes there", file.name, error.strerror)
