"""`flairlite init`, `train` and `rerun`: write, run and repeat run files."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flairlite.cli.process import INTERRUPTED, warnings_on_stderr
from flairlite.cli.run_file import RunFile, read_run_file
from flairlite.errors import FileWriteError, SettingError
from flairlite.storage.atomic import atomic_write

if TYPE_CHECKING:
    from flairlite.trainers.reproduce.run_record import RunComparison

RUN_FILE = "run.toml"  # in the folder of a run


def write_template(kind: str, path: Path, *, force: bool = False) -> None:
    """Write a run file with comments.

    Args:
        kind: The kind of model: upos, ner or classify.
        path: The file.
        force: Whether to replace the file.

    Raises:
        FileWriteError: If the file exists, unless `force`, or cannot be written.
    """
    if path.exists() and not force:
        raise FileWriteError(f"{path} exists: give --force to replace it, or choose another name", path=path)
    template = resources.files("flairlite.cli").joinpath("runs", f"{kind}.toml").read_text(encoding="utf-8")
    with atomic_write(path) as file:
        file.write(template.replace("{name}", str(path)).encode())
    print(f"{path} is written. Train with: flairlite train {path}")  # noqa: T201


def run_training(
    path: Path, out: Path | None, changes: list[str], *, resume: bool = False, device: str | None = None
) -> None:
    """Train the model of a run file, as `flairlite train` describes it.

    Raises:
        FlairliteError: If the run file makes no sense, the data cannot be read, or training fails.
        SystemExit: With 130, if Ctrl-C ended training early.
    """
    run = read_run_file(path, changes)
    folder = Path(path.stem) if out is None else out
    if out is None and folder.exists() and not resume and not (folder / RUN_FILE).exists():
        raise SettingError(f"the folder {folder} exists: choose the folder to write into with --out")
    _train(run, folder, resume=resume, device=device)


def repeat_training(folder: Path, out: Path | None, *, device: str | None = None) -> int:
    """Repeat a run in a new folder, print the differences of the results, and return the exit code.

    Raises:
        FlairliteError: As `run_training`, or if the folder has no finished run, or the new folder is in use.
    """
    from flairlite.trainers import compare_runs, read_run_record

    path = folder / RUN_FILE
    if not path.is_file():
        problem = f"no {RUN_FILE} in {folder}" if folder.is_dir() else f"{folder} is not a folder"
        raise SettingError(f"{problem}: give the folder of a run of `flairlite train`")
    result = read_run_record(folder).get("result")
    if not result or result.get("is_interrupted") and not result.get("stop_reason"):
        raise SettingError(f"the run in {folder} was interrupted: finish it with `flairlite train {path} --resume` first")
    new = _new_folder(folder) if out is None else out
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise SettingError(f"{new} exists and is not empty: choose a new folder with --out")
    _train(read_run_file(path), new, device=device)
    comparison = compare_runs(new, folder)
    _print_comparison(comparison, new, folder)
    return 0 if comparison.has_same_result else 1


def _train(run: RunFile, folder: Path, *, resume: bool = False, device: str | None = None) -> None:
    from flairlite import runtime
    from flairlite.cli.build import build_corpus, build_model, build_settings
    from flairlite.trainers import ModelTrainer, read_run_record

    settings, is_fine_tuned = build_settings(run)  # the fastest checks first
    if device is not None:
        runtime.set_device(device)
    with warnings_on_stderr():
        corpus = build_corpus(run)
        model = build_model(run, corpus)
    trainer = ModelTrainer(model, corpus)
    method: Any = trainer.fine_tune if is_fine_tuned else trainer.train
    method(folder, settings=settings, plugins=[_copier(run)], resume=resume, device=device)
    if read_run_record(folder)["result"]["is_interrupted"]:
        raise SystemExit(INTERRUPTED)


def _new_folder(folder: Path) -> Path:
    """Return the path of a folder that does not exist yet, beside that of a run."""
    name = folder.resolve().name
    numbers = ["", *(f"-{number}" for number in range(2, 1000))]
    return next(path for number in numbers if not (path := folder.resolve().parent / f"{name}-rerun{number}").exists())
