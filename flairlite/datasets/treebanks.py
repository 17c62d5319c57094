"""Prepared corpora: treebanks of Universal Dependencies, and small corpora that are bundled with flairlite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flairlite.bundled import bundled_path
from flairlite.data.corpus import SPLITS, Corpus
from flairlite.datasets.conllu import read_conllu
from flairlite.datasets.corpora import ClassificationCorpus, ColumnCorpus
from flairlite.datasets.splits import Splits, find_files
from flairlite.datasets.text_file import to_path
from flairlite.datasets.universal_dependencies import ConlluCorpus
from flairlite.download import Resource, fetch

__all__ = [
    "SAMPLE_ENGLISH",
    "SAMPLE_NER",
    "SAMPLE_REVIEWS",
    "SAMPLE_TOPICS",
    "UD_AFRIKAANS",
    "UD_ANCIENT_GREEK",
    "UD_ARABIC",
    "UD_ARMENIAN",
    "UD_BASQUE",
    "UD_BAVARIAN_MAIBAAM",
    "UD_BELARUSIAN",
    "UD_BULGARIAN",
    "UD_BURYAT",
    "UD_CATALAN",
    "UD_CHINESE",
    "UD_CHINESE_KYOTO",
    "UD_COPTIC",
    "UD_CROATIAN",
    "UD_CZECH",
    "UD_DANISH",
    "UD_DUTCH",
    "UD_ENGLISH",
    "UD_ESTONIAN",
    "UD_FAROESE",
    "UD_FINNISH",
    "UD_FRENCH",
    "UD_GALICIAN",
    "UD_GERMAN",
    "UD_GERMAN_HDT",
    "UD_GOTHIC",
    "UD_GREEK",
    "UD_HEBREW",
    "UD_HINDI",
    "UD_INDONESIAN",
    "UD_IRISH",
    "UD_ITALIAN",
    "UD_JAPANESE",
    "UD_KAZAKH",
    "UD_KOREAN",
    "UD_LATIN",
    "UD_LATVIAN",
    "UD_LITHUANIAN",
    "UD_LIVVI",
    "UD_MALTESE",
    "UD_MARATHI",
    "UD_NAIJA",
    "UD_NORTH_SAMI",
    "UD_NORWEGIAN",
    "UD_OLD_CHURCH_SLAVONIC",
    "UD_OLD_FRENCH",
    "UD_PERSIAN",
    "UD_POLISH",
    "UD_PORTUGUESE",
    "UD_ROMANIAN",
    "UD_RUSSIAN",
    "UD_SERBIAN",
    "UD_SLOVAK",
    "UD_SLOVENIAN",
    "UD_SPANISH",
    "UD_SWEDISH",
    "UD_TURKISH",
    "UD_UKRAINIAN",
    "UD_WOLOF",
    "Treebank",
]  # fmt: skip

_ADDRESS = "https://raw.githubusercontent.com/UniversalDependencies"
_FILES = Path(__file__).with_name("treebanks.txt")


@dataclass(frozen=True)
class Treebank:
    """One release of a Universal Dependencies treebank; call it to load it.

    Attributes:
        name: Flair's name of the corpus; in lower case, its folder in the cache and in a mirror.
        repository: Its repository on GitHub.
        release: The default release. The hashes of its files are known.

    Example:
        >>> from flairlite.datasets import UD_GERMAN
        >>> UD_GERMAN.repository, UD_GERMAN.release
        ('UD_German-GSD', 'r2.16')
    """

    name: str
    repository: str
    release: str = "r2.16"

    def __call__(
        self,
        base_path: str | Path | None = None,
        in_memory: bool = True,
        split_multiwords: bool = True,
        revision: str | None = None,
        *,
        sample_missing_splits: bool | str = False,
        random_seed: int | None = None,
    ) -> ConlluCorpus:
        """Load the treebank from the cache, from `FLAIRLITE_MIRROR`, or once from its official address.

        Args:
            base_path: A folder that has the treebank already, in a folder named as the corpus in lower case; then
                nothing is downloaded.
            in_memory: Whether to keep the sentences, or to read them from the files on each access.
            split_multiwords: Whether the words are the syntactic words, or the written words, such as `don't`.
            revision: Another release, branch or commit, such as `r2.15`. Its files, which must have the same names, are
                not checked against a hash, which is logged.
            sample_missing_splits: As for `Corpus`; some treebanks have no dev split.
            random_seed: Seed of the sampling.

        Raises:
            DataUnavailableError: If its files are not available; the error says what to do.
        """
        files: Splits[Any]
        if base_path is None:
            files = Splits(*(self.fetch(split, revision) for split in SPLITS))
        else:
            folder = to_path(base_path, "base_path") / self.name.lower()
            files = find_files(folder, Splits(None, None, None), suffix=".conllu")
        return ConlluCorpus(
            files,
            name=f"{self.repository} {revision or self.release}",
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
            in_memory=in_memory,
            split_multiwords=split_multiwords,
        )

    def fetch(self, split: str, revision: str | None = None) -> list[Path]:
        """Return the files of a split, from the cache, the mirror or the official address; see `__call__`."""
        return [fetch(resource) for resource in self.resources(split, revision)]

    def resources(self, split: str, revision: str | None = None) -> list[Resource]:
        """Return the files of a split: mostly one; several, or none, for some treebanks."""
        is_pinned = revision in (None, self.release)
        release = self.release if is_pinned else str(revision)
        return [
            Resource(
                path=f"{self.name.lower()}/{release}/{file}",
                url=f"{_ADDRESS}/{self.repository}/{release}/{file}",
                known_hash=known_hash if is_pinned else None,
            )
            for file, known_hash in _known_files().get(f"{self.name.lower()}/{self.release}", {}).items()
            if re.search(rf"-ud-{split}\b", file)
        ]


@lru_cache(maxsize=1)
def _known_files() -> dict[str, dict[str, str]]:
    """Return the hashes of the files of each folder."""
    known: dict[str, dict[str, str]] = {}
    for line in _FILES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            folder, file, known_hash = line.split()
            known.setdefault(folder, {})[file] = known_hash
    return known


UD_AFRIKAANS = Treebank("UD_AFRIKAANS", "UD_Afrikaans-AfriBooms")
UD_ANCIENT_GREEK = Treebank("UD_ANCIENT_GREEK", "UD_Ancient_Greek-PROIEL")
UD_ARABIC = Treebank("UD_ARABIC", "UD_Arabic-PADT")
UD_ARMENIAN = Treebank("UD_ARMENIAN", "UD_Armenian-ArmTDP")
UD_BASQUE = Treebank("UD_BASQUE", "UD_Basque-BDT")
UD_BAVARIAN_MAIBAAM = Treebank("UD_BAVARIAN_MAIBAAM", "UD_Bavarian-MaiBaam")
UD_BELARUSIAN = Treebank("UD_BELARUSIAN", "UD_Belarusian-HSE")
UD_BULGARIAN = Treebank("UD_BULGARIAN", "UD_Bulgarian-BTB")
UD_BURYAT = Treebank("UD_BURYAT", "UD_Buryat-BDT")
UD_CATALAN = Treebank("UD_CATALAN", "UD_Catalan-AnCora")
UD_CHINESE = Treebank("UD_CHINESE", "UD_Chinese-GSD")
UD_CHINESE_KYOTO = Treebank("UD_CHINESE_KYOTO", "UD_Classical_Chinese-Kyoto")
UD_COPTIC = Treebank("UD_COPTIC", "UD_Coptic-Scriptorium")
UD_CROATIAN = Treebank("UD_CROATIAN", "UD_Croatian-SET")
UD_CZECH = Treebank("UD_CZECH", "UD_Czech-PDTC", "r2.15")
UD_DANISH = Treebank("UD_DANISH", "UD_Danish-DDT")
UD_DUTCH = Treebank("UD_DUTCH", "UD_Dutch-Alpino")
UD_ENGLISH = Treebank("UD_ENGLISH", "UD_English-EWT")
UD_ESTONIAN = Treebank("UD_ESTONIAN", "UD_Estonian-EDT")
UD_FAROESE = Treebank("UD_FAROESE", "UD_Faroese-FarPaHC")
UD_FINNISH = Treebank("UD_FINNISH", "UD_Finnish-TDT")
UD_FRENCH = Treebank("UD_FRENCH", "UD_French-GSD")
UD_GALICIAN = Treebank("UD_GALICIAN", "UD_Galician-TreeGal")
UD_GERMAN = Treebank("UD_GERMAN", "UD_German-GSD")
UD_GERMAN_HDT = Treebank("UD_GERMAN_HDT", "UD_German-HDT")
UD_GOTHIC = Treebank("UD_GOTHIC", "UD_Gothic-PROIEL")
UD_GREEK = Treebank("UD_GREEK", "UD_Greek-GDT")
UD_HEBREW = Treebank("UD_HEBREW", "UD_Hebrew-HTB")
UD_HINDI = Treebank("UD_HINDI", "UD_Hindi-HDTB")
UD_INDONESIAN = Treebank("UD_INDONESIAN", "UD_Indonesian-GSD")
UD_IRISH = Treebank("UD_IRISH", "UD_Irish-IDT")
UD_ITALIAN = Treebank("UD_ITALIAN", "UD_Italian-ISDT")
UD_JAPANESE = Treebank("UD_JAPANESE", "UD_Japanese-GSD")
UD_KAZAKH = Treebank("UD_KAZAKH", "UD_Kazakh-KTB")
UD_KOREAN = Treebank("UD_KOREAN", "UD_Korean-Kaist")
UD_LATIN = Treebank("UD_LATIN", "UD_Latin-LLCT")
UD_LATVIAN = Treebank("UD_LATVIAN", "UD_Latvian-LVTB")
UD_LITHUANIAN = Treebank("UD_LITHUANIAN", "UD_Lithuanian-ALKSNIS")
UD_LIVVI = Treebank("UD_LIVVI", "UD_Livvi-KKPP")
UD_MALTESE = Treebank("UD_MALTESE", "UD_Maltese-MUDT")
UD_MARATHI = Treebank("UD_MARATHI", "UD_Marathi-UFAL")
UD_NAIJA = Treebank("UD_NAIJA", "UD_Naija-NSC")
UD_NORTH_SAMI = Treebank("UD_NORTH_SAMI", "UD_North_Sami-Giella")
UD_NORWEGIAN = Treebank("UD_NORWEGIAN", "UD_Norwegian-Bokmaal")
UD_OLD_CHURCH_SLAVONIC = Treebank("UD_OLD_CHURCH_SLAVONIC", "UD_Old_Church_Slavonic-PROIEL")
UD_OLD_FRENCH = Treebank("UD_OLD_FRENCH", "UD_Old_French-PROFITEROLE")
UD_PERSIAN = Treebank("UD_PERSIAN", "UD_Persian-Seraji")
UD_POLISH = Treebank("UD_POLISH", "UD_Polish-LFG")
UD_PORTUGUESE = Treebank("UD_PORTUGUESE", "UD_Portuguese-Bosque")
UD_ROMANIAN = Treebank("UD_ROMANIAN", "UD_Romanian-RRT")
UD_RUSSIAN = Treebank("UD_RUSSIAN", "UD_Russian-SynTagRus")
UD_SERBIAN = Treebank("UD_SERBIAN", "UD_Serbian-SET")
UD_SLOVAK = Treebank("UD_SLOVAK", "UD_Slovak-SNK")
UD_SLOVENIAN = Treebank("UD_SLOVENIAN", "UD_Slovenian-SSJ")
UD_SPANISH = Treebank("UD_SPANISH", "UD_Spanish-GSD")
UD_SWEDISH = Treebank("UD_SWEDISH", "UD_Swedish-Talbanken")
UD_TURKISH = Treebank("UD_TURKISH", "UD_Turkish-IMST")
UD_UKRAINIAN = Treebank("UD_UKRAINIAN", "UD_Ukrainian-IU")
UD_WOLOF = Treebank("UD_WOLOF", "UD_Wolof-WTB")


def SAMPLE_ENGLISH() -> Corpus:
    """Load a small English corpus with lemma, UPOS, XPOS and morphological features.

    It was written for this project, in nine genres, after the guidelines of Universal Dependencies; see
    `resources/sample_english/README.md`. It serves for trials and tests: it is too small to train a good model.
    """
    folder = bundled_path("sample_english")
    train, dev, test = (read_conllu(folder / f"{split}.conllu") for split in SPLITS)
    return Corpus(train, dev, test, name="sample_english")


def SAMPLE_NER() -> ColumnCorpus:
    """Load 421 English sentences with names of persons, places and organisations as spans of the type `ner`.

    They serve for trials and tests; see `resources/sample_ner/README.md`.
    """
    return ColumnCorpus(bundled_path("sample_ner"), {0: "text", 1: "ner"}, column_delimiter="\t", name="sample_ner")


def SAMPLE_REVIEWS() -> ClassificationCorpus:
    """Load 527 short English reviews, each with a label of the type `sentiment`: positive, negative or neutral.

    They serve for trials and tests; see `resources/sample_reviews/README.md`.
    """
    return ClassificationCorpus(bundled_path("sample_reviews"), "sentiment", name="sample_reviews")


def SAMPLE_TOPICS() -> ClassificationCorpus:
    """Load the reviews of `SAMPLE_REVIEWS` with one or two labels of the type `topic`.

    They serve for trials and tests; see `resources/sample_topics/README.md`.
    """
    return ClassificationCorpus(bundled_path("sample_topics"), "topic", name="sample_topics")
