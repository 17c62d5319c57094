"""Describe files that cannot be loaded."""

from __future__ import annotations

import difflib
import zipfile
from pathlib import Path

from flairlite.bundled import BUNDLED_MODELS

EXPORT_MAGIC = b"flairlite export\n"  # near the beginning of the files that `Model.export` writes
EMPTY = "it is empty"

# first bytes of files that users give instead of a model file
_OTHER_FORMATS = {
    b"{": "it is a JSON file, such as a run record; the model is the file beside it that ends in .pt",
    b"version https://git-lfs": "it is a Git LFS pointer: fetch the file itself with `git lfs pull`",
    b"<": "it is an HTML or XML file: download the model again",
    b"\x1f\x8b": "it is compressed with gzip: unpack it first",
    b"\x80": "it is a pickle, which flairlite never loads because it can execute code, such as a model of Flair "
    "before 0.12: train again",
}


def describe_missing(path: Path, kind: str, *, suffix: str = ".pt", source: str) -> str:
    """Return the error message for a path that is not a file."""
    is_folder = path.is_dir()
    folder = path if is_folder else path.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == suffix)
    except OSError:
        names = []
    article = "an" if kind[0] in "aeiou" else "a"
    problem = f"{path} is a folder, not {article} {kind} file" if is_folder else f"no {kind} file at {path}"
    if not folder.exists():
        problem += f": the folder {folder} does not exist"
    elif names:
        names = [*difflib.get_close_matches(path.name, names, n=10, cutoff=0), *names]
        problem += f"; {folder} has {', '.join(list(dict.fromkeys(names))[:10])}"
    problem += f". Give the path of a file that {source} wrote"
    if kind == "model" and path.name == str(path) and not is_folder:
        problem += f"; the models that load by name are {', '.join(BUNDLED_MODELS)}"
    return problem


def describe_format(path: Path) -> str:
    """Return what a file is and what to do with it, or an empty string if its format is not recognized."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return EMPTY
    if EXPORT_MAGIC in start:
        return (
            "it is an exported model, which only predicts: load it with flairlite.deploy.load, or give the model that "
            "it was exported from"
        )
    for prefix, description in _OTHER_FORMATS.items():
        if start.lstrip().startswith(prefix):
            return description
    try:
        with zipfile.ZipFile(path) as archive:
            packed = next((name for name in archive.namelist() if name.endswith(".pt")), None)
    except (zipfile.BadZipFile, ValueError, OSError):
        packed = None
    return f"it is a zip archive that contains {packed}: unpack it first" if packed is not None else ""
