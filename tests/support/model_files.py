"""Small taggers, their predictions, and the records in their files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import ModelFileError
from flairlite.models import SequenceTagger

WORDS = ["the", "dog", "été", "中文", "##", "00"]
TEXTS = ["The dog sleeps .", "été 中文", "dog 42 77 the the", "unheard-of"]


def make_tagger(seed: int = 0, **options: Any) -> SequenceTagger:
    vectors = WordVectors(WORDS, np.random.default_rng(seed).standard_normal((len(WORDS), 4)))
    dictionary = Dictionary.from_items(["<unk>", "NOUN", "VERB", "ADJ"])
    settings = {"hidden_size": 4, "seed": seed, **options}
    return SequenceTagger(WordEmbeddings(vectors), dictionary, "upos", **settings)


def predictions(tagger: SequenceTagger) -> list[list[tuple[str, float]]]:
    sentences = tagger.predict([Sentence(text, use_tokenizer=False) for text in TEXTS])
    return [[(label.value, label.score) for label in sentence.get_labels("upos")] for sentence in sentences]


def refusal(path: Path) -> str:
    """Return the message of the error that loading the file raises; the message must name the file."""
    with pytest.raises(ModelFileError) as caught:
        SequenceTagger.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def records_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, records: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip archive as torch does: uncompressed, without attributes, with correct checksums."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            record = zipfile.ZipInfo(name)
            record.external_attr, record.compress_type = 0, compression
            archive.writestr(record, content)
            record.external_attr = 0
    return path
