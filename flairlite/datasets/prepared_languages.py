"""Prepared corpora with a part for each language, each from one public repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flairlite.checks import one_of, shown
from flairlite.data.corpus import MultiCorpus
from flairlite.datasets.corpora import FileCorpus
from flairlite.datasets.prepared import PreparedCorpus, names_of_known_corpora
from flairlite.errors import SettingError

__all__ = ["MASAKHA_POS", "NER_ICDAR_EUROPEANA", "NER_MASAKHANE"]


def _parts(whole: PreparedCorpus) -> dict[str, PreparedCorpus]:
    """Return the parts of a corpus, by the rest of their name in the table of files, such as `fr` or `v1/bam`."""
    prefix = f"{whole.name}/"
    names = [name for name in names_of_known_corpora() if name.startswith(prefix)]
    return {name.removeprefix(prefix): replace(whole, name=name) for name in names}


_ICDAR_EUROPEANA = PreparedCorpus(
    name="NER_ICDAR_EUROPEANA",
    licence="CC0 1.0",
    columns={0: "text", 1: "ner"},
    repository="stefan-it/historic-domain-adaptation-icdar",
    revision="8586013f165a97a7f17b853fe0640185500c1ee5",
    options={"column_delimiter": "\t"},
)
_MASAKHANE = PreparedCorpus(
    name="NER_MASAKHANE",
    licence="CC BY-NC 4.0",
    columns={0: "text", 1: "ner"},
    repository="masakhane-io/masakhane-ner",
    revision="ba5843cd08aa491d5f96a5e809e71eb9ec461391",
    options={"comment_symbol": None},  # `#` is a word
)
_MASAKHA_POS = PreparedCorpus(
    name="MASAKHA_POS",
    licence="CC BY-NC 4.0",
    columns={0: "text", 1: "pos"},
    repository="masakhane-io/masakhane-pos",
    revision="a42273eb27d37f3dedfc3914bfccb88199e10454",
    options={"comment_symbol": None},  # `#` is a word
)
_WHOLES = (_ICDAR_EUROPEANA, _MASAKHANE, _MASAKHA_POS)
_CODES = {  # Flair's names of languages
    "akan_twi": "twi", "amharic": "amh", "bambara": "bam", "chichewa": "nya", "chishona": "sna", "ghomala": "bbj",
    "hausa": "hau", "igbo": "ibo", "isixhosa": "xho", "isizulu": "zul", "kinyarwanda": "kin", "kiswahili": "swa",
    "luganda": "lug", "mossi": "mos", "naija": "pcm", "setswana": "tsn", "swahili": "swa", "wolof": "wol",
    "yoruba": "yor",
}  # fmt: skip


def parts_by_corpus() -> dict[str, list[PreparedCorpus]]:
    """Return the parts of each corpus of this module, whose names are like `NER_MASAKHANE/v2/hau`."""
    return {whole.name: list(_parts(whole).values()) for whole in _WHOLES}


def NER_ICDAR_EUROPEANA(
    language: str, base_path: str | Path | None = None, in_memory: bool = True, **options: Any
) -> FileCorpus:
    """Load French or Dutch newspapers of about 1900 with named entities.

    Args:
        language: `fr` or `nl`.
        base_path: As for `PreparedCorpus`.
        in_memory: As for `PreparedCorpus`.
        options: Further arguments of `ColumnCorpus`.

    Raises:
        DataUnavailableError: If its files are not available; the error says what to do.
        SettingError: If the language or an option is unknown.
    """
    parts = _parts(_ICDAR_EUROPEANA)
    return parts[one_of(*parts)("language", language)](base_path, in_memory, **options)


def NER_MASAKHANE(
    languages: str | Iterable[str] = "luo",
    version: str = "v2",
    base_path: str | Path | None = None,
    in_memory: bool = True,
    **options: Any,
) -> MultiCorpus:
    """Load news in African languages with named entities: persons, places, organisations and dates.

    Args:
        languages: A language, several, or `all`: by ISO 639-3 code such as `hau`, or by Flair's name such as `hausa`.
        version: `v2` has 20 languages, `v1` 10.
        base_path: As for `PreparedCorpus`.
        in_memory: As for `PreparedCorpus`.
        options: Further arguments of `ColumnCorpus`.

    Returns:
        The corpora of the languages as one; the label `multitask_id` of a sentence is its language.

    Raises:
        DataUnavailableError: If its files are not available; the error says what to do.
        SettingError: If a language, the version or an option is unknown.
    """
    return _load_languages(_MASAKHANE, languages, one_of("v1", "v2")("version", version), base_path, in_memory, options)


def MASAKHA_POS(
    languages: str | Iterable[str] = "bam",
    version: str = "v1",
    base_path: str | Path | None = None,
    in_memory: bool = True,
    **options: Any,
) -> MultiCorpus:
    """Load news in 20 African languages with universal parts of speech; the label type is `pos`.

    The arguments are those of `NER_MASAKHANE`; there is only version `v1`.

    Raises:
        DataUnavailableError: If its files are not available; the error says what to do.
        SettingError: If a language, the version or an option is unknown.
    """
    return _load_languages(_MASAKHA_POS, languages, one_of("v1")("version", version), base_path, in_memory, options)


def _load_languages(
    whole: PreparedCorpus,
    languages: str | Iterable[str],
    version: str,
    base_path: str | Path | None,
    in_memory: bool,
    options: Mapping[str, Any],
) -> MultiCorpus:
    prefix = f"{version}/"
    parts = {name.removeprefix(prefix): part for name, part in _parts(whole).items() if name.startswith(prefix)}
    given = [languages] if isinstance(languages, str) else languages
    listed = list(given) if isinstance(given, Iterable) else [given]
    codes = [_CODES.get(name, name) if isinstance(name, str) else name for name in listed]
    codes = list(parts) if codes == ["all"] else list(dict.fromkeys(codes))
    unknown = [code for code in codes if code not in parts]
    if unknown or not codes:
        raise SettingError(
            f"languages must be one or several of {', '.join(parts)}, or 'all', for {whole.name} {version}; it is "
            f"{shown(languages)}"
        )
    corpora = [parts[code](base_path, in_memory, **options) for code in codes]
    return MultiCorpus(corpora, task_ids=codes, name=f"{whole.name.lower()}-{'-'.join(codes)}")
