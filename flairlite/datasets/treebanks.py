"""Prepared corpora: rows of a table, each a treebank and the pinned release of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairlite.data import Corpus
from flairlite.data.corpus import SPLITS
from flairlite.datasets.conllu import read_conllu
from flairlite.download import Resource, fetch


@dataclass(frozen=True)
class Treebank:
    """One release of a Universal Dependencies treebank.

    Attributes:
        name: What the corpus is called.
        folder: Where cache and mirror keep it.
        url: Its official address, up to the file names.
        files: File and sha256 of each split.
    """

    name: str
    folder: str
    url: str
    files: dict[str, tuple[str, str]]

    def fetch(self, split: str) -> Path:
        """Return the file of a split, from the cache, the mirror or the official address."""
        file, sha256 = self.files[split]
        return fetch(Resource(path=f"{self.folder}/{file}", url=f"{self.url}/{file}", known_hash=f"sha256:{sha256}"))

    def load(self) -> Corpus:
        """Read all splits."""
        train, dev, test = (read_conllu(self.fetch(split)) for split in SPLITS)
        return Corpus(train, dev, test, name=self.name)


ENGLISH_EWT = Treebank(
    name="UD_English-EWT r2.16",
    folder="ud_english/r2.16",
    url="https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.16",
    files={
        "train": ("en_ewt-ud-train.conllu", "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"),
        "dev": ("en_ewt-ud-dev.conllu", "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6"),
        "test": ("en_ewt-ud-test.conllu", "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd"),
    },
)


def UD_ENGLISH() -> Corpus:  # Flair's name
    """Load the English Web Treebank: 12,544 + 2,001 + 2,077 sentences of blogs, mails, news, reviews and answers.

    Its files come from the cache, from `FLAIRLITE_MIRROR`, or are downloaded once from their official address.

    Raises:
        DataUnavailableError: when they can be had from none of these; the error says what to do.
    """
    return ENGLISH_EWT.load()
