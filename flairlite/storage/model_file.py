"""Read and write model files. They hold only tensors and plain containers, so loading one executes no code from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flairlite.checks import file_path
from flairlite.errors import ModelFileError
from flairlite.storage.archive_check import check_archive, describe_archive
from flairlite.storage.atomic import atomic_write
from flairlite.storage.description import EMPTY, describe_format, describe_missing
from flairlite.version import __version__

FORMAT_VERSION = 2  # 1: fixed vectors in float32 only; 2: in twelve bits too. Both can be read
_WRITERS = {"model": "model.save", "checkpoint": "training", "soft labels": "SoftLabels.save"}


def write_model_file(path: Path, content: dict[str, Any], *, kind: str = "model") -> None:
    """Write the content of a model, or of another `kind` of file such as a checkpoint, atomically.

    Raises:
        ModelFileError: If the content is not only plain containers and tensors.
        FileWriteError: If the file cannot be written.
    """
    import torch  # here, because `describe_model_file` does not need it

    from flairlite.storage.to_plain import to_plain

    content = to_plain(content)
    header = {"format": f"flairlite {kind}", "format_version": FORMAT_VERSION, "flairlite_version": __version__}
    with atomic_write(path) as file:
        torch.save({**header, **content}, file)


def read_model_file(path: str | Path, *, kind: str = "model") -> dict[str, Any]:
    """Read a file that `write_model_file` wrote, with all tensors on the CPU.

    Raises:
        ModelFileError: If the file is missing, damaged, from another program, of another kind, or of a newer format.
        MemoryError: If the tensors do not fit into memory.
    """
    return _read(path, kind, _load)


def describe_model_file(path: str | Path) -> dict[str, Any]:
    """Read the structure of a model file, without torch and without its tensors, which are `TensorInfo` objects.

    Raises:
        ModelFileError: As for `read_model_file`, except if a tensor is damaged.
    """
    return _read(path, "model", describe_archive)


def _load(path: Path) -> Any:
    import torch

    check_archive(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _read(path: str | Path, kind: str, load: Callable[[Path], Any]) -> dict[str, Any]:
    """Return the content of a file as `load` returns it, after checking that it is of a kind."""
    path = file_path("model_path", path)
    if not path.is_file():
        source = "training or model.save" if kind == "model" else _WRITERS[kind]
        raise ModelFileError(describe_missing(path, kind, source=source))
    try:
        content: dict[str, Any] = load(path)
    except MemoryError:
        raise
    except PermissionError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. Change its permissions") from error
    except Exception as error:  # for damaged files, zipfile, pickle and torch raise many types
        if "can't allocate memory" in str(error):
            raise MemoryError(f"{path} does not fit into memory") from error
        raise ModelFileError(_describe_other(path, kind, error)) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != f"flairlite {kind}":
        remedy = f"save one with {_WRITERS[kind]}"
        if found == "flairlite checkpoint":
            remedy = "it is a checkpoint: resume its run, or load best-model.pt or final-model.pt beside it"
        raise ModelFileError(f"{path} is not a {kind} file of flairlite: {remedy}")
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path} is damaged: its format version is {version!r}. Copy it again, or train again")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}, but this is flairlite {__version__}, which reads formats up to "
            f"{FORMAT_VERSION}: install flairlite {content.get('flairlite_version')} or newer"
        )
    return content


def _describe_other(path: Path, kind: str, error: Exception) -> str:
    """Return the error message for a file that cannot be loaded: what it is if that is known, or that it is damaged."""
    known = describe_format(path)
    if known and known != EMPTY:
        return f"{path} is not a {kind} file of flairlite: {known}"
    reason = known or (str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
    remedy = "train again; a file of Flair before 0.12 or of another library cannot be loaded"
    if kind != "model":
        remedy = f"write it again with {_WRITERS[kind]}"
    return f"{path} is not a {kind} file of flairlite, or it is damaged ({reason}). Copy it again, or {remedy}"
