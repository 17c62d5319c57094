"""Prediction: every kind of input, in order, none lost, and each sentence as if it were alone."""

from __future__ import annotations

import gc
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from devices import needs_bfloat16
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import Corpus, Dictionary, Sentence, Token
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FlairliteError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(40)]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8)))
TAGS = ["A", "B", "C", "D", "E"]


def make_tagger(tags: Sequence[str] = TAGS, **options: Any) -> SequenceTagger:
    """Make a tagger whose labels depend on the words: with its first weights, the transitions alone would decide."""
    dictionary = Dictionary.from_items(["<unk>", *tags])
    tagger = SequenceTagger(WordEmbeddings(VECTORS), dictionary, "pos", hidden_size=8, seed=0, **options)
    with torch.no_grad():
        for name, weight in tagger.named_parameters():
            if not name.startswith("crf."):
                weight.mul_(4)
    return tagger.eval()


@pytest.fixture
def tagger() -> SequenceTagger:
    return make_tagger()


def make_sentences(lengths: Sequence[int], seed: int = 0) -> list[Sentence]:
    generator = np.random.default_rng(seed)
    return [Sentence([WORDS[number] for number in generator.integers(len(WORDS), size=length)]) for length in lengths]


def copies(sentences: Sequence[Sentence]) -> list[Sentence]:
    return [Sentence(list(sentence.words)) for sentence in sentences]


def labels_of(sentence: Sentence, label_type: str = "pos") -> list[str]:
    return [label.value for label in sentence.get_labels(label_type)]


def scores_of(sentence: Sentence, label_type: str = "pos") -> list[float]:
    return [label.score for label in sentence.get_labels(label_type)]


def assert_same_labels(actual: Sequence[Sentence], expected: Sequence[Sentence]) -> None:
    assert [sentence.words for sentence in actual] == [sentence.words for sentence in expected]
    for one, other in zip(actual, expected, strict=True):
        assert len(labels_of(one)) == len(one)
        assert labels_of(one) == labels_of(other)
        assert scores_of(one) == pytest.approx(scores_of(other), abs=1e-5)


LENGTHS = [5, 0, 1, 12, 3, 3, 0, 30, 2, 7, 1]


class TestInput:
    def test_the_tagger_of_these_tests_predicts_different_labels(self, tagger: SequenceTagger) -> None:
        sentences = tagger.predict(make_sentences(LENGTHS))
        assert len({label for sentence in sentences for label in labels_of(sentence)}) > 2

    def test_a_sentence_is_labelled_and_returned(self, tagger: SequenceTagger) -> None:
        sentence = Sentence(["w1", "w2", "w3"])
        assert tagger.predict(sentence) is sentence
        assert len(labels_of(sentence)) == 3

    def test_a_text_becomes_a_sentence(self, tagger: SequenceTagger) -> None:
        sentence = tagger.predict("w1 w2, w3.")
        assert isinstance(sentence, Sentence)
        assert sentence.words == ["w1", "w2", ",", "w3", "."]
        assert len(labels_of(sentence)) == 5

    @pytest.mark.parametrize("kind", [list, tuple, iter, lambda items: (item for item in items)])
    def test_several_sentences_are_returned_as_a_list_in_order(
        self, kind: Callable[[list[Sentence]], Any], tagger: SequenceTagger
    ) -> None:
        sentences = make_sentences(LENGTHS)
        returned = tagger.predict(kind(sentences))
        assert isinstance(returned, list)
        assert len(returned) == len(sentences)
        assert all(one is other for one, other in zip(returned, sentences, strict=True))
        assert_same_labels(sentences, [tagger.predict(sentence) for sentence in copies(sentences)])

    def test_sentences_and_texts_may_be_mixed(self, tagger: SequenceTagger) -> None:
        sentence = Sentence(["w5", "w6"])
        returned = tagger.predict(["w1 w2", sentence, "", "w3"])
        assert [item.words for item in returned] == [["w1", "w2"], ["w5", "w6"], [], ["w3"]]
        assert returned[1] is sentence

    @pytest.mark.parametrize("items", [[""], ["", ""], [Sentence("")], ["", "w1", ""]])
    def test_empty_sentences_are_kept_without_labels(self, items: list[str | Sentence], tagger: SequenceTagger) -> None:
        returned = tagger.predict(items)
        assert len(returned) == len(items)
        assert [len(labels_of(sentence)) for sentence in returned] == [len(sentence) for sentence in returned]

    def test_an_empty_sentence_and_an_empty_list(self, tagger: SequenceTagger) -> None:
        empty = Sentence("")
        assert tagger.predict(empty) is empty
        assert empty.get_labels() == []
        assert tagger.predict("").words == []
        assert tagger.predict([]) == []

    def test_one_object_twice_is_labelled_once(self, tagger: SequenceTagger) -> None:
        sentence = Sentence(["w1", "w2"])
        assert tagger.predict([sentence, sentence]) == [sentence, sentence]
        assert len(sentence.get_labels("pos")) == 2

    @pytest.mark.parametrize("item", [3, None, b"w1", ["w1", "w2"], Sentence(["w1"])[0], 1.5])
    def test_an_item_that_is_not_a_sentence_is_refused_with_its_type(self, item: Any, tagger: SequenceTagger) -> None:
        with pytest.raises(SettingError, match=f"got a {type(item).__name__}"):
            tagger.predict(["w1", item])

    @pytest.mark.parametrize("item", [3, None])
    def test_an_object_that_is_not_sentences_is_refused(self, item: Any, tagger: SequenceTagger) -> None:
        with pytest.raises(FlairliteError, match=type(item).__name__):
            tagger.predict(item)

    @pytest.mark.parametrize("size", [0, -1])
    def test_a_batch_size_below_1_is_refused(self, size: int, tagger: SequenceTagger) -> None:
        with pytest.raises(SettingError, match=f"is {size}"):
            tagger.predict("w1", mini_batch_size=size)

    @given(texts=st.lists(st.text(max_size=30), max_size=5))
    @settings(max_examples=50)
    def test_any_text_gets_one_label_per_word(self, texts: list[str]) -> None:
        sentences = make_tagger().predict(texts)
        assert [sentence.text for sentence in sentences] == texts
        for sentence in sentences:
            assert len(labels_of(sentence)) == len(sentence.tokens)
            assert set(labels_of(sentence)) <= set(TAGS)


class TestIndependence:
    @pytest.mark.parametrize(
        "options", [{}, {"use_crf": False}, {"rnn_type": "GRU", "rnn_layers": 2}, {"use_rnn": False}]
    )
    @pytest.mark.parametrize("size", [1, 2, 5, 1000])
    def test_batches_of_any_size_give_the_same(self, size: int, options: dict[str, Any], device: torch.device) -> None:
        tagger = make_tagger(**options).to(device)
        sentences = make_sentences(LENGTHS)
        expected = [tagger.predict(sentence) for sentence in copies(sentences)]
        assert_same_labels(tagger.predict(sentences, mini_batch_size=size), expected)

    @given(st.lists(st.integers(0, len(LENGTHS) - 1), max_size=20), st.integers(1, 8))
    @settings(max_examples=25)
    def test_predictions_do_not_depend_on_other_sentences(self, choice: list[int], size: int) -> None:
        tagger = make_tagger()
        alone = [tagger.predict(sentence) for sentence in make_sentences(LENGTHS)]
        expected = [alone[position] for position in choice]
        assert_same_labels(tagger.predict(copies(expected), mini_batch_size=size), expected)

    def test_predicting_again_changes_nothing(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS)
        first = [(labels_of(sentence), scores_of(sentence)) for sentence in tagger.predict(sentences)]
        second = [(labels_of(sentence), scores_of(sentence)) for sentence in tagger.predict(sentences)]
        assert first == second

    def test_a_long_sentence_has_valid_scores(self, tagger: SequenceTagger) -> None:
        (sentence,) = make_sentences([2500])
        tagger.predict([sentence, "w1"])
        scores = scores_of(sentence)
        assert len(scores) == 2500
        assert all(0 < score <= 1 for score in scores)
        assert sum(scores) / 2500 > 1 / len(TAGS)  # better than random, so no probability vanished on the way

    def test_more_sentences_than_are_encoded_at_once(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences([number % 4 for number in range(3000)])
        expected = copies(sentences)
        for start in range(0, 3000, 700):
            tagger.predict(expected[start : start + 700])
        returned = tagger.predict(sentences)
        assert all(one is other for one, other in zip(returned, sentences, strict=True))
        assert_same_labels(returned, expected)

    def test_threads_predict_the_same_as_sequential_calls(self, tagger: SequenceTagger) -> None:
        parts = [make_sentences(LENGTHS * 3, seed=seed) for seed in range(12)]
        expected = [tagger.predict(copies(part)) for part in parts]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tagger.predict, parts))
        for part, wanted in zip(parts, expected, strict=True):
            assert_same_labels(part, wanted)


class TestScores:
    @pytest.mark.parametrize("use_crf", [True, False])
    def test_scores_are_probabilities(self, use_crf: bool) -> None:
        for sentence in make_tagger(use_crf=use_crf).predict(make_sentences(LENGTHS)):
            assert all(0 < score <= 1 for score in scores_of(sentence))

    @pytest.mark.parametrize("length", [1, 2, 5])
    def test_scores_of_a_crf_are_marginals_of_the_best_path(self, length: int) -> None:
        tagger = make_tagger(["A", "B", "C"])
        for seed in range(5):
            (sentence,) = make_sentences([length], seed=seed)
            path, marginals = enumerate_paths(tagger, sentence)
            tagger.predict(sentence)
            assert labels_of(sentence) == ["ABC"[tag] for tag in path]
            expected = [float(marginals[position, tag]) for position, tag in enumerate(path)]
            assert scores_of(sentence) == pytest.approx(expected, abs=1e-5)

    def test_scores_without_a_crf_are_the_largest_softmax(self) -> None:
        tagger = make_tagger(use_crf=False)
        (sentence,) = make_sentences([9])
        with torch.no_grad():
            probabilities, tags = tagger(tagger.encode([sentence]).batch(torch.arange(1)))[0].softmax(1).max(1)
        tagger.predict(sentence)
        assert labels_of(sentence) == [TAGS[tag] for tag in tags]
        assert scores_of(sentence) == pytest.approx(probabilities.tolist(), abs=1e-6)

    def test_a_tagger_of_one_label_is_certain(self) -> None:
        sentence = make_tagger(["A"]).predict(make_sentences([4])[0])
        assert labels_of(sentence) == ["A"] * 4
        assert scores_of(sentence) == pytest.approx([1.0] * 4)


@torch.no_grad()
def enumerate_paths(tagger: SequenceTagger, sentence: Sentence) -> tuple[tuple[int, ...], torch.Tensor]:
    """Return the best of all label sequences, and the probability of each label at each word, (T, K)."""
    emissions = tagger(tagger.encode([sentence]).batch(torch.arange(1)))[0].double()  # (T, K)
    assert tagger.crf is not None
    start, end, moves = (weight.double() for weight in (tagger.crf.start, tagger.crf.end, tagger.crf.transitions))
    scores: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(emissions.shape[1]), repeat=len(sentence)):
        score = start[path[0]] + end[path[-1]] + sum(emissions[position, tag] for position, tag in enumerate(path))
        scores[path] = float(score + sum(moves[left, right] for left, right in itertools.pairwise(path)))
    probabilities = torch.tensor(list(scores.values()), dtype=torch.float64).softmax(0).tolist()
    marginals = torch.zeros_like(emissions)
    for path, probability in zip(scores, probabilities, strict=True):
        for position, tag in enumerate(path):
            marginals[position, tag] += probability
    return max(scores, key=scores.__getitem__), marginals


@needs_bfloat16
class TestHalfPrecision:
    @pytest.mark.parametrize(
        "options", [{}, {"use_crf": False}, {"rnn_type": "GRU"}, {"rnn_type": "RNN"}, {"use_rnn": False}], ids=str
    )
    def test_a_model_in_bfloat16_predicts_almost_the_same(self, options: dict[str, Any]) -> None:
        sentences, others = make_sentences(LENGTHS * 5), make_sentences(LENGTHS * 5)
        make_tagger(**options).predict(sentences)
        make_tagger(**options).bfloat16().predict(others)
        labels = [label for sentence in sentences for label in labels_of(sentence)]
        agreed = [one == other for one, other in zip(labels, itertools.chain(*map(labels_of, others)), strict=True)]
        assert sum(agreed) / len(agreed) > 0.9
        assert all(0 < score <= 1 for sentence in others for score in scores_of(sentence))

    @pytest.mark.parametrize(
        "use_crf",
        [True, False],
    )
    def test_it_can_be_evaluated(self, use_crf: bool) -> None:
        tagger = make_tagger(use_crf=use_crf)
        sentences = tagger.predict(make_sentences(LENGTHS))
        result = make_tagger(use_crf=use_crf).bfloat16().evaluate(sentences)
        assert result.accuracy > 0.9
        assert result.loss == pytest.approx(tagger.evaluate(sentences).loss, rel=0.05)


class TestWriting:
    def test_gold_labels_are_overwritten_under_the_same_name_only(self, tagger: SequenceTagger) -> None:
        sentence = tagged("w1/GOLD w2 w3/GOLD")
        tagger.predict(sentence, label_name="predicted")
        assert sentence.token_labels("pos") == ["GOLD", None, "GOLD"]
        predicted = labels_of(sentence, "predicted")
        tagger.predict(sentence)
        assert labels_of(sentence) == predicted
        assert [len(token.get_labels("pos")) for token in sentence] == [1, 1, 1]

    def test_a_second_label_of_a_word_is_overwritten_too(self, tagger: SequenceTagger) -> None:
        sentence = tagged("w1/GOLD w2/GOLD")
        sentence[0].add_label("pos", "SECOND")
        tagger.predict(sentence)
        assert [len(token.get_labels("pos")) for token in sentence] == [1, 1]

    def test_labels_of_other_types_are_kept(self, tagger: SequenceTagger) -> None:
        sentence = tagged("w1/x w2/y w3/z", "lemma").add_label("topic", "news", 0.5)
        sentence[0:2].add_label("ner", "PER", 0.7)
        before = [(label.typename, label.value, label.score) for label in sentence.get_labels()]
        tagger.predict(sentence)
        after = [(label.typename, label.value, label.score) for label in sentence.get_labels()]
        assert [item for item in after if item[0] != "pos"] == before
        assert len(after) == len(before) + 3
        assert sentence.get_spans("ner")[0].text == "w1 w2"

    def test_labels_show_in_the_tagged_string(self, tagger: SequenceTagger) -> None:
        sentence = tagger.predict(Sentence(["w1", "w2"]))
        one, two = labels_of(sentence)
        assert sentence.to_tagged_string() == f'Sentence[2]: "w1 w2" → ["w1"/{one}, "w2"/{two}]'


class TestMode:
    @pytest.mark.parametrize("is_training", [True, False])
    def test_the_training_mode_is_restored(self, is_training: bool) -> None:
        tagger = make_tagger().train(is_training)
        modes = {name: module.training for name, module in tagger.named_modules()}
        sentences = tagger.predict(make_sentences(LENGTHS))
        assert {name: module.training for name, module in tagger.named_modules()} == modes
        assert_same_labels(sentences, make_tagger().predict(make_sentences(LENGTHS)))  # dropout was off meanwhile

    def test_the_training_mode_is_restored_after_an_error(self) -> None:
        tagger = make_tagger().train()
        with pytest.raises(SettingError):
            tagger.predict(["w1", 7])  # type: ignore[list-item]
        assert tagger.training

    def test_a_tagger_can_be_trained_after_it_has_predicted(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        sentences = tagger.predict(make_sentences(LENGTHS))
        before = {name: weight.detach().clone() for name, weight in tagger.named_parameters()}
        ModelTrainer(tagger, Corpus(sentences)).train(tmp_path, max_epochs=1)
        assert not any(torch.equal(weight, before[name]) for name, weight in tagger.named_parameters())

    def test_no_progress_bar_is_shown_without_a_terminal(
        self, tagger: SequenceTagger, capfd: pytest.CaptureFixture[str]
    ) -> None:
        tagger.predict(make_sentences(LENGTHS), verbose=True)
        assert capfd.readouterr() == ("", "")


class TestStream:
    def test_a_stream_reads_one_chunk_ahead(self, tagger: SequenceTagger) -> None:
        taken = 0

        def source() -> Iterator[str]:
            nonlocal taken
            while True:
                taken += 1
                yield f"w{taken % 40}"

        stream = tagger.predict_stream(source())
        assert taken == 0
        first = next(stream)
        assert first.words == ["w1"]
        assert len(labels_of(first)) == 1
        chunk = taken
        assert chunk <= 4096
        for number in range(2, chunk + 1):
            assert next(stream).words == [f"w{number % 40}"]
        assert taken == chunk
        next(stream)
        assert taken == 2 * chunk

    def test_a_stream_keeps_no_reference_to_yielded_sentences(self, tagger: SequenceTagger) -> None:
        made: weakref.WeakSet[Sentence] = weakref.WeakSet()

        def source() -> Iterator[Sentence]:
            for _ in range(5500):
                sentence = Sentence(["w1"])
                made.add(sentence)
                yield sentence

        most = 0
        for position, _ in enumerate(tagger.predict_stream(source())):
            if position % 1000 == 500:
                gc.collect()
                most = max(most, len(made))
        assert 0 < most <= 4500

    def test_a_stream_predicts_the_same_as_predict(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS)
        streamed = list(tagger.predict_stream(iter(copies(sentences)), 3, label_name="pos"))
        assert_same_labels(streamed, tagger.predict(sentences))


def test_no_python_call_is_made_for_each_word(tagger: SequenceTagger) -> None:
    """Python calls cost more than the arithmetic of a small tagger: their number must not follow the words."""

    def count_calls(num_words: int) -> int:
        sentences = make_sentences([num_words] * 64)
        calls = 0

        def count(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            tagger.predict(sentences)
        finally:
            sys.setprofile(None)
        return calls

    count_calls(10)  # what is imported and compiled on the first use does not count
    assert count_calls(80) < 2 * count_calls(10)


def test_prediction_creates_no_token_objects(tagger: SequenceTagger) -> None:
    sentences = make_sentences([3, 0, 5])
    tagger.predict(sentences)
    ours = set(map(id, sentences))

    def num_tokens() -> int:
        return sum(type(thing) is Token and id(thing._home) in ours for thing in gc.get_objects())

    assert num_tokens() == 0
    assert [len(labels_of(sentence)) for sentence in sentences] == [3, 0, 5]
    assert num_tokens() == 8  # those are seen that somebody asks for
