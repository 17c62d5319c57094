"""Augmentation: what is drawn, and that training is the same as training on sentences that were changed beforehand."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged
from torch import Tensor

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentPoolEmbeddings,
    FlairEmbeddings,
    StackedEmbeddings,
    TokenEmbeddings,
    WordEmbeddings,
)
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier
from flairlite.trainers import ModelTrainer, TrainingSettings
from flairlite.trainers.augmentation import Augmentation, find_droppable, to_title
from flairlite.trainers.splits import encode_split

TEXTS = [
    "The/DET dog/NOUN sleeps/VERB ./PUNCT",
    "NASA/NOUN waits/VERB",
    "Sleeps/VERB it/X ?!/PUNCT",
    "Go/VERB !",
    "!/PUNCT",
]
CASES = {"augment_lowercase": str.lower, "augment_uppercase": str.upper, "augment_titlecase": to_title}
VECTORS = {
    word: [number, 1 / (number + 1)] for number, word in enumerate(["the", "The", "THE", "dog", "Dog", ".", "!"])
}


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def make_sentences(count: int) -> list[Sentence]:
    sentences = [tagged(TEXTS[number % 5]).add_label("topic", "ab"[number % 2]) for number in range(count)]
    return [
        with_distributions(text).set_span_labels("ner", [(0, min(2, len(text) - 1), "E")] if len(text) > 1 else [])
        for text in sentences
    ]


def with_distributions(sentence: Sentence) -> Sentence:
    """Give sentences of an odd number of words distributions that depend on the position of the word."""
    if len(sentence) % 2:
        first = np.arange(1, len(sentence) + 1, dtype=np.float32) / (len(sentence) + 1)  # (T,)
        sentence.set_tag_distributions("teacher", ("NOUN", "VERB"), np.stack((first, 1 - first), axis=1))
    return sentence


def words_of_vectors() -> TokenEmbeddings:
    return WordEmbeddings(WordVectors(list(VECTORS), np.array(list(VECTORS.values()), dtype=np.float32)))


def make_tagger() -> Model:
    embeddings = StackedEmbeddings(
        [words_of_vectors(), CharacterEmbeddings(char_embedding_dim=3, hidden_size_char=2, seed=0)]
    )
    labels = Corpus([tagged("a/DET a/NOUN a/VERB a/PUNCT")]).make_label_dictionary("pos")
    return SequenceTagger(embeddings, labels, "pos", hidden_size=3, seed=0)


def make_tagger_over_language_model() -> Model:
    """Make a tagger whose vectors depend on all later words of the sentence, and stay the same in training."""
    path = Path(__file__).parents[1] / "data" / "flair" / "lm-backward.pt"
    labels = Corpus([tagged("a/DET a/NOUN a/VERB a/PUNCT")]).make_label_dictionary("pos")
    return SequenceTagger(FlairEmbeddings(path), labels, "pos", hidden_size=3, seed=0)


def make_ner_tagger() -> Model:
    labels = Corpus(make_sentences(4)).make_label_dictionary("ner")
    return SequenceTagger(words_of_vectors(), labels, "ner", hidden_size=3, seed=0)


def make_tagger_of_two_types() -> Model:
    """Make a tagger of labels and spans that learns distributions too."""
    corpus = Corpus(make_sentences(4))
    types = {"pos": corpus.make_label_dictionary("pos"), "ner": corpus.make_label_dictionary("ner")}
    return SequenceTagger(words_of_vectors(), types, "pos", hidden_size=3, soft_labels={"pos": "teacher"}, seed=0)


def make_classifier() -> Model:
    labels = Corpus(make_sentences(4)).make_label_dictionary("topic")
    return TextClassifier(DocumentPoolEmbeddings(words_of_vectors()), label_dictionary=labels, label_type="topic")


def train(model: Model, sentences: Sequence[Sentence], folder: Path, **options: Any) -> tuple[dict[str, Any], Any]:
    corpus = Corpus(sentences, make_sentences(4), make_sentences(4))
    defaults = {"max_epochs": 2, "mini_batch_size": 4, "seed": 0, "bucketing": False}  # the order of any lengths
    result = ModelTrainer(model, corpus).train(folder, **{**defaults, **options})
    return result, {name: weight.clone() for name, weight in model.state_dict().items()}


def change(sentence: Sentence, function: Callable[[str], str]) -> Sentence:
    changed = Sentence(list(map(function, sentence.words))).set_token_labels("pos", sentence.token_labels("pos") or [])
    return changed.set_sentence_labels("topic", sentence.sentence_labels("topic"))


def drop_last(sentence: Sentence) -> Sentence:
    """Drop the last word; that of a single word is kept."""
    words, labels = sentence.words[:-1] or sentence.words, sentence.token_labels("pos") or []
    shorter = Sentence(words).set_token_labels("pos", labels[: len(words)])
    shorter.set_span_labels("ner", sentence.span_labels("ner"))
    if (table := sentence.tag_distributions("teacher")) is not None:
        shorter.set_tag_distributions("teacher", table.names, table.probabilities[: len(words)])
    return shorter.set_sentence_labels("topic", sentence.sentence_labels("topic"))


def assert_same(one: tuple[dict[str, Any], Any], other: tuple[dict[str, Any], Any]) -> None:
    for key, figures in one[0].items():
        assert other[0][key] == pytest.approx(figures, rel=1e-5), key
    for name, weight in one[1].items():
        torch.testing.assert_close(other[1][name], weight, rtol=1e-4, atol=1e-5)


class TestProbabilityOne:
    """Equals training on changed sentences, while dev stays as it is."""

    @pytest.mark.parametrize(
        ("name", "mode"),
        [*((name, "cpu") for name in CASES), ("augment_uppercase", "gpu"), ("augment_uppercase", "none")],
    )
    def test_case(self, name: str, mode: str, tmp_path: Path) -> None:
        options = {"embeddings_storage_mode": mode, "mini_batch_chunk_size": 2}
        found = train(make_tagger(), make_sentences(12), tmp_path / "found", **{name: 1}, **options)
        changed = [change(sentence, CASES[name]) for sentence in make_sentences(12)]
        assert_same(train(make_tagger(), changed, tmp_path / "expected", **options), found)

    def test_case_of_words_whose_vectors_stay_the_same_in_training(self, tmp_path: Path) -> None:
        make = make_tagger_over_language_model
        found = train(make(), make_sentences(12), tmp_path / "found", augment_uppercase=1)
        changed = [change(sentence, str.upper) for sentence in make_sentences(12)]
        assert_same(train(make(), changed, tmp_path / "expected"), found)

    @pytest.mark.parametrize(
        ("make", "mode"),
        [
            (make_tagger_over_language_model, "cpu"),
            (make_tagger_over_language_model, "none"),
            (make_tagger, "cpu"),
            (make_tagger, "none"),
            (make_ner_tagger, "gpu"),
            (make_tagger_of_two_types, "cpu"),
            (make_tagger_of_two_types, "none"),
            (make_classifier, "cpu"),
            (make_classifier, "none"),
        ],
    )
    def test_final_punctuation(self, make: Callable[[], Model], mode: str, tmp_path: Path) -> None:
        options = {"augment_nopunct": 1.0, "embeddings_storage_mode": mode}
        found = train(make(), make_sentences(12), tmp_path / "found", **options)
        changed = [text if text.words[-1] == "waits" else drop_last(text) for text in make_sentences(12)]
        expected = train(make(), changed, tmp_path / "expected")
        assert_same(expected, found)
        assert (tmp_path / "found" / "dev.tsv").read_text() == (tmp_path / "expected" / "dev.tsv").read_text()


def test_what_is_never_drawn_changes_no_bit(tmp_path: Path) -> None:
    runs = [
        train(make_tagger(), make_sentences(12), tmp_path / str(probability), bucketing=True, **dict.fromkeys(
            [*CASES, "augment_nopunct"], probability))
        for probability in (0, 1e-300)
    ]  # fmt: skip
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(weight, runs[1][1][name]) for name, weight in runs[0][1].items())


class TestDraws:
    def texts_of(self, epochs: int, **probabilities: float) -> list[list[list[str]]]:
        """The words of each sentence in each epoch."""
        model, words = make_tagger(), {}
        index = model.embeddings.index

        def keep(distinct: Sequence[str], fields: Any = None) -> Any:
            words.update(enumerate(distinct))
            return index(distinct)

        model.embeddings.index = keep  # type: ignore[method-assign, assignment]
        split = encode_split(model, "train", make_sentences(200), "cpu", augment=True)
        augmentation = Augmentation(TrainingSettings(seed=5, **probabilities), model.tasks, split)

        def read(indices: Tensor, epoch: int) -> list[list[str]]:
            batch = augmentation.draw(epoch).dataset.batch(indices)
            rows = zip(batch.word_ids.tolist(), batch.lengths.tolist(), strict=True)
            return [[words[index] for index in row[:length]] for row, length in rows]

        return [read(torch.arange(200), epoch) for epoch in range(1, epochs + 1)]

    def test_sentences_are_changed_as_often_as_asked_and_anew_in_each_epoch(self) -> None:
        probabilities = {"augment_lowercase": 0.2, "augment_uppercase": 0.1, "augment_titlecase": 0.3}
        epochs = self.texts_of(20, **probabilities, augment_nopunct=0.25)
        counts: Counter[str] = Counter()
        for epoch in epochs:
            for words, sentence in zip(epoch[::5], make_sentences(200)[::5], strict=True):
                originals = sentence.words
                counts["dropped"] += len(words) < 4
                functions = {**CASES, "as it is": str}
                [name] = [key for key in functions if list(map(functions[key], originals))[: len(words)] == words]
                counts[name] += 1
        for name, part in {**probabilities, "as it is": 0.4, "dropped": 0.25}.items():
            assert counts[name] / 800 == pytest.approx(part, abs=0.06), name
        assert len({str(epoch) for epoch in epochs}) == 20
        assert self.texts_of(20, **probabilities, augment_nopunct=0.25) == epochs

    def test_spans_are_not_cut(self) -> None:
        cut, whole, before, alone = (Sentence(["Wow", "Yahoo", "!"]) for _ in range(4))
        cut.set_span_labels("ner", [(1, 3, "ORG")])
        whole.set_span_labels("ner", [(2, 3, "MARK")])
        before.set_span_labels("ner", [(0, 2, "ORG")])
        texts = [
            cut,
            whole,
            before,
            alone,
            Sentence(["!"]),
            Sentence([]),
            Sentence(["Wow", "$"]),
            Sentence(["a", "」."]),
        ]
        assert find_droppable(texts).tolist() == [False, True, True, True, False, False, False, True]


class TestSettings:
    @pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", None, True, float("nan")])
    def test_a_probability_is_a_number_from_0_to_1(self, value: Any) -> None:
        with pytest.raises(SettingError, match="augment_nopunct must be"):
            TrainingSettings(augment_nopunct=value)

    def test_cases_exclude_each_other(self) -> None:
        with pytest.raises(SettingError, match=r"the sum of augment_lowercase.* must be at most 1.* it is 1\.2"):
            TrainingSettings(augment_lowercase=0.7, augment_titlecase=0.5)
        TrainingSettings(augment_lowercase=0.1, augment_uppercase=0.2, augment_titlecase=0.7, augment_nopunct=1)


def test_sentences_stay_as_they_are(tmp_path: Path) -> None:
    sentences = make_sentences(10)
    before = [copy.copy(sentence).to_tagged_string() for sentence in sentences]
    train(make_tagger(), sentences, tmp_path, augment_uppercase=0.5, augment_nopunct=0.5)
    assert [sentence.to_tagged_string() for sentence in sentences] == before
