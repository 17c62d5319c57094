"""`flairlite init`: write a run file with comments."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import typer

from flairlite.errors import FileWriteError
from flairlite.storage.atomic import atomic_write


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
    typer.echo(f"{path} is written. Train with: flairlite train {path}")
