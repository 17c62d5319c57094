"""The training, development and test split of a corpus, and the search for their files in a folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from flairlite.checks import flag
from flairlite.data.corpus import SPLITS
from flairlite.datasets.text_file import to_path
from flairlite.errors import DataFormatError, SettingError

log = logging.getLogger("flairlite")

Files: TypeAlias = "Sequence[str | Path] | str | Path | None"
_Part = TypeVar("_Part")
_Other = TypeVar("_Other")

_NAMES = {"train": ("train",), "dev": ("dev", "testa"), "test": ("testb", "test")}  # the first match counts
_NO_DATA = {".gz", ".swp", ".bak", ".orig", ".zip", ".md", ".pt", ".pkl"}


@dataclass(frozen=True)
class Splits(Generic[_Part]):
    """One value for each split of a corpus.

    Attributes:
        train: That of the training split.
        dev: That of the development split.
        test: That of the test split.
    """

    train: _Part
    dev: _Part
    test: _Part

    def map(self, function: Callable[[_Part, str], _Other]) -> Splits[_Other]:
        """Apply a function to the value and the name of each split, train first."""
        return Splits(*(function(part, split) for split, part in self.items()))

    def items(self) -> Iterator[tuple[str, _Part]]:
        """Yield the name and the value of each split."""
        return ((split, getattr(self, split)) for split in SPLITS)


def find_train_dev_test_files(
    data_folder: str | Path,
    dev_file: str | Path | None,
    test_file: str | Path | None,
    train_file: str | Path | None,
    autofind_splits: bool = True,
    *,
    suffix: str | None = None,
) -> tuple[Path | None, Path | None, Path | None]:
    """Return the files of the dev, the test and the training split, in this order.

    If no training file is given, missing files are searched for in the folder: names with `train`, with `dev` or
    `testa`, with `testb` or `test`. Compressed, hidden and backup files are ignored.

    Args:
        data_folder: The folder.
        dev_file: Name of the development file, or None.
        test_file: Name of the test file, or None.
        train_file: Name of the training file, or None.
        autofind_splits: Whether to search for missing files.
        suffix: Required ending of the names found.

    Raises:
        DataFormatError: If the folder cannot be read, or no file is found.
        SettingError: If several files in the folder fit the same split, or an argument is not a path.
    """
    found = find_files(data_folder, Splits(train_file, dev_file, test_file), autofind_splits, suffix)
    return found.dev, found.test, found.train


def find_files(
    data_folder: str | Path, given: Splits[str | Path | None], search: bool = True, suffix: str | None = None
) -> Splits[Path | None]:
    """Return the files of a corpus in a folder; see `find_train_dev_test_files`."""
    folder = to_path(data_folder, "data_folder").expanduser()
    search = flag("autofind_splits", search)
    names = _files_in(folder, suffix) if search and given.train is None else []

    def find(file: str | Path | None, split: str) -> Path | None:
        return _file_of(split, names, folder) if file is None else folder / to_path(file, f"{split}_file")

    found = given.map(find)
    if not any(file for _, file in found.items()):
        problem = f"no file in it has train, dev or test in its name{_contents(folder)}"
        raise DataFormatError(problem, path=folder, remedy="Pass train_file, dev_file or test_file")
    log.info("Reading data from %s", folder)
    for split, file in found.items():
        log.info("%s: %s", split.capitalize(), file)
    return found


def list_files(files: Files, name: str) -> list[Path]:
    """Return the files of a split as a list.

    Raises:
        SettingError: If one of them is not a path.
    """
    several: Any = [] if files is None else [files] if isinstance(files, (str, bytes, os.PathLike)) else files
    try:
        return [to_path(file, name) for file in several]
    except TypeError as error:
        raise SettingError(f"{name} must be a path or a list of paths, not {files!r:.80}") from error


def _files_in(folder: Path, suffix: str | None) -> list[str]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        problem = f"the folder cannot be read: {error.strerror or error}"
        remedy = f"Give its folder, and train_file={folder.name!r}" if folder.is_file() else "Check data_folder"
        raise DataFormatError(problem, path=folder, remedy=remedy) from error
    return [
        path.name
        for path in files
        if _NO_DATA.isdisjoint(path.suffixes) and path.name[0] != "." and path.name.endswith(suffix or "")
        if not path.name.endswith("~")
    ]


def _file_of(split: str, names: list[str], folder: Path) -> Path | None:
    others = [name for other in SPLITS if other != split for name in _NAMES[other]]
    for wanted in _NAMES[split]:
        fitting = [name for name in names if wanted in name.lower()]
        if wanted == "test":
            fitting = [name for name in fitting if "testa" not in name.lower()]
        separate = [name for name in fitting if wanted in re.split(r"[^a-z]+", name.lower())]  # not part of a word
        clear = [name for name in separate or fitting if not any(other in name.lower() for other in others)]
        best = clear or separate or fitting
        if len(best) > 1:
            raise SettingError(
                f"several files in {folder} may be the {split} split, {', '.join(best)}: pass {split}_file"
            )
        if best:
            return folder / best[0]
    return None


def _contents(folder: Path) -> str:
    names = _files_in(folder, None)
    return f"; it has {', '.join(names[:10])}{' and others' if len(names) > 10 else ''}" if names else "; it is empty"
