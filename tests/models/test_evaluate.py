"""Evaluation: the figures that scikit-learn finds for what `predict` says, and the sentences are as before."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import tagged

from flairlite.bundled import bundled_path
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FileWriteError, FlairliteError, LabelError, SettingError
from flairlite.metrics import Result
from flairlite.models import SequenceTagger

WORDS = [f"w{number}" for number in range(20)]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8)))
TAGS = ["A", "B", "C", "D"]
UNSEEN = ["NEW", "<unk>", "#"]  # labels that the tagger does not know


def make_tagger(**options: Any) -> SequenceTagger:
    """Make a tagger whose labels depend on the words: with its first weights, the transitions alone would decide."""
    dictionary = Dictionary.from_items(["<unk>", *TAGS])
    tagger = SequenceTagger(WordEmbeddings(VECTORS), dictionary, "pos", hidden_size=8, seed=0, **options)
    with torch.no_grad():
        for name, weight in tagger.named_parameters():
            if not name.startswith("crf."):
                weight.mul_(4)
    return tagger.eval()


@pytest.fixture
def tagger() -> SequenceTagger:
    return make_tagger()


def make_sentences(lengths: Sequence[int], labels: Sequence[str | None], seed: int = 0) -> list[Sentence]:
    draw = random.Random(seed)
    return [
        Sentence(draw.choices(WORDS, k=length)).set_token_labels("pos", draw.choices(labels, k=length))
        for length in lengths
    ]


def labels_of(tagger: SequenceTagger, words: list[str]) -> list[str]:
    """Return what `predict` says for words."""
    return [label.value for label in tagger.predict(Sentence(words)).get_labels("pos")]


def gold_and_predicted(tagger: SequenceTagger, sentences: Sequence[Sentence]) -> tuple[list[str], list[str]]:
    """Return the gold labels there are and what `predict` says for their words."""
    golds, predictions = [], []
    for sentence in sentences:
        other = tagger.predict(Sentence(sentence.words))
        for gold, predicted in zip(sentence, other, strict=True):
            if gold.has_label("pos"):
                golds.append(gold.get_label("pos").value)
                predictions.append(predicted.get_label("pos").value)
    return golds, predictions


def assert_figures(result: Result, gold: Sequence[str], predicted: Sequence[str]) -> None:
    """Compare a result with what scikit-learn finds for lists of labels."""
    assert set(result.labels) == {*gold, *predicted}
    expected = sklearn.metrics.classification_report(
        gold, predicted, labels=list(result.labels), output_dict=True, zero_division=0
    )
    for name in (*result.labels, "macro avg", "weighted avg"):
        assert result.classification_report[name] == pytest.approx(expected[name])
    precision, recall, score, _ = sklearn.metrics.precision_recall_fscore_support(
        gold, predicted, average="micro", zero_division=0
    )
    micro = result.classification_report["micro avg"]
    assert (micro["precision"], micro["recall"], micro["f1-score"]) == pytest.approx((precision, recall, score))
    assert result.main_score == pytest.approx(score)
    assert result.accuracy == pytest.approx(sklearn.metrics.accuracy_score(gold, predicted))
    pairs = Counter(zip(gold, predicted, strict=True))
    assert result.confusion.tolist() == [[pairs[row, column] for column in result.labels] for row in result.labels]


LENGTHS = [6, 1, 0, 14, 3, 9, 2, 0, 30]


class TestMetrics:
    @pytest.mark.parametrize("options", [{}, {"use_crf": False}])
    @pytest.mark.parametrize("labels", [TAGS, [*TAGS, None], [*TAGS, *UNSEEN], [*TAGS, *UNSEEN, None], ["A"], ["NEW"]])
    def test_metrics_match_the_predictions(
        self, labels: list[str | None], options: dict[str, Any], device: torch.device
    ) -> None:
        tagger = make_tagger(**options).to(device)
        sentences = make_sentences(LENGTHS, labels)
        assert_figures(tagger.evaluate(sentences), *gold_and_predicted(tagger, sentences))

    @given(
        columns=st.lists(
            st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([*TAGS, *UNSEEN, None])), max_size=8), max_size=6
        ),
        size=st.integers(1, 5),
    )
    @settings(max_examples=30)
    def test_metrics_match_the_predictions_of_any_sentences(
        self, columns: list[list[tuple[str, str | None]]], size: int
    ) -> None:
        tagger = make_tagger()
        sentences = [
            Sentence([word for word, _ in pairs]).set_token_labels("pos", [label for _, label in pairs])
            for pairs in columns
        ]
        if not any(label for pairs in columns for _, label in pairs):
            with pytest.raises(LabelError):
                tagger.evaluate(sentences, mini_batch_size=size)
            return
        result = tagger.evaluate(sentences, mini_batch_size=size)
        assert_figures(result, *gold_and_predicted(tagger, sentences))

    def test_labels_that_the_model_does_not_know_count_as_misses(self, tagger: SequenceTagger) -> None:
        sentence = Sentence(["w1", "w2", "w3", "w4"])
        right = labels_of(tagger, sentence.words)
        sentence.set_token_labels("pos", [*right[:3], "NEW"])
        result = tagger.evaluate([sentence])
        assert result.accuracy == result.main_score == 0.75
        assert result.classification_report["NEW"] == {
            "precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 1.0,
        }  # fmt: skip

    def test_perfect_predictions_have_the_score_1(self, tagger: SequenceTagger) -> None:
        sentences = tagger.predict(make_sentences(LENGTHS, [None]))
        result = tagger.evaluate(sentences)
        assert result.main_score == result.accuracy == 1.0
        assert result.scores["macro avg", "f1-score"] == 1.0

    def test_the_report_shows_all_metrics(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS, TAGS)
        result = tagger.evaluate(sentences)
        lines = str(result).splitlines()
        assert lines[1] == "Results:"
        assert lines[2] == f"- F-score (micro) {result.main_score:.4f}"
        assert lines[3] == f"- F-score (macro) {result.classification_report['macro avg']['f1-score']:.4f}"
        assert lines[4] == f"- Accuracy {result.accuracy:.4f}"
        assert [line.split()[0] for line in lines[9 : 9 + len(TAGS)]] == list(result.labels)


class TestLoss:
    @pytest.mark.parametrize("options", [{}, {"use_crf": False}, {"use_crf": False, "loss_weights": {"A": 4.0}}])
    @pytest.mark.parametrize("labels", [TAGS, [*TAGS, None], [*TAGS, *UNSEEN, None]])
    @pytest.mark.parametrize("size", [1, 3, 64])
    def test_the_loss_is_the_mean_over_labelled_words(
        self, size: int, labels: list[str | None], options: dict[str, Any]
    ) -> None:
        tagger = make_tagger(**options)
        sentences = make_sentences(LENGTHS, labels)
        total, count = 0.0, 0
        for sentence in (sentence for sentence in sentences if sentence.words):
            # labels unknown to the tagger have no part in it
            column = [label if label in TAGS else None for label in sentence.token_labels("pos") or ()]
            known = Sentence(sentence.words).set_token_labels("pos", column)
            batch = tagger.encode([known], label_type="pos", labels=TAGS).batch(torch.arange(1))
            with torch.no_grad():
                total += float(tagger.loss(tagger(batch), batch))
            count += sum(label is not None for label in column)
        assert tagger.evaluate(sentences, mini_batch_size=size).loss == pytest.approx(total / count, rel=1e-5)


class TestSentences:
    def test_labels_are_not_changed(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS, [*TAGS, "NEW", None])
        sentences[0].add_label("topic", "news", 0.5)
        sentences[0][1:3].add_label("ner", "PER")
        sentences[3].set_token_labels("other", ["x"] * 14, [0.5] * 14)

        def everything() -> list[Any]:
            return [
                [str(sentence), sentence.words, sentence.label_types()]
                + [(label.typename, label.value, label.score) for label in sentence.get_labels()]
                for sentence in sentences
            ]

        before = everything()
        tagger.evaluate(sentences)
        assert everything() == before

    @pytest.mark.parametrize("is_training", [True, False])
    def test_the_training_mode_is_kept(self, is_training: bool) -> None:
        tagger = make_tagger().train(is_training)
        sentences = make_sentences(LENGTHS, TAGS)
        result = tagger.evaluate(sentences)
        assert tagger.training is is_training
        assert result.loss == pytest.approx(make_tagger().evaluate(sentences).loss)  # dropout was off meanwhile

    @pytest.mark.parametrize("kind", [list, tuple, iter])
    def test_any_iterable_of_sentences_is_accepted(self, kind: Any, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS, TAGS)
        assert_figures(tagger.evaluate(kind(sentences)), *gold_and_predicted(tagger, sentences))

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_file_is_read(self, kind: Any, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=8)
        tagger.save(tmp_path / "model.pt")
        loaded = SequenceTagger.load(tmp_path / "model.pt")
        result = loaded.evaluate(kind(bundled_path("sample_english") / "test.conllu"))
        expected = tagger.evaluate(sample.test or ())
        assert result.detailed_results == expected.detailed_results
        assert result.loss == pytest.approx(expected.loss, rel=1e-5)

    def test_a_missing_file_is_an_error_that_names_it(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        with pytest.raises(FlairliteError, match=r"nowhere\.conllu"):
            tagger.evaluate(tmp_path / "nowhere.conllu")

    @pytest.mark.parametrize("data", [Sentence(["w1"]), ["w1 w2"], [None]], ids=["one sentence", "texts", "None"])
    def test_other_objects_than_sentences_are_refused(self, data: Any, tagger: SequenceTagger) -> None:
        with pytest.raises(FlairliteError):
            tagger.evaluate(data)


class TestGold:
    def test_gold_labels_may_have_another_name(self, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS, TAGS)
        renamed = [
            Sentence(sentence.words).set_token_labels("gold", sentence.token_labels("pos") or ())
            for sentence in sentences
        ]
        result = tagger.evaluate(renamed, gold_label_type="gold")
        assert result.detailed_results == tagger.evaluate(sentences).detailed_results
        with pytest.raises(LabelError, match="'pos'"):
            tagger.evaluate(renamed)

    def test_a_missing_gold_label_type_is_named(self, tagger: SequenceTagger) -> None:
        with pytest.raises(LabelError, match="'gold'"):
            tagger.evaluate(make_sentences(LENGTHS, TAGS), gold_label_type="gold")

    @pytest.mark.parametrize("sentences", [[], [Sentence("")], [Sentence(["w1", "w2"])], [tagged("w1/x", "lemma")]])
    def test_sentences_without_gold_labels_are_refused(self, sentences: list[Sentence], tagger: SequenceTagger) -> None:
        with pytest.raises(LabelError, match="'pos'"):
            tagger.evaluate(sentences)


class TestOutput:
    def test_rows_have_word_gold_label_and_prediction(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        sentences = [tagged("w1/A w2 w3/NEW"), Sentence(""), tagged("w9/B")]
        tagger.evaluate(sentences, out_path=tmp_path / "out.tsv")
        one, two, three = labels_of(tagger, ["w1", "w2", "w3"])
        (four,) = labels_of(tagger, ["w9"])
        expected = f"w1\tA\t{one}\nw2\t_\t{two}\nw3\tNEW\t{three}\n\n\nw9\tB\t{four}\n\n"
        assert (tmp_path / "out.tsv").read_text(encoding="utf-8") == expected

    def test_rows_are_in_the_order_of_the_sentences_for_any_batch_size(
        self, tagger: SequenceTagger, tmp_path: Path
    ) -> None:
        sentences = make_sentences(LENGTHS, [*TAGS, None])
        tagger.evaluate(sentences, out_path=str(tmp_path / "out.tsv"), mini_batch_size=2)
        expected = []
        for sentence in sentences:
            golds = sentence.token_labels("pos") or ()
            predictions = labels_of(tagger, sentence.words)
            rows = zip(sentence.words, golds, predictions, strict=True)
            expected += [*(f"{word}\t{gold or '_'}\t{predicted}" for word, gold, predicted in rows), ""]
        assert (tmp_path / "out.tsv").read_text(encoding="utf-8").split("\n")[:-1] == expected

    def test_words_of_any_script_are_written(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        tagger.evaluate([tagged("été/A 中文/B 🙂/C")], out_path=tmp_path / "out.tsv")
        lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").split("\n")
        assert [line.split("\t")[:2] for line in lines[:3]] == [["été", "A"], ["中文", "B"], ["🙂", "C"]]

    def test_an_old_file_is_replaced(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        (tmp_path / "out.tsv").write_text("old" * 1000)
        tagger.evaluate([tagged("w1/A")], out_path=tmp_path / "out.tsv")
        assert "old" not in (tmp_path / "out.tsv").read_text()
        assert [path.name for path in tmp_path.iterdir()] == ["out.tsv"]

    def test_a_path_that_cannot_be_written_is_named(self, tagger: SequenceTagger, tmp_path: Path) -> None:
        with pytest.raises(FileWriteError, match=r"missing.out\.tsv cannot be written"):
            tagger.evaluate([tagged("w1/A")], out_path=tmp_path / "missing" / "out.tsv")


class TestMainScore:
    @pytest.mark.parametrize("name", ["micro avg", "macro avg", "weighted avg", "A", "NEW"])
    @pytest.mark.parametrize("metric", ["precision", "recall", "f1-score"])
    def test_the_main_score_is_the_requested_metric(self, name: str, metric: str, tagger: SequenceTagger) -> None:
        sentences = make_sentences(LENGTHS, [*TAGS, "NEW"])
        result = tagger.evaluate(sentences, main_evaluation_metric=(name, metric))
        assert result.main_score == result.classification_report[name][metric]
        assert result.metric_name == f"{metric} ({name})"

    @pytest.mark.parametrize("figure", [("micro", "f1-score"), ("micro avg", "f1"), ("Z", "recall"), ("accuracy", "")])
    def test_an_unknown_metric_is_refused_with_the_available_ones(
        self, figure: tuple[str, str], tagger: SequenceTagger
    ) -> None:
        with pytest.raises(SettingError, match=r"'A'.*'micro avg'.*'f1-score'"):
            tagger.evaluate(make_sentences(LENGTHS, TAGS), main_evaluation_metric=figure)
