"""Exceptions that flairlite raises; each message says what was expected, what was found and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class FlairliteError(Exception):
    """Base class of all errors that flairlite raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own version calls the constructor with `args`, which lack keyword-only arguments
        state = dict(self.__dict__)
        if isinstance(self, OSError) and self.errno is not None:
            state["errno"] = self.errno  # not in __dict__
        return _restore, (type(self), self.args), state


def _restore(error_class: type[FlairliteError], args: tuple[Any, ...]) -> FlairliteError:
    error = error_class.__new__(error_class, *args)
    super(FlairliteError, error).__init__(*args)
    return error


class DataFormatError(FlairliteError, ValueError):
    """A data file does not have the format that its reader expects.

    Args:
        problem: What was expected and what was found.
        path: The file.
        line: The 1-based line number, if the problem is in one line.
        remedy: What to do next.
    """

    def __init__(self, problem: str, *, path: str | Path, line: int | None = None, remedy: str = "") -> None:
        self.path, self.line, self.remedy = Path(path), line, remedy
        location = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(f"{location}: {problem}" + (f". {remedy}" if remedy else ""))


class DataUnavailableError(FlairliteError, OSError):
    """The data is in neither the cache nor the mirror nor at its official address."""


class UnknownNameError(DataUnavailableError, ValueError):
    """A name is neither the name of prepared data nor the path of a file."""


class FileWriteError(FlairliteError, OSError):
    """A file or folder cannot be written.

    Args:
        problem: Which file, why, and what to do next.
        path: The file or folder.
        errno: The error number of the system, if there is one.
    """

    def __init__(self, problem: str, *, path: Path, errno: int | None = None) -> None:
        super().__init__(problem)
        self.path = path
        self.errno = errno


class LabelError(FlairliteError, ValueError):
    """A label type or a label value does not exist, or a dictionary does not fit the data."""


class ModelFileError(FlairliteError, ValueError):
    """A model file is missing, damaged, from another program or of a newer format."""


class TrainingError(FlairliteError, RuntimeError):
    """Training cannot start or continue."""


class SettingError(FlairliteError, ValueError):
    """An argument has an invalid value or type, or contradicts another argument."""


class NotSerializableError(SettingError, NotImplementedError):
    """An object cannot be written to a file."""


class UnknownItemError(LabelError, IndexError):
    """A dictionary does not contain an item or an item id."""


class MissingExtraError(FlairliteError, ImportError):
    """An optional package, or the data of one, is not installed.

    Args:
        problem: What needs which package.
        extra: The extra of flairlite that installs the package; None if there is no extra for it.
        command: The command that installs the package; by default that of the extra.
    """

    def __init__(self, problem: str, *, extra: str | None = None, command: str = "") -> None:
        self.extra = extra
        command = command or f"pip install 'flairlite[{extra}]'"
        super().__init__(f"{problem}: {command}")
