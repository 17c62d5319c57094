"""`flairlite train` and `rerun`: run and repeat run files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from flairlite import runtime
from flairlite.cli.build import build_corpus, build_model, build_settings
from flairlite.cli.process import INTERRUPTED, warnings_on_stderr
from flairlite.cli.run_file import RunFile, read_run_file
from flairlite.errors import SettingError
from flairlite.storage.atomic import atomic_write
from flairlite.trainers import Callback, ModelTrainer, compare_runs, read_run_record
from flairlite.trainers.reproduce.run_record import RunComparison
from flairlite.trainers.state import TrainingState

RUN_FILE = "run.toml"  # in the folder of a run


def run_training(
    path: Path, out: Path | None, changes: list[str], *, resume: bool = False, device: str | None = None
) -> int:
    """Train the model of a run file, and return the exit code.

    Args:
        path: The run file.
        out: The folder to write into; by default the path without `.toml`.
        changes: Changes of the run file, such as `trainer.max_epochs=3`.
        resume: Whether to continue the run in the folder.
        device: The device to train on.

    Raises:
        FlairliteError: If the run file makes no sense, the data cannot be read, or training fails.
    """
    run = read_run_file(path, changes)
    folder = path.with_suffix("") if out is None else out
    if folder == path:
        raise SettingError(f"{path} has no ending: name the folder to write into with --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RUN_FILE).exists() and not resume:
        raise SettingError(f"the folder {folder} has other files: choose a new folder with --out")
    return _train(run, folder, resume=resume, device=device)


def repeat_training(folder: Path, out: Path | None, *, device: str | None = None) -> int:
    """Repeat a run in a new folder, print how the results differ, and return the exit code.

    Args:
        folder: The folder of the run.
        out: The new folder; by default one beside that of the run.
        device: The device to train on.

    Raises:
        FlairliteError: As `run_training`, or if the folder has no finished run, or the new one has files.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        problem = f"no {RUN_FILE} in {folder}" if folder.is_dir() else f"{folder} is not a folder"
        raise SettingError(f"{problem}: give the folder of a run of `flairlite train`")
    result = read_run_record(folder).get("result")
    if not result or (result.get("is_interrupted") and not result.get("stop_reason")):
        command = f"flairlite train {path} --out {folder} --resume"
        raise SettingError(f"the run in {folder} was interrupted: finish it first, with `{command}`")
    new = _new_folder(folder) if out is None else out
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise SettingError(f"{new} exists and is not empty: choose a new folder with --out")
    code = _train(read_run_file(path), new, device=device)
    if code:
        return code
    comparison = compare_runs(new, folder)
    for line in _describe(comparison, new, folder):
        typer.echo(line)
    return 0 if comparison.has_same_result else 1


def _train(run: RunFile, folder: Path, *, resume: bool = False, device: str | None = None) -> int:
    settings, is_fine_tuned = build_settings(run)  # first, because data take longer to read
    if device is not None:
        runtime.set_device(device)
    with warnings_on_stderr():
        corpus = build_corpus(run)
        trainer = ModelTrainer(build_model(run, corpus), corpus)
    method: Any = trainer.fine_tune if is_fine_tuned else trainer.train
    with _silent_console():
        method(folder, settings=settings, plugins=[RunFileCopy(run)], resume=resume)
    result = read_run_record(folder)["result"]
    return INTERRUPTED if result["is_interrupted"] and not result["stop_reason"] else 0


@contextlib.contextmanager
def _silent_console() -> Iterator[None]:
    """Train on if the reader of the log has closed its pipe: logging would print a traceback for each message."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


class RunFileCopy(Callback):
    """Writes the run file into the folder of its run, when the run has passed all checks.

    Args:
        run: The run file.
    """

    def __init__(self, run: RunFile) -> None:
        self._content = run.content()

    def on_train_begin(self, state: TrainingState) -> None:
        """Write the file."""
        with atomic_write(state.base_path / RUN_FILE) as file:
            file.write(self._content)


def _new_folder(folder: Path) -> Path:
    """Return the path of a folder that does not exist yet, beside that of a run."""
    base = Path(f"{folder}-rerun") if folder.name not in ("", "..") else folder.resolve().with_name("rerun")
    number, new = 1, base
    while new.exists():
        number += 1
        new = Path(f"{base}-{number}")
    return new


def _describe(comparison: RunComparison, new: Path, folder: Path) -> list[str]:
    if comparison.has_same_result:
        lines = [f"The result in {new} is the same as in {folder}, to the last bit."]
    else:
        lines = [f"The result in {new} is not the same as in {folder}."]
    parts = {
        "What differs in settings, model or data": comparison.differences,
        "What differs in versions and hardware, which may change the last bits": comparison.circumstances,
        "What differs in the results": comparison.results,
    }
    for title, found in parts.items():
        lines += [f"{title}:", *(f"  {difference}" for difference in found)] if found else []
    return lines
