"""Which files are the splits of a corpus, given or found in a folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from flairlite.data.corpus import SPLITS
from flairlite.data.dataset import ConcatDataset
from flairlite.data.sentence import Sentence
from flairlite.errors import DataFormatError, SettingError

log = logging.getLogger("flairlite")

Files: TypeAlias = "Sequence[str | Path] | str | Path | None"
Split: TypeAlias = "Sequence[Sentence] | None"

_NAMES = {"train": ("train",), "dev": ("dev", "testa"), "test": ("testb", "test")}  # the first that fits counts
_NO_DATA = {".gz", ".swp", ".bak", ".orig", ".zip", ".md", ".pt", ".pkl"}


def find_train_dev_test_files(
    data_folder: str | Path,
    dev_file: str | Path | None,
    test_file: str | Path | None,
    train_file: str | Path | None,
    autofind_splits: bool = True,
    *,
    suffix: str | None = None,
) -> tuple[Path | None, Path | None, Path | None]:
    """Return the files of the dev, the test and the training split.

    Where no training file is given, all that are not given are looked for in the folder: files with `train` in their
    name, with `dev` or `testa`, with `testb` or `test`. Packed, hidden and left-over files are none.

    Args:
        data_folder: The folder.
        dev_file: The file of the dev split, in the folder, or None.
        test_file: That of the test split, or None.
        train_file: That of the training split, or None.
        autofind_splits: Whether files are looked for.
        suffix: What files must end with to be found.

    Raises:
        DataFormatError: when the folder is not there, or has none of them.
        SettingError: when several files in it may be the same split.
    """
    folder = Path(data_folder).expanduser()
    given = {"train": train_file, "dev": dev_file, "test": test_file}
    found = {split: None if file is None else folder / file for split, file in given.items()}
    if train_file is None and autofind_splits:
        names = _files_in(folder, suffix)
        for split in (split for split in SPLITS if found[split] is None):
            found[split] = _file_of(split, names, folder)
    if not any(found.values()):
        remedy = "Give train_file, dev_file or test_file"
        raise DataFormatError(
            f"no file in it has train, dev or test in its name{_shown(folder)}", path=folder, remedy=remedy
        )
    log.info("Reading data from %s", folder)
    for split in SPLITS:
        log.info("%s: %s", split.capitalize(), found[split])
    return found["dev"], found["test"], found["train"]


def load_splits(
    load: Callable[[Path, str], Sequence[Sentence]], train: Files, dev: Files, test: Files
) -> tuple[Split, Split, Split]:
    """Return the sentences of train, dev and test; those of several files one behind the other.

    Args:
        load: Reads a file of a split, given its name.
        train: The file of the training split, or several.
        dev: Those of the dev split.
        test: Those of the test split.

    Raises:
        SettingError: when there is no file.
    """

    def loaded(split: str, given: Files) -> Split:
        paths = [given] if isinstance(given, (str, Path)) else list(given or ())
        parts = [load(Path(path), split) for path in paths]
        return ConcatDataset(parts) if len(parts) > 1 else parts[0] if parts else None

    if not any((train, dev, test)):
        raise SettingError("a corpus needs a file at least: give those of train, dev or test")
    return loaded("train", train), loaded("dev", dev), loaded("test", test)


def _files_in(folder: Path, suffix: str | None) -> list[str]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        problem = f"the folder cannot be read: {error.strerror or error}"
        raise DataFormatError(problem, path=folder, remedy="Check data_folder") from error
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
        alone = [name for name in fitting if wanted in re.split(r"[^a-z]+", name.lower())]  # a word, not part of one
        clear = [name for name in alone or fitting if not any(other in name.lower() for other in others)]
        chosen = clear or alone or fitting
        if len(chosen) > 1:
            raise SettingError(
                f"several files in {folder} may be the {split} split, {', '.join(chosen)}: give {split}_file"
            )
        if chosen:
            return folder / chosen[0]
    return None


def _shown(folder: Path) -> str:
    names = _files_in(folder, None)
    return f"; it has {', '.join(names[:10])}{' and others' if len(names) > 10 else ''}" if names else "; it is empty"
