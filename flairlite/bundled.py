"""What is part of the package besides code: sample data, word vectors, and trained models that load by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairlite.errors import DataUnavailableError

_PACKAGE = Path(__file__).parent


def bundled_path(name: str) -> Path:
    """Return the path of a bundled file or folder, in an installed package or in a checkout.

    Raises:
        DataUnavailableError: If the package is incomplete.
    """
    for root in (_PACKAGE / "resources", _PACKAGE.parent / "resources"):
        if (root / name).exists():
            return root / name
    raise DataUnavailableError(f"the bundled data {name!r} is missing beside {_PACKAGE}: install flairlite again")


@dataclass(frozen=True)
class BundledModel:
    """A name of a bundled tagger.

    Attributes:
        file: The name of its file.
        label_type: The label type that the tagger of this name predicts; the file may contain others.
        description: What the tagger predicts, in a line.
    """

    file: str
    label_type: str
    description: str

    @property
    def path(self) -> Path:
        """The path of the file."""
        return bundled_path(f"english_taggers/{self.file}")


BUNDLED_MODELS = {
    "upos": BundledModel("upos.pt", "upos", "English universal parts of speech"),
    "pos": BundledModel("upos.pt", "xpos", "English parts of speech of the Penn Treebank"),
    "upos-fast": BundledModel("upos-fast.pt", "upos", "English universal parts of speech, in a smaller, faster model"),
}


def find_bundled(path: Path) -> BundledModel | None:
    """Return the bundled model of a name, or None if there is none, or if it is the path of a file."""
    return None if path.is_file() else BUNDLED_MODELS.get(str(path))


def path_of_model(path: Path) -> Path:
    """Return the path of the file of a bundled model, or another path as it is."""
    bundled = find_bundled(path)
    return path if bundled is None else bundled.path
