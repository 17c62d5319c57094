"""Model files: tensors and plain containers only, so that loading one runs no code in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flairlite.errors import ModelFileError
from flairlite.storage.archive_check import check_archive
from flairlite.storage.atomic import atomic_write
from flairlite.storage.to_plain import plain
from flairlite.version import __version__

FORMAT_VERSION = 2  # 1: fixed vectors in float32 only; 2: in twelve bits too. All are read


def write_model_file(path: Path, content: dict[str, Any], *, kind: str = "model") -> None:
    """Write the content of a model, or of another `kind` of file such as a checkpoint, whole or not at all.

    Raises:
        ModelFileError: when there is anything but plain containers and tensors in it.
        TrainingError: when the file cannot be written.
    """
    content = plain(content)
    head = {"format": f"flairlite {kind}", "format_version": FORMAT_VERSION, "flairlite_version": __version__}
    with atomic_write(path) as file:
        torch.save({**head, **content}, file)


def read_model_file(path: str | Path, *, kind: str = "model") -> dict[str, Any]:
    """Read what `write_model_file` wrote, with tensors on the CPU.

    Raises:
        ModelFileError: when there is no such file, when it is cut short or of another program, or when it is of a newer
            format than this flairlite knows.
    """
    path = Path(path)
    if not path.is_file():
        by_name = (
            "; there are no prepared models to be had by a name" if kind == "model" and path.name == str(path) else ""
        )
        raise ModelFileError(
            f"no {kind} file at {path}: give the path of a file that training or model.save wrote{by_name}"
        )
    try:
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make zipfile, pickle and torch raise many kinds
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelFileError(
            f"{path} is no {kind} file of flairlite's, or it was cut short or changed ({reason}). Copy it again, or "
            "train again; a file of Flair or of another library cannot be loaded"
        ) from error
    if not isinstance(content, dict) or content.get("format") != f"flairlite {kind}":
        raise ModelFileError(f"{path} is no {kind} file of flairlite's: save one with model.save")
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path} is damaged: its format version is {version!r}. Copy it again, or train again")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}, and this is flairlite {__version__}, which reads formats up to "
            f"{FORMAT_VERSION}: install flairlite {content.get('flairlite_version')} or newer"
        )
    return content
