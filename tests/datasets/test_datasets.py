"""Sequences of sentences, batches of them, and which files are the splits of a corpus."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import flairlite
from flairlite import datasets
from flairlite.data import Corpus, Sentence
from flairlite.datasets import (
    DataLoader,
    FlairDatapointDataset,
    SentenceDataset,
    StringDataset,
    find_train_dev_test_files,
)
from flairlite.errors import DataFormatError, SettingError

SENTENCES = [Sentence([f"w{number}"]) for number in range(10)]


# Which file is which split


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.txt", "dev.txt", "test.txt"], ("train.txt", "dev.txt", "test.txt")),
        (["eng.train", "eng.testa", "eng.testb"], ("eng.train", "eng.testa", "eng.testb")),
        (["eng.train", "eng.testa"], ("eng.train", "eng.testa", None)),
        (
            ["NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"],
            ("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"),
        ),
        (
            ["train.txt", "train.txt.gz", ".train.txt.swp", "train.bak", "train.txt~", "README-train.md"],
            ("train.txt", None, None),
        ),
        (["train.txt", "trainer-notes.txt"], ("train.txt", None, None)),
        (["train.txt", "test-of-train.txt"], ("train.txt", None, "test-of-train.txt")),
        (["data_dev.txt"], (None, "data_dev.txt", None)),
        (["Train.csv", "TEST.csv"], ("Train.csv", None, "TEST.csv")),
    ],
)
def test_files_are_found_by_their_names(tmp_path: Path, names: list[str], expected: tuple[str | None, ...]) -> None:
    for name in random.Random(0).sample(names, len(names)):
        (tmp_path / name).write_text("x", encoding="utf-8")
    dev, test, train = find_train_dev_test_files(tmp_path, None, None, None)
    assert tuple(path and path.name for path in (train, dev, test)) == expected


def test_given_files_are_used(tmp_path: Path) -> None:
    for name in ("train.txt", "dev.txt", "test.txt", "other"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert find_train_dev_test_files(tmp_path, None, None, "other") == (None, None, tmp_path / "other")
    assert find_train_dev_test_files(str(tmp_path), "other", None, None)[0] == tmp_path / "other"
    assert find_train_dev_test_files(tmp_path, "other", None, None, False) == (tmp_path / "other", None, None)


def test_an_ambiguous_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataFormatError, match=r"no file in it has train, dev or test in its name; it has a\.txt"):
        find_train_dev_test_files(tmp_path, None, None, None)
    with pytest.raises(DataFormatError, match="the folder cannot be read: No such file"):
        find_train_dev_test_files(tmp_path / "none", None, None, None)
    with pytest.raises(DataFormatError, match=r"Not a directory\. Give its folder, and train_file='a\.txt'"):
        find_train_dev_test_files(tmp_path / "a.txt", None, None, None)
    for name in ("train.1.txt", "train.2.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    with pytest.raises(SettingError, match=r"may be the train split, train\.1\.txt, train\.2\.txt: pass train_file"):
        find_train_dev_test_files(tmp_path, None, None, None)


# Sequences


def test_sequences_of_sentences_make_a_corpus() -> None:
    corpus = Corpus(FlairDatapointDataset(SENTENCES[:8]), FlairDatapointDataset(SENTENCES[8]))
    assert str(corpus) == "Corpus: 8 train + 1 dev + 0 test sentences"
    assert corpus.get_all_sentences() == SENTENCES[:9]


def test_older_name_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="FlairDatapointDataset"):
        assert list(SentenceDataset(SENTENCES)) == SENTENCES


def test_texts_become_sentences_on_access() -> None:
    dataset = StringDataset(["I love Berlin.", "So do I."])
    assert [sentence.words for sentence in dataset] == [["I", "love", "Berlin."], ["So", "do", "I."]]
    assert not dataset.is_in_memory()
    assert StringDataset("I love Berlin.", use_tokenizer=True)[0].words == ["I", "love", "Berlin", "."]


# Batches


@given(st.integers(0, 10), st.integers(1, 4), st.booleans())
def test_batches_are_lists_in_order(size: int, batch_size: int, drop_last: bool) -> None:
    batches = list(DataLoader(SENTENCES[:size], batch_size=batch_size, drop_last=drop_last))
    expected = [SENTENCES[start : min(start + batch_size, size)] for start in range(0, size, batch_size)]
    assert batches == [batch for batch in expected if len(batch) == batch_size or not drop_last]


def test_shuffled_batches_depend_on_the_seed_and_do_not_change_the_generators() -> None:
    state = torch.random.get_rng_state()
    first, same, other = (DataLoader(SENTENCES, 3, shuffle=True, seed=seed) for seed in (1, 1, 2))
    orders = [[s.text for batch in first for s in batch] for _ in range(2)]
    assert orders[0] != orders[1], "each pass is in another order"
    assert sorted(orders[0]) == sorted(s.text for s in SENTENCES)
    assert [s.text for batch in same for s in batch] == orders[0] != [s.text for batch in other for s in batch]
    flairlite.set_seed(1)
    assert [s.text for batch in DataLoader(SENTENCES, 3, shuffle=True) for s in batch] == orders[0]
    assert torch.equal(torch.random.get_rng_state(), state)


# Imports

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, NoTorch())
import flairlite.datasets, flairlite.splitter, flairlite.tokenization

print(flairlite.datasets.SAMPLE_ENGLISH(), flairlite.datasets.SAMPLE_REVIEWS())
print([sentence.words for sentence in flairlite.splitter.SegtokSentenceSplitter().split("I do. You don't.")])
try:
    flairlite.datasets.DataLoader
except ImportError as error:
    print(error)
"""


def test_readers_tokenizers_and_splitters_need_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Corpus: 498 train + 111 dev + 111 test sentences Corpus: 373 train + 77 dev + 77 test sentences",
        "[['I', 'do', '.'], ['You', 'do', \"n't\", '.']]",
        "torch is imported",
    ]


def test_unknown_name_is_an_attribute_error() -> None:
    for module in (datasets, datasets.base):
        with pytest.raises(AttributeError, match="has no attribute 'DataLoeder'"):
            getattr(module, "DataLoeder")  # noqa: B009
