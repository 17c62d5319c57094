"""Errors survive pickling, copying and worker processes with their type, message and attributes."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flairlite import errors
from flairlite.errors import DataFormatError, FileWriteError, FlairliteError, MissingExtraError

SPECIAL: dict[type[FlairliteError], Callable[[], FlairliteError]] = {
    DataFormatError: lambda: DataFormatError("bad row", path="a/b.txt", line=3, remedy="Fix it"),
    FileWriteError: lambda: FileWriteError("disk full", path=Path("a/b"), errno=28),
    MissingExtraError: lambda: MissingExtraError("plots need matplotlib", extra="plot"),
}
CLASSES = [
    value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, FlairliteError)
]  # sorted by name


class OwnError(DataFormatError):
    """A user's subclass with another signature."""

    def __init__(self, *, code: int) -> None:
        self.code = code
        super().__init__(f"code {code}", path="own.txt")


def make(error_class: type[FlairliteError]) -> FlairliteError:
    if error_class is OwnError:
        return OwnError(code=7)
    return SPECIAL[error_class]() if error_class in SPECIAL else error_class("what, where and what next")


def raise_error(error_class: type[FlairliteError]) -> None:
    raise make(error_class)


def assert_same(actual: BaseException, expected: FlairliteError) -> None:
    assert type(actual) is type(expected)
    assert str(actual) == str(expected)
    assert actual.args == expected.args
    assert vars(actual) == vars(expected)
    for name in ("errno", "msg"):  # of OSError and ImportError, which are not in vars
        assert getattr(actual, name, None) == getattr(expected, name, None)


@pytest.mark.parametrize("error_class", [*CLASSES, OwnError])
@pytest.mark.parametrize(
    "duplicate",
    [
        *(lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)) for protocol in range(6)),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_a_pickled_or_copied_error_is_the_same(
    error_class: type[FlairliteError], duplicate: Callable[[Any], Any]
) -> None:
    assert_same(duplicate(make(error_class)), make(error_class))


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    assert str(make(MissingExtraError)) == "plots need matplotlib: pip install 'flairlite[plot]'"
    assert (
        str(MissingExtraError("spaCy is missing", command="pip install spacy")) == "spaCy is missing: pip install spacy"
    )


def test_notes_and_own_attributes_are_kept() -> None:
    error = make(DataFormatError)
    error.remark = "seen"  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(error)).remark == "seen"


@pytest.mark.parametrize(
    "method", [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()]
)
def test_the_error_of_a_worker_arrives(method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        for error_class in [*CLASSES, OwnError] if method == "fork" else [DataFormatError]:
            with pytest.raises(error_class) as caught:
                pool.apply(raise_error, [error_class])
            assert str(caught.value) == str(make(error_class))


def test_every_error_has_one_base_class_and_a_builtin_one() -> None:
    builtin: dict[type[FlairliteError], tuple[type[Exception], ...]] = {
        errors.DataFormatError: (ValueError,),
        errors.DataUnavailableError: (OSError,),
        errors.UnknownNameError: (OSError, ValueError),
        errors.FileWriteError: (OSError,),
        errors.LabelError: (ValueError,),
        errors.ModelFileError: (ValueError,),
        errors.TrainingError: (RuntimeError,),
        errors.SettingError: (ValueError,),
        errors.NotSerializableError: (ValueError, NotImplementedError),
        errors.UnknownItemError: (ValueError, IndexError),
        errors.MissingExtraError: (ImportError,),
    }
    assert {*builtin, FlairliteError} == set(CLASSES)
    for error_class, bases in builtin.items():
        assert issubclass(error_class, (FlairliteError,))
        assert all(issubclass(error_class, base) for base in bases)
