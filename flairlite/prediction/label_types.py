"""Choose among the label types of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flairlite.checks import strings
from flairlite.errors import SettingError
from flairlite.prediction.sentences import check_name


def choose_types(name: str, known: Sequence[str], label_types: str | Iterable[str] | None) -> list[int]:
    """Return the positions of label types among those of a model; of all if None.

    Args:
        name: The name of the argument, for messages.
        known: The label types of the model.
        label_types: A label type or several.

    Raises:
        SettingError: If a label type is unknown, or there is none.
    """
    chosen = known if label_types is None else strings(allow_one=True)(name, label_types)
    if not chosen or not set(chosen) <= set(known):
        raise SettingError(f"{name} must be among {', '.join(known)}, which the model predicts; it is {chosen!r}")
    return [index for index, label_type in enumerate(known) if label_type in chosen]


def choose_type(known: Sequence[str], label_type: str | None) -> int:
    """Return the position of a single label type among those of a model; of the main one if None.

    Raises:
        SettingError: If the label type is unknown, or not one name.
    """
    return 0 if label_type is None else choose_types("label_type", known, [check_name("label_type", label_type)])[0]


def names_to_write(label_types: Sequence[str], label_name: str | None) -> list[str]:
    """Return the names under which the labels of some types are written.

    Args:
        label_types: The label types to predict.
        label_name: Another name for the only one of them, or None.

    Raises:
        SettingError: If there are several, or the name is not one.
    """
    if label_name is None:
        return list(label_types)
    if len(label_types) > 1:
        raise SettingError(
            f"label_name renames one label type, but the model predicts {', '.join(label_types)}: give one of them as "
            f"label_types, as label_types={label_types[0]!r}"
        )
    return [check_name("label_name", label_name)]
