"""Words without a vector are counted and named, in one report."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentPoolEmbeddings,
    Embeddings,
    StackedEmbeddings,
    WordEmbeddings,
)
from flairlite.embeddings.oov_report import find_unknown_words
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import encode
from flairlite.models import TextClassifier
from flairlite.trainers import ModelTrainer

VECTORS = WordVectors(["a", "b", "#"], np.ones((3, 2)))


def described(embedding: Embeddings, texts: list[list[str]]) -> list[str]:
    sentences = [Sentence(words) for words in texts]
    return list(map(str, find_unknown_words(embedding, encode(sentences, embedding.index), sentences)))


@given(st.lists(st.lists(st.sampled_from(["a", "B", "7", "X", "y", "Zz", "u", "v", "w"]), max_size=6), max_size=8))
def test_unknown_words_are_counted(texts: list[list[str]]) -> None:
    words = [word for text in texts for word in text]
    unknown = Counter(word for word in words if word not in ("a", "B", "7"))
    shown = ", ".join(f"{word} ({count})" for word, count in unknown.most_common(5))
    expected = [
        f"own has no vector for {unknown.total()} of {len(words)} words ({unknown.total() / len(words):.1%}), which "
        f"are {len(unknown)} different ones; the most frequent: {shown}"
        for _ in range(bool(unknown))
    ]
    for fine_tune in (False, True):
        assert described(WordEmbeddings(VECTORS, fine_tune=fine_tune, name="own"), texts) == expected


def test_each_part_of_a_stack_that_lacks_words_has_a_line() -> None:
    whole = WordEmbeddings(WordVectors(["a", "x"], np.ones((2, 2))), name="whole")
    parts = [WordEmbeddings(VECTORS, name="first"), CharacterEmbeddings(), whole]
    for embedding in (StackedEmbeddings(parts), DocumentPoolEmbeddings(parts)):
        [said] = described(embedding, [["a", "x"], ["x"]])
        assert said.startswith("first has no vector for 2 of 3 words (66.7%)")


def test_training_logs_the_report_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, device: torch.device) -> None:
    sentences = [Sentence(["a", "x"]).add_label("topic", "one"), Sentence(["b"]).add_label("topic", "other")]
    corpus = Corpus(sentences, sentences, sentences)
    embedding = DocumentPoolEmbeddings(WordEmbeddings(VECTORS, name="own"), "linear")
    classifier = TextClassifier(embedding, "topic", Dictionary.from_items(["one", "other"])).to(device)
    with caplog.at_level(logging.INFO, logger="flairlite"):
        ModelTrainer(classifier, corpus).train(tmp_path, max_epochs=3, embeddings_storage_mode="gpu")
    said = [record.getMessage() for record in caplog.records if "no vector" in record.getMessage()]
    assert said == ["own has no vector for 1 of 3 words (33.3%), which are 1 different ones; the most frequent: x (1)"]


def test_parts_of_a_stack_with_the_same_name_are_both_reported() -> None:
    parts = [WordEmbeddings(WordVectors(words, np.ones((len(words), 2))), name="own") for words in (["a"], ["a", "b"])]
    lines = described(StackedEmbeddings(parts), [["a", "b", "c"]])
    assert len(lines) == 2
    assert "own has no vector for 2 of 3 words" in lines[0]
    assert "1-own has no vector for 1 of 3 words" in lines[1]
