"""Corpora: downsampling, missing splits, dictionaries, statistics, label noise and concatenation."""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged

import flairlite
from flairlite.data import ConcatDataset, Corpus, FlairDataset, MultiCorpus, Sentence
from flairlite.data.corpus import SPLITS
from flairlite.datasets import UD_ENGLISH, UniversalDependenciesCorpus
from flairlite.errors import LabelError, SettingError

ROOT = Path(__file__).resolve().parents[2]


def numbered(*sizes: int | None) -> Corpus:
    """Return a corpus whose sentences consist of their split and index."""
    corpus = Corpus()
    for split, size in zip(SPLITS, sizes, strict=False):
        if size is not None:
            setattr(corpus, split, [Sentence([f"{split}{number}"]) for number in range(size)])
    return corpus


def words(corpus: Corpus) -> list[str]:
    return [sentence.words[0] for sentence in corpus.get_all_sentences()]


# ----------------------------------------------------------------------------------------------------------- downsample


@given(st.lists(st.integers(0, 60), min_size=3, max_size=3), st.floats(0.001, 1.0), st.integers(0, 3))
def test_sizes_are_rounded_but_never_to_zero_and_the_order_is_kept(
    sizes: list[int], percentage: float, seed: int
) -> None:
    corpus = numbered(*sizes)
    before = corpus.get_all_sentences()
    assert corpus.downsample(percentage, random_seed=seed) is corpus
    kept = [len(getattr(corpus, split)) for split in SPLITS]
    assert kept == [max(1, round(size * percentage)) if size else 0 for size in sizes]
    indices = [before.index(sentence) for sentence in corpus.get_all_sentences()]  # the same objects, each once
    assert indices == sorted(set(indices))


@pytest.mark.parametrize(("size", "expected"), [(5, 2), (15, 8), (25, 12), (12_544, 6_272)])
def test_halves_are_rounded_as_python_does(size: int, expected: int) -> None:
    assert len(numbered(size).downsample(0.5).train or ()) == expected


def test_same_seed_keeps_the_same_sentences() -> None:
    first, second = numbered(200, 30, 30).downsample(0.1, random_seed=5), numbered(200, 30, 30)
    random.random()
    random.seed(99)
    assert words(second.downsample(0.1, random_seed=5)) == words(first)
    assert words(numbered(200, 30, 30).downsample(0.1, random_seed=6)) != words(first)
    assert words(numbered(200, 30, 30).downsample()) == words(numbered(200, 30, 30).downsample())


def test_sentences_are_kept_with_equal_probability() -> None:
    counts = Counter(word for seed in range(300) for word in words(numbered(10).downsample(0.3, random_seed=seed)))
    assert set(counts) == {f"train{number}" for number in range(10)}
    assert all(50 < count < 140 for count in counts.values()), counts  # 90 each, standard deviation 8


def test_second_process_with_another_hash_seed_keeps_the_same_sentences() -> None:
    program = (
        "from flairlite.data import Corpus, Sentence\n"
        "def split(name, size): return [Sentence([f'{name}{n}']) for n in range(size)]\n"
        "corpus = Corpus(split('train', 300), split('dev', 40), split('test', 40)).downsample(0.1)\n"
        "print(*[sentence.words[0] for sentence in corpus.get_all_sentences()])\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == words(numbered(300, 40, 40).downsample(0.1))


@pytest.mark.parametrize("left", SPLITS)
def test_downsampling_can_skip_a_split(left: str) -> None:
    corpus = numbered(100, 50, 50)
    before = getattr(corpus, left)
    corpus.downsample(0.1, **{f"downsample_{left}": False})
    assert getattr(corpus, left) is before
    assert [len(getattr(corpus, split)) for split in SPLITS if split != left] == [
        round(size * 0.1) for split, size in zip(SPLITS, (100, 50, 50), strict=True) if split != left
    ]


def test_each_split_keeps_at_least_one_sentence() -> None:
    corpus = numbered(40, 4, 1).downsample(0.1)
    assert [len(getattr(corpus, split)) for split in SPLITS] == [4, 1, 1]


def test_missing_and_empty_splits_are_unchanged() -> None:
    corpus = numbered(10, None, 0).downsample(0.5)
    assert (len(corpus.train or ()), corpus.dev, corpus.test) == (5, None, [])


@pytest.mark.parametrize("percentage", [0, -0.1, 1.001, 10, float("nan"), float("inf"), "0.1", None, True, b"1", [0.1]])
def test_percentage_outside_0_to_1_is_an_error(percentage: Any) -> None:
    corpus = numbered(10)
    with pytest.raises(SettingError, match=r"percentage must be above 0 and at most 1, as 0\.1 for a tenth; it is"):
        corpus.downsample(percentage)
    assert len(corpus.train or ()) == 10


def test_set_seed_is_used_without_an_explicit_seed() -> None:
    default = words(numbered(200).downsample())
    flairlite.set_seed(7)
    changed = words(numbered(200).downsample())
    assert changed != default
    assert changed == words(numbered(200).downsample(random_seed=7))
    assert words(numbered(200).downsample(random_seed=0)) == default
    flairlite.set_seed(0)
    assert words(numbered(200).downsample()) == default


@pytest.mark.parametrize(
    "act",
    [
        lambda: flairlite.set_seed(3),
        lambda: numbered(200, 20).downsample(0.5),
        lambda: Corpus(numbered(50).train, sample_missing_splits=True),
        lambda: Corpus([tagged("a/X b/Y")]).make_label_dictionary("pos"),
    ],
)
def test_global_generators_are_unchanged(act: Callable[[], object]) -> None:
    states = random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002
    act()
    assert (random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()) == states  # noqa: NPY002


# ------------------------------------------------------------------------------------------------------- missing splits


def test_missing_splits_are_sampled_only_on_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flairlite")
    assert (numbered(100).dev, numbered(100).test, caplog.text) == (None, None, "")
    corpus = Corpus(numbered(100).train, sample_missing_splits=True)
    assert [len(getattr(corpus, split)) for split in SPLITS] == [81, 9, 10]
    assert sorted(words(corpus)) == sorted(words(numbered(100)))
    indices = [int(sentence.words[0].removeprefix("train")) for sentence in corpus.train or ()]
    assert indices == sorted(indices)
    assert "No test split: 10 of the training sentences were taken for it, as asked" in caplog.text
    assert "No dev split: 9 of the training sentences" in caplog.text


def test_only_dev_or_only_test_can_be_sampled() -> None:
    train = numbered(100).train
    only_dev = Corpus(train, sample_missing_splits="only_dev")
    assert (len(only_dev.train or ()), len(only_dev.dev or ()), only_dev.test) == (90, 10, None)
    only_test = Corpus(train, None, None, "name", "only_test", 3)  # as Flair has the arguments
    assert (len(only_test.train or ()), only_test.dev, len(only_test.test or ())) == (90, None, 10)
    with pytest.raises(SettingError, match="must be True, False, 'only_dev' or 'only_test', not 'dev'"):
        Corpus(train, sample_missing_splits="dev")


def test_log_says_which_splits_are_missing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flairlite")
    Corpus(numbered(100).train, numbered(10).train)
    assert "No test split; sample_missing_splits=True takes a tenth of the training sentences for it" in caplog.text
    assert "No dev split" not in caplog.text


def test_sampled_splits_depend_on_the_seed_alone() -> None:
    def sampled(seed: int | None) -> list[str]:
        corpus = Corpus(numbered(100).train, sample_missing_splits=True, random_seed=seed)
        return [sentence.words[0] for sentence in corpus.dev or ()]

    assert sampled(1) == sampled(1) != sampled(2)
    assert sampled(None) == sampled(0)


def test_sampling_reads_no_sentence() -> None:
    class Reluctant(FlairDataset):
        accessed: ClassVar[list[int]] = []

        def sentence_at(self, index: int) -> Sentence:
            self.accessed.append(index)
            return Sentence([str(index)])

        def __len__(self) -> int:
            return 20

    corpus = Corpus(Reluctant(), sample_missing_splits=True, random_seed=1)
    assert str(corpus) == "Corpus: 16 train + 2 dev + 2 test sentences"
    assert Reluctant.accessed == []
    texts = [sentence.text for split in (corpus.train, corpus.dev, corpus.test) for sentence in split or ()]
    assert sorted(texts) == sorted(map(str, range(20)))


def test_existing_splits_are_not_sampled() -> None:
    given_corpus = numbered(100, 5, 0)
    corpus = Corpus(given_corpus.train, given_corpus.dev, given_corpus.test, sample_missing_splits=True)
    assert [len(getattr(corpus, split)) for split in SPLITS] == [100, 5, 0]
    assert Corpus(sample_missing_splits=True).dev is None


# --------------------------------------------------------------------------------------------------------------- labels


@given(st.lists(st.lists(st.sampled_from(["A", "B", "C", "D", None]), max_size=8), max_size=6), st.integers(1, 4))
def test_label_dictionary_is_ordered_by_frequency(columns: list[list[str | None]], min_count: int) -> None:
    train = [Sentence(["w"] * len(column)).set_token_labels("pos", column) for column in columns]
    train.append(tagged("w/Z"))
    counts = Counter(value for column in columns for value in column if value is not None) + Counter("Z")
    frequent = [value for value, count in counts.most_common() if count >= min_count]
    corpus = Corpus(train, [tagged("w/onlydev")])
    assert corpus.make_label_dictionary("pos", min_count=min_count).get_items() == ["<unk>", *frequent]
    assert corpus.make_label_dictionary("pos", min_count, add_unk=False).get_items() == frequent


def test_rare_labels_are_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flairlite")
    corpus = Corpus([tagged("a/X b/X c/Y d/Z e/Z")])
    assert corpus.make_label_dictionary("pos", min_count=2).get_items() == ["<unk>", "X", "Z"]
    assert "1 labels occur less than 2 times and are left out: Y" in caplog.text


def test_label_dictionary_is_of_the_training_split_by_default() -> None:
    corpus = Corpus([tagged("a/X")], [tagged("a/Y b/Y")], [tagged("a/Z")])
    assert corpus.make_label_dictionary("pos").get_items() == ["<unk>", "X"]
    assert corpus.make_label_dictionary("pos", add_dev_test=True).get_items() == ["<unk>", "Y", "X", "Z"]


def test_labels_of_sentences_spans_and_second_labels_are_counted() -> None:
    sentence = tagged("New/A York/B").add_label("pos", "C").add_label("pos", "C").add_label("topic", "T")
    sentence[0].add_label("pos", "B").add_label("pos", "B")
    dictionary = Corpus([sentence]).make_label_dictionary("pos")
    assert dictionary.get_items() == ["<unk>", "B", "C", "A"]
    assert not dictionary.span_labels
    sentence[0:2].add_label("ner", "LOC")
    assert Corpus([sentence]).make_label_dictionary("ner").span_labels
    assert Corpus([sentence]).make_label_dictionary("topic").get_items() == ["<unk>", "T"]


def test_features_have_a_dictionary_of_their_own() -> None:
    sentence = Sentence(["a", "b", "c"]).set_token_labels(
        "feats", ["Number=Sing|Case=Nom", "Number=Plur", "Number=Plur"]
    )
    assert Corpus([sentence]).make_label_dictionary("Number").get_items() == ["<unk>", "Plur", "Sing"]
    assert Corpus([sentence]).get_label_types() == {"feats": 1, "Number": 1, "Case": 1}


def test_label_dictionary_knows_features_by_flairs_names() -> None:
    sentence = Sentence(["a", "b"]).set_token_labels("feats", ["Tense=Past|Number[psor]=Sing", "Tense=Pres"])
    corpus = Corpus([sentence], [Sentence(["c"]).set_token_labels("feats", ["VerbForm=Inf"])])
    assert corpus.make_label_dictionary("tense").get_items() == ["<unk>", "Past", "Pres"]
    assert corpus.make_label_dictionary("number[psor]").get_items() == ["<unk>", "Sing"]
    with pytest.raises(LabelError, match="'verbform' is in dev or test, but not in train"):
        corpus.make_label_dictionary("verbform")


def test_error_of_an_unknown_label_type_names_the_nearest_first() -> None:
    corpus = Corpus([Sentence("a").add_label("topic", "x").add_label("ner_tags", "x"), tagged("a/X"), tagged("b/X")])
    with pytest.raises(LabelError, match=r"in this corpus; it has: ner_tags \(1 .*, pos \(2 .*, topic"):
        corpus.make_label_dictionary("ner")
    with pytest.raises(LabelError, match=r"no label type 'POS' in this corpus; it has: pos \(2 "):
        corpus.make_label_dictionary("POS")


@pytest.mark.parametrize("min_count", ["2", None, 1.5, -1])
def test_minimum_count_is_a_count(min_count: Any) -> None:
    with pytest.raises(SettingError, match="min_count must be an integer of 0 or more"):
        Corpus([tagged("a/X")]).make_label_dictionary("pos", min_count)


def test_dictionary_that_would_be_empty_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "flairlite"):
        assert Corpus([tagged("a/X")]).make_label_dictionary("pos", min_count=2).get_items() == ["<unk>"]
    assert "1 labels occur less than 2 times and are left out: X" in caplog.text


def test_unknown_label_type_is_an_error_that_names_the_existing_types() -> None:
    corpus = Corpus([tagged("a/X").add_label("topic", "t")] * 1, [tagged("a/X")] * 2_000)
    message = r"no label type 'ups' in this corpus; it has: pos \(2,001 sentences\), topic \(1 sentences\)"
    with pytest.raises(LabelError, match=message):
        corpus.make_label_dictionary("ups")
    with pytest.raises(LabelError, match="it has: no labels at all"):
        Corpus([Sentence(["a"])]).make_label_dictionary("ups")
    with pytest.raises(LabelError, match="it has: no labels at all"):
        Corpus().make_label_dictionary("ups")


def test_label_type_of_other_splits_only_is_an_error_that_says_so() -> None:
    corpus = Corpus([Sentence(["a"])], [tagged("a/X")])
    with pytest.raises(LabelError, match="'pos' is in dev or test, but not in train: pass add_dev_test=True"):
        corpus.make_label_dictionary("pos")
    assert corpus.make_label_dictionary("pos", add_dev_test=True).get_items() == ["<unk>", "X"]


def test_label_types_are_counted_in_sentences() -> None:
    corpus = Corpus([tagged("a/X b/Y"), Sentence(["a"])], [tagged("a/X").add_label("topic", "t")], None)
    assert corpus.get_label_types() == {"pos": 2, "topic": 1}
    assert len(corpus.get_all_sentences()) == 3


def test_dictionary_has_a_flag_for_sentences_with_several_labels() -> None:
    one, two = (Sentence(["a", "b"]).add_label("topic", "x") for _ in range(2))
    two.add_label("topic", "y")
    assert not Corpus([one]).make_label_dictionary("topic").multi_label
    assert Corpus([one, two]).make_label_dictionary("topic").multi_label
    assert not Corpus([tagged("a/X b/Y")]).make_label_dictionary("pos").multi_label


# --------------------------------------------------------------------------------------- filters, words and statistics


def test_filters_remove_sentences_and_log_their_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flairlite")
    texts = ["", "short", "quite a long one", "exactly ten"[:10]]
    corpus = Corpus([Sentence(text) for text in texts], [Sentence("x")], [Sentence("")])
    corpus.filter_empty_sentences()
    assert [sentence.text for sentence in corpus.train or ()] == texts[1:]
    assert (len(corpus.dev or ()), corpus.test) == (1, [])
    assert "train: 1 empty sentences taken out of 4" in caplog.text
    corpus.filter_long_sentences(10)
    assert [sentence.text for sentence in corpus.train or ()] == ["short", "exactly te"]
    assert "train: 1 sentences of more than 10 characters taken out of 3" in caplog.text


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=6), max_size=6), st.integers(-1, 4), st.integers(-1, 3))
def test_vocabulary_has_the_most_frequent_words_of_the_training_split(
    sentences: list[list[str]], max_tokens: int, min_freq: int
) -> None:
    counts = Counter(word for words in sentences for word in words)
    items = Corpus([Sentence(words) for words in sentences], [Sentence(["z"])]).make_vocab_dictionary(
        max_tokens, min_freq
    )
    kept = items.get_items()[1:]
    frequent = {word for word in counts if counts[word] >= min_freq}
    assert items.get_items()[0] == "<unk>"
    assert len(kept) == (len(frequent) if max_tokens == -1 else min(max_tokens, len(frequent)))
    assert set(kept) <= frequent
    assert all(counts[word] <= min(map(counts.__getitem__, kept), default=99) for word in frequent - set(kept))


def test_statistics_count_sentences_words_and_labels() -> None:
    first, second = tagged("The/O snake/B-Ani sees/O goats/B-Ani"), tagged("Tigers/B-Ani eat/O")
    second.add_label("topic", "nature")
    corpus = Corpus([first, second], [], [second])
    figures = corpus.obtain_statistics("pos", pretty_print=False)
    assert figures == {
        "TRAIN": {
            "dataset": "TRAIN",
            "total_number_of_documents": 2,
            "number_of_documents_per_class": {"O": 3, "B-Ani": 3},
            "number_of_tokens_per_tag": {"O": 3, "B-Ani": 3},
            "number_of_tokens": {"total": 6, "min": 2, "max": 4, "avg": 3.0},
        },
        "TEST": {
            "dataset": "TEST",
            "total_number_of_documents": 1,
            "number_of_documents_per_class": {"B-Ani": 1, "O": 1},
            "number_of_tokens_per_tag": {"B-Ani": 1, "O": 1},
            "number_of_tokens": {"total": 2, "min": 2, "max": 2, "avg": 2.0},
        },
        "DEV": {},
    }
    assert json.loads(str(corpus.obtain_statistics("pos"))) == figures
    everything = corpus.obtain_statistics(pretty_print=False)
    assert isinstance(everything, dict)
    assert everything["TEST"]["number_of_documents_per_class"] == {"nature": 1, "B-Ani": 1, "O": 1}
    assert everything["TEST"]["number_of_tokens_per_tag"] == {"B-Ani": 1, "O": 1}


def test_label_distribution_is_of_the_training_split() -> None:
    corpus = Corpus([tagged("a/X b/X c/Y").add_label("topic", "t")], [tagged("a/Z")])
    assert corpus.get_label_distribution() == {"t": 1, "X": 2, "Y": 1}
    assert corpus.get_label_distribution("pos") == {"X": 2, "Y": 1}


def test_tag_dictionary_has_flairs_old_form() -> None:
    with pytest.warns(DeprecationWarning, match="use make_label_dictionary"):
        dictionary = Corpus([tagged("a/X b")], [tagged("a/Y")]).make_tag_dictionary("pos")
    assert dictionary.get_items() == ["O", "X", "Y", "<START>", "<STOP>"]


def test_noise_changes_the_requested_share_and_keeps_the_original_labels() -> None:
    corpus = Corpus([tagged("a/X b/Y c/Z") for _ in range(400)])
    corpus.add_label_noise("pos", ["X", "Y", "Z"], 0.3, random_seed=1)
    train = corpus.train or ()
    assert all(sentence.token_labels("pos_clean") == ["X", "Y", "Z"] for sentence in train)
    noisy = [sentence.token_labels("pos") or () for sentence in train]
    changed = sum(value != right for values in noisy for value, right in zip(values, "XYZ", strict=True))
    assert 290 < changed < 430  # 360, standard deviation 16


def test_noise_keeps_every_label_of_a_sentence_with_several() -> None:
    for share in (0.0, 1.0):
        sentence = Sentence(["a", "b"]).add_label("topic", "X", note=1).add_label("topic", "Y")
        sentence[0].add_label("topic", "X").add_label("topic", "Z")
        sentence[0:2].add_label("topic", "Z").add_label("topic", "Y")
        Corpus([sentence]).add_label_noise("topic", ["X", "Y", "Z"], share, random_seed=1)
        for point, values in ((sentence, ["X", "Y"]), (sentence[0], ["X", "Z"]), (sentence[0:2], ["Z", "Y"])):
            own = [label.value for label in point.get_labels("topic") if label.data_point == point]
            clean = [label.value for label in point.get_labels("topic_clean") if label.data_point == point]
            assert clean == values
            assert [value == right for value, right in zip(own, values, strict=True)] == [share == 0] * 2
        assert sentence.get_label("topic").metadata == {"note": 1}


def test_noise_twice_keeps_the_first_labels_as_clean() -> None:
    corpus = Corpus([tagged("a/X b/Y")])
    for seed in range(5):
        corpus.add_label_noise("pos", ["X", "Y"], 1.0, random_seed=seed)
    (sentence,) = corpus.train or ()
    assert [label.value for label in sentence.get_labels("pos_clean")] == ["X", "Y"]
    assert sentence.token_labels("pos") == ["Y", "X"]  # changed five times


def test_noise_with_a_label_that_is_missing_changes_nothing() -> None:
    first, second = tagged("a/X"), tagged("a/Z")
    with pytest.raises(LabelError, match="'Z' is not among the labels given"):
        Corpus([first, second]).add_label_noise("pos", ["X", "Y"], 1.0)
    assert [sentence.token_labels("pos") for sentence in (first, second)] == [["X"], ["Z"]]
    assert not first.has_label("pos_clean")


def test_noise_follows_the_matrix() -> None:
    corpus = Corpus([tagged("a/X b/Y")], [tagged("a/X")])
    corpus.add_label_noise("pos", ["X", "Y"], noise_transition_matrix={"X": [0, 1], "Y": [1, 0]})
    assert [sentence.token_labels("pos") for sentence in corpus.get_all_sentences()] == [["Y", "X"], ["X"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["X", "Y"], "split": "tst"}, "but 'tst' is not"),
        ({"labels": ["X", "Y"], "split": "test"}, "but 'test' is not"),
        ({"labels": ["X", "Y"], "noise_share": 2}, "give a noise_share from 0 to 1"),
        ({"labels": ["X"]}, "two labels or more"),
        ({"labels": ["X", "Y"], "noise_transition_matrix": {"X": [1, 0]}}, "must have a row for each of the labels"),
        ({"labels": "XY"}, "must be a list of different labels"),
        ({"labels": ["X", "X", "Y"]}, "must be a list of different labels"),
        ({"labels": ["X", "Y"], "noise_share": "0.1"}, "give a noise_share from 0 to 1"),
        ({"labels": ["X", "Y"], "noise_share": float("nan")}, "give a noise_share from 0 to 1"),
        ({"labels": ["X", "Y"], "noise_transition_matrix": {"X": [1, -1], "Y": [0, 1]}}, "a weight of 0 or more"),
        ({"labels": ["X", "Y"], "noise_transition_matrix": {"X": [1, float("nan")], "Y": [0, 1]}}, "a weight of 0 or"),
        ({"labels": ["X", "Y"], "noise_transition_matrix": {"X": [0, 0], "Y": [0, 1]}}, "no weight above 0"),
        ({"labels": ["X", "Y"], "noise_transition_matrix": [[1, 0], [0, 1]]}, "must have a row for each of the labels"),
        ({"labels": ["A", "B"]}, "'X' is not among the labels given: A, B"),
    ],
)
def test_invalid_arguments_of_noise_are_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((SettingError, LabelError), match=message):
        Corpus([tagged("a/X")]).add_label_noise("pos", **arguments)


# ------------------------------------------------------------------------------------------------------ several corpora


def test_multi_corpus_concatenates_splits() -> None:
    corpora = [numbered(2, 1), numbered(3, None, 1)]
    both = MultiCorpus(corpora, name="both")
    assert words(both) == ["train0", "train1", "train0", "train1", "train2", "dev0", "test0"]
    tasks = [sentence.get_label("multitask_id").value for sentence in both.get_all_sentences()]
    assert tasks == ["Task_0"] * 2 + ["Task_1"] * 3 + ["Task_0", "Task_1"]
    assert str(both) == repr(both)
    assert str(both).splitlines() == [
        "MultiCorpus: 5 train + 1 dev + 1 test sentences",
        " - Corpus Corpus: 2 train + 1 dev + 0 test sentences - corpus",
        " - Corpus Corpus: 3 train + 0 dev + 1 test sentences - corpus",
    ]


def test_task_ids_are_not_written_on_the_sentences_that_were_given() -> None:
    corpus = numbered(2)
    corpus.train[0].add_label("topic", "x")[0:1].add_label("ner", "A")  # type: ignore[index]
    Sentence.set_context_for_sentences(corpus.train or ())
    before = [sentence.to_dict() for sentence in corpus.train or ()]
    first, second = MultiCorpus([corpus], ["one"]), MultiCorpus([corpus], ["two"])
    for multi, task in ((first, "one"), (second, "two"), (first, "one")):
        assert multi.train
        assert [sentence.get_label("multitask_id").value for sentence in multi.train] == [task] * 2
        assert multi.train[0] is multi.train[0]
        assert multi.train[0].get_labels("ner")[0].data_point.sentence is multi.train[0]
        assert multi.train[0].next_sentence().text == "train1"
    assert [sentence.to_dict() for sentence in corpus.train or ()] == before
    assert first.train
    first.train[0].add_label("later", "x")
    assert first.train[0].has_label("later")
    assert not corpus.get_all_sentences()[0].has_label("later")


def test_task_ids_of_sentences_that_are_not_in_memory_are_on_each_new_sentence() -> None:
    class Fresh(FlairDataset):
        def is_in_memory(self) -> bool:
            return False

        def sentence_at(self, index: int) -> Sentence:
            return Sentence([str(index)])

        def __len__(self) -> int:
            return 3

    dataset = ConcatDataset([Fresh(), [Sentence("a")]], ["fresh", "kept"])
    assert [sentence.get_label("multitask_id").value for sentence in dataset] == ["fresh"] * 3 + ["kept"]
    assert dataset[0] is not dataset[0]
    assert dataset[3] is dataset[3]


def test_task_ids_are_one_a_corpus() -> None:
    both = MultiCorpus([numbered(1), numbered(1)], ["ner", "pos"])
    assert [sentence.get_label("multitask_id").value for sentence in both.train or ()] == ["ner", "pos"]
    for ids in (["one"], ["one", "one"]):
        with pytest.raises(SettingError, match="task_ids must be 2 different names, one a corpus"):
            MultiCorpus([numbered(1), numbered(1)], ids)


def test_splits_missing_from_all_can_be_sampled() -> None:
    both = MultiCorpus([numbered(10), numbered(10)], sample_missing_splits=True)
    assert [len(getattr(both, split)) for split in SPLITS] == [16, 2, 2]


@given(st.lists(st.integers(0, 4), max_size=5), st.data())
def test_concatenated_sequences_are_indexed_and_sliced_as_one_list(sizes: list[int], data: st.DataObject) -> None:
    parts = [list(numbered(size).train or ()) for size in sizes]
    expected = [sentence for part in parts for sentence in part]
    dataset = ConcatDataset(parts)
    assert list(dataset) == expected
    assert len(dataset) == len(expected)
    cut = data.draw(st.slices(len(expected)))
    assert dataset[cut] == expected[cut]
    for index in range(-len(expected), len(expected)):
        assert dataset[index] is expected[index]
    for index in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            dataset[index]


# --------------------------------------------------------------------------------------------- what the tutorial prints


def test_corpus_is_printed_with_its_sizes(sample: Corpus) -> None:
    assert str(sample) == repr(sample) == "Corpus: 498 train + 111 dev + 111 test sentences"
    assert str(Corpus()) == "Corpus: 0 train + 0 dev + 0 test sentences"
    assert str(sample.downsample(0.1)) == "Corpus: 50 train + 11 dev + 11 test sentences"


@pytest.mark.mirror
@pytest.mark.usefixtures("mirror")
def test_tutorial_lines_are_printed_for_the_treebank() -> None:
    corpus = UD_ENGLISH()
    assert str(corpus) == "Corpus: 12544 train + 2001 dev + 2077 test sentences"
    line = "Dictionary with 18 tags: <unk>, NOUN, PUNCT, VERB, PRON, ADP, DET, ADJ, AUX, PROPN, ADV, CCONJ, PART, NUM, "
    assert str(corpus.make_label_dictionary("upos")) == line + "SCONJ, SYM, INTJ, X"
    assert str(corpus.downsample(0.1)) == "Corpus: 1254 train + 200 dev + 208 test sentences"
    counts = Counter(tag for sentence in corpus.train or () for tag in sentence.token_labels("upos") or ())
    by_frequency = sorted(counts, key=lambda tag: -counts[tag])
    assert (
        str(corpus.make_label_dictionary("upos"))
        == f"Dictionary with 18 tags: <unk>, {', '.join(map(str, by_frequency))}"
    )
    assert str(corpus.make_label_dictionary("upos")) == line + "SCONJ, SYM, INTJ, X"  # so it is for seed 0


def test_words_without_a_label_are_filled(tmp_path: Path) -> None:
    def sentence(*labels: str | None) -> Sentence:
        return Sentence([f"w{index}" for index in range(len(labels))]).set_token_labels("feats", list(labels))

    corpus = Corpus([sentence("Number=Sing", None), sentence(None, None), sentence()], None, [sentence("Case=Nom")])
    corpus.fill_token_labels("feats")
    assert [each.token_labels("feats") for each in corpus.train or ()][:2] == [["Number=Sing", "_"], ["_", "_"]]
    assert [each.token_labels("feats") for each in corpus.test or ()] == [["Case=Nom"]]
    assert (corpus.train or ())[0].token_labels("Number") == ["Sing", None]
    assert corpus.make_label_dictionary("feats").get_items() == ["<unk>", "_", "Number=Sing"]
    with pytest.raises(LabelError, match="no label type 'xpos' in this corpus"):
        corpus.fill_token_labels("xpos")
    (tmp_path / "train.conllu").write_text("1\ta\t_\tX\t_\t_\t0\troot\t_\t_\n\n")
    with pytest.raises(SettingError, match="in memory"):
        UniversalDependenciesCorpus(tmp_path, in_memory=False).fill_token_labels("upos")
