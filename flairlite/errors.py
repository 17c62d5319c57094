"""The errors a user of flairlite can meet; each message says what was expected, what came and what to do next."""

from __future__ import annotations

from pathlib import Path


class FlairliteError(Exception):
    """Base class of every error that flairlite raises on purpose."""


class DataFormatError(FlairliteError, ValueError):
    """A data file does not have the form that its reader expects.

    Args:
        problem: What was expected and what came.
        path: The file.
        line: The 1-based line in it, when the fault has one.
        remedy: What to do next.
    """

    def __init__(self, problem: str, *, path: str | Path, line: int | None = None, remedy: str = "") -> None:
        self.path, self.line, self.remedy = Path(path), line, remedy
        place = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(f"{place}: {problem}" + (f". {remedy}" if remedy else ""))


class DataUnavailableError(FlairliteError, OSError):
    """Data could be had from none of the places where it may lie."""


class UnknownNameError(DataUnavailableError, ValueError):
    """A name stands neither for prepared data nor for a file."""


class LabelError(FlairliteError, ValueError):
    """A label type or a label value is not there, or a dictionary does not fit the data."""


class ModelFileError(FlairliteError, ValueError):
    """A model file is missing, cut short, of another program or of a newer format."""


class TrainingError(FlairliteError, RuntimeError):
    """Training cannot start or go on."""


class SettingError(FlairliteError, ValueError):
    """An argument has a value that makes no sense, alone or with the others."""


class NotSerializableError(SettingError, NotImplementedError):
    """Something cannot be written into a file, and so cannot be read from one."""


class UnknownItemError(LabelError, IndexError):
    """A dictionary has no such item, or no item of this number."""


class MissingExtraError(FlairliteError, ImportError):
    """A package is missing that only this one function needs.

    Args:
        problem: What needs which package.
        extra: The extra of flairlite that brings it.
    """

    def __init__(self, problem: str, *, extra: str) -> None:
        super().__init__(f"{problem}, which comes with an extra: pip install 'flairlite[{extra}]'")
