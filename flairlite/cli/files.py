"""`flairlite report`, `convert` and `export`: write other files of runs and models."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import typer

from flairlite.cli.inputs import check_not_read
from flairlite.errors import SettingError
from flairlite.version import __version__


def report_run(folder: Path) -> None:
    """Write the HTML report of a run, and print its path.

    Raises:
        FlairliteError: If the folder is not that of a run, or a package is missing.
    """
    typer.echo(str(_find("flairlite.visual.report", "write_report", "reports")(folder)))


def convert_model(old: Path, new: Path) -> None:
    """Write a model of another format as a model file, and print its path.

    Raises:
        FlairliteError: If the model cannot be read, or the file cannot be written.
    """
    check_not_read(new, [old])
    _find("flairlite.models.serialization", "convert", "conversion of models")(old, new)
    typer.echo(str(new))


def export_model(path: Path, out: Path) -> None:
    """Export a model for predictions without PyTorch, and print the path of the file.

    Raises:
        FlairliteError: If the model cannot be read or exported, or the file cannot be written.
    """
    from flairlite.models import Model

    check_not_read(out, [path])
    Model.load(path, device="cpu").export(out)
    typer.echo(str(out))


def _find(module: str, name: str, what: str) -> Any:
    """Return a function, which not all versions have."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise SettingError(f"flairlite {__version__} has no {what}: install a newer version") from error
