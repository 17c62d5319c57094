"""The trained models that are part of the package, which `load` finds by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairlite.download import bundled_path

_FOLDER = "english_taggers"


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
        return bundled_path(f"{_FOLDER}/{self.file}")


BUNDLED_MODELS = {
    "upos": BundledModel("upos.pt", "upos", "English universal parts of speech"),
    "pos": BundledModel("upos.pt", "xpos", "English parts of speech of the Penn Treebank"),
    "upos-fast": BundledModel("upos-fast.pt", "upos", "English universal parts of speech, in a smaller, faster model"),
}


def find_bundled(path: Path) -> BundledModel | None:
    """Return the bundled model of a name, or None if there is none, or if it is the path of a file."""
    return None if path.exists() else BUNDLED_MODELS.get(str(path))
