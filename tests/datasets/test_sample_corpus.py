"""The bundled corpus is whole: sizes, tags, lemmas and texts are what its README says."""

from __future__ import annotations

import re
import socket
from collections import Counter

import pytest

from flairlite.bundled import bundled_path
from flairlite.data import Corpus, Sentence
from flairlite.data.corpus import SPLITS
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.errors import DataUnavailableError

OPEN_CLASSES = {"ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB"}
CLOSED_CLASSES = {"ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ"}
UPOS = OPEN_CLASSES | CLOSED_CLASSES | {"PUNCT", "SYM", "X"}
README = (bundled_path("sample_english") / "README.md").read_text(encoding="utf-8")


def in_splits(corpus: Corpus) -> list[list[Sentence]]:
    return [list(getattr(corpus, split)) for split in SPLITS]


def readme_row(first_cell: str) -> list[int]:
    """Return the numbers of train, dev, test and all from the row of a table in the README."""
    found = re.search(rf"^\| {re.escape(first_cell)} \|(.*)\|$", README, re.MULTILINE)
    assert found, f"the README has no row {first_cell!r}"
    return [int(cell) for cell in found.group(1).split("|")]


def test_corpus_is_loaded_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was opened"))
    corpus = SAMPLE_ENGLISH()
    assert corpus.name == "sample_english"
    assert str(corpus) == "Corpus: 498 train + 111 dev + 111 test sentences"


def test_sizes_equal_those_of_the_readme(sample: Corpus) -> None:
    sentences = [len(split) for split in in_splits(sample)]
    words = [sum(map(len, split)) for split in in_splits(sample)]
    ranges = [sum(len(s.metadata.get("multiword_tokens", ())) for s in split) for split in in_splits(sample)]
    for name, counts in {"sentences": sentences, "words": words, "multi-word tokens": ranges}.items():
        assert [*counts, sum(counts)] == readme_row(name)


def test_genres_equal_those_of_the_readme(sample: Corpus) -> None:
    genres = [Counter(sentence.metadata["genre"] for sentence in split) for split in in_splits(sample)]
    assert len(set().union(*genres)) == 9
    for genre in set().union(*genres):
        counts = [split[genre] for split in genres]
        assert [*counts, sum(counts)] == readme_row(f"`{genre}`")


def test_tag_counts_of_every_split_equal_those_of_the_readme(sample: Corpus) -> None:
    tags = [Counter(tag for s in split for tag in s.token_labels("upos") or [None]) for split in in_splits(sample)]
    assert set().union(*tags) == UPOS
    assert len(UPOS) == 17
    for tag in UPOS:
        counts = [split[tag] for split in tags]
        assert min(counts) > 0
        assert [*counts, sum(counts)] == readme_row(tag)


def test_every_text_is_its_words_and_spaces(sample: Corpus) -> None:
    for sentence in sample.get_all_sentences():
        assert sentence.text == sentence.metadata["text"], sentence.metadata["sent_id"]
        assert all(sentence.text[token.start_position : token.end_position] == token.text for token in sentence)


def test_ids_are_unique_and_contain_genre_and_split(sample: Corpus) -> None:
    ids = [sentence.metadata["sent_id"] for sentence in sample.get_all_sentences()]
    assert len(set(ids)) == len(ids)
    for split in SPLITS:
        for sentence in getattr(sample, split):
            assert re.fullmatch(rf"{sentence.metadata['genre']}-{split}-\d{{4}}", sentence.metadata["sent_id"])


def test_no_sentence_is_repeated(sample: Corpus) -> None:
    texts = Counter(re.sub(r"\W+", " ", sentence.text.lower()).strip() for sentence in sample.get_all_sentences())
    assert [text for text, count in texts.items() if count > 1] == []


@pytest.mark.parametrize("label_type", ["lemma", "upos", "xpos"])
def test_every_word_has_the_label(sample: Corpus, label_type: str) -> None:
    for sentence in sample.get_all_sentences():
        column = sentence.token_labels(label_type)
        assert column is not None
        assert None not in column, sentence.metadata["sent_id"]
        assert len(column) == len(sentence)


def test_syntax_is_not_annotated(sample: Corpus) -> None:
    types = sample.get_label_types()
    assert not {"head", "deprel", "dependency", "deps"} & set(types)
    assert {"lemma", "upos", "xpos", "pos", "feats", "misc", "Number", "VerbForm"} <= set(types)


def test_features_are_written_as_the_guidelines_ask(sample: Corpus) -> None:
    """Names are in order, regardless of case, each once, and every one has a value."""
    sets = {value for s in sample.get_all_sentences() for value in s.token_labels("feats") or () if value is not None}
    for features in sets:
        names = [pair.partition("=")[0].lower() for pair in features.split("|")]
        assert names == sorted(set(names)), features
        assert all(re.fullmatch(r"[A-Z]\w*(\[[a-z]+\])?=[A-Z0-9]\w*(,[A-Z0-9]\w*)*", p) for p in features.split("|"))


def test_missing_bundled_data_is_named() -> None:
    with pytest.raises(DataUnavailableError, match=r"'no_such_corpus' is missing.*install flairlite again"):
        bundled_path("no_such_corpus")
