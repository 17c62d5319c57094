"""Evaluation data without gold labels, with the label `O`, or with predictions in place of gold labels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sentences import tagged

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, SettingError
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.tasks import DocumentTask, SpanTask, WordTask
from flairlite.trainers import ModelTrainer

WORDS = [f"w{index}" for index in range(12)]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 6)))


def entities(*spans: tuple[int, int, str], length: int = 6) -> Sentence:
    return Sentence(WORDS[:length]).set_span_labels("ner", spans)


def train(model: Any, corpus: Corpus, path: Path, **options: Any) -> dict[str, Any]:
    return ModelTrainer(model, corpus).train(path, max_epochs=1, mini_batch_size=2, **options)


def make_tagger(corpus: Corpus, label_type: str = "ner", **options: Any) -> SequenceTagger:
    dictionary = corpus.make_label_dictionary(label_type)
    return SequenceTagger(WordEmbeddings(VECTORS), dictionary, label_type, hidden_size=4, seed=0, **options)


def always(tagger: SequenceTagger, class_name: str) -> SequenceTagger:
    """Make a tagger predict one class for every word."""
    with torch.no_grad():
        tagger.linear.weight.zero_()
        tagger.linear.bias.zero_()
        tagger.linear.bias[tagger.task.class_names.index(class_name)] = 50.0
    return tagger.eval()


def make_classifier(corpus: Corpus, **options: Any) -> TextClassifier:
    embeddings = DocumentPoolEmbeddings(WordEmbeddings(VECTORS))
    return TextClassifier(embeddings, "topic", corpus.make_label_dictionary("topic"), seed=0, **options)


def topic(*labels: str) -> Sentence:
    return Sentence(WORDS[:3]).set_sentence_labels("topic", labels)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


WITH_ENTITIES = [entities((0, 1, "PER"), (2, 4, "LOC")), entities((1, 2, "LOC"))] * 2
WITHOUT = [entities(), Sentence(WORDS[:4])]


class TestNoEntities:
    @pytest.mark.parametrize("split", ["dev", "test"])
    def test_a_split_without_entities_trains_with_a_warning(
        self, split: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        splits = {"dev": WITH_ENTITIES, "test": WITH_ENTITIES, split: WITHOUT}
        corpus = Corpus(WITH_ENTITIES, splits["dev"], splits["test"], sample_missing_splits=False)
        result = train(make_tagger(corpus), corpus, tmp_path)
        [message] = [message for message in warnings(caplog) if "no label type 'ner'" in message]
        assert f"the {split} split" in message
        assert result["dev_score_history" if split == "dev" else "test_score"] in ([0.0], 0.0)

    def test_evaluating_counts_false_alarms(self, caplog: pytest.LogCaptureFixture) -> None:
        tagger = always(make_tagger(Corpus(WITH_ENTITIES)), "S-PER")
        result = tagger.evaluate(WITHOUT)
        assert result.main_score == 0
        assert result.labels == ("PER",)
        assert result.classification_report["PER"] == {"precision": 0, "recall": 0, "f1-score": 0, "support": 0}
        assert result.accuracy == 0
        assert "Its scores are 0" in caplog.text

    def test_one_entity_makes_the_alarms_count_against_precision(self) -> None:
        tagger = always(make_tagger(Corpus(WITH_ENTITIES)), "S-PER")
        result = tagger.evaluate([*WITHOUT, entities((0, 1, "PER"), length=1)])
        assert result.classification_report["micro avg"]["precision"] == pytest.approx(1 / 11)
        assert result.classification_report["micro avg"]["recall"] == 1

    @pytest.mark.parametrize("data", [[], [Sentence("")]])
    def test_data_without_words_is_refused(self, data: list[Sentence]) -> None:
        tagger = make_tagger(Corpus(WITH_ENTITIES))
        with pytest.raises(LabelError, match="no label type 'ner' in the data to evaluate"):
            tagger.evaluate(data)

    @pytest.mark.parametrize("exclude", [["PER", "LOC"], ["LOC"]])
    def test_all_gold_labels_may_be_excluded(self, exclude: list[str], caplog: pytest.LogCaptureFixture) -> None:
        tagger = always(make_tagger(Corpus(WITH_ENTITIES)), "S-PER")
        result = tagger.evaluate([entities((1, 2, "LOC"))], exclude_labels=exclude)
        assert result.main_score == 0
        assert result.labels == (() if "PER" in exclude else ("PER",))
        assert "all labels of the data to evaluate are excluded" in caplog.text

    def test_training_without_entities_is_refused(self, tmp_path: Path) -> None:
        corpus = Corpus(WITHOUT, WITH_ENTITIES, WITH_ENTITIES)
        with pytest.raises(LabelError, match="no label type 'ner' in the train split"):
            train(make_tagger(Corpus(WITH_ENTITIES)), corpus, tmp_path)

    def test_a_split_with_unknown_labels_only_trains_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        corpus = Corpus(WITH_ENTITIES, [entities((0, 1, "NEW"))], WITH_ENTITIES)
        result = train(make_tagger(Corpus(WITH_ENTITIES)), corpus, tmp_path)
        assert result["dev_score_history"] == [0]
        assert "1 labels of the dev split are not in the model's dictionary and count as misses: NEW (1)" in caplog.text

    @pytest.mark.parametrize("task", [WordTask("ner", ["A"]), DocumentTask("ner", ["A"])])
    def test_units_that_must_have_labels_are_refused_without(self, task: WordTask | DocumentTask) -> None:
        with pytest.raises(LabelError, match="no label type 'ner' in the dev split; it has: no labels at all"):
            task.check([Sentence(WORDS)], "the dev split")

    def test_a_multi_label_split_without_labels_has_false_alarms(self, caplog: pytest.LogCaptureFixture) -> None:
        classifier = make_classifier(Corpus([topic("a", "b"), topic("c")]), multi_label=True)
        with torch.no_grad():
            classifier.decoder.bias.copy_(torch.tensor([9.0, -9.0, -9.0]))
            classifier.decoder.weight.zero_()
        result = classifier.evaluate([topic(), topic()])
        assert result.main_score == result.accuracy == 0
        assert result.labels == ("a",)
        assert "Its scores are 0" in caplog.text


class TestOutside:
    """Tags of an unknown form are labels of words, of which `O` is the most frequent."""

    DATA: ClassVar = [tagged("w0/O w1/O w2/O w3/O w4/x1 w5/O", "ner"), tagged("w6/O w7/O w8/y2 w9/O", "ner")]

    def tagger(self, class_name: str) -> SequenceTagger:
        return always(make_tagger(Corpus(self.DATA), use_crf=False), class_name)

    def test_predicting_nothing_scores_nothing(self) -> None:
        result = self.tagger("O").evaluate(self.DATA)
        assert result.main_score == 0
        assert result.accuracy == pytest.approx(0.8)
        assert set(result.labels) == {"x1", "y2"}
        assert "O " not in str(result).partition("By class:")[2]

    def test_predictions_on_outside_words_are_false_alarms(self) -> None:
        report = self.tagger("x1").evaluate(self.DATA).classification_report
        assert report["x1"]["precision"] == pytest.approx(1 / 10)
        assert report["micro avg"] == pytest.approx(
            {"precision": 0.1, "recall": 0.5, "f1-score": 2 / 12, "support": 2.0}
        )

    def test_the_table_of_losses_has_the_same_scores(self, tmp_path: Path) -> None:
        corpus = Corpus(self.DATA, self.DATA, self.DATA)
        tagger = self.tagger("O")
        result = train(tagger, corpus, tmp_path, learning_rate=1e-9)
        head, row = (line.split("\t") for line in (tmp_path / "loss.tsv").read_text("utf-8").splitlines())
        assert float(row[head.index("DEV_F1")]) == result["test_score"] == 0
        assert float(row[head.index("DEV_PRECISION")]) == 0

    def test_a_split_without_labels_trains_where_all_may_be_outside(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        corpus = Corpus(self.DATA, [Sentence(WORDS)], self.DATA)  # a column of O alone is read as no spans
        assert train(self.tagger("x1"), corpus, tmp_path)["dev_score_history"] == [0]
        assert "no label type 'ner' in the dev split" in caplog.text

    def test_the_outside_label_cannot_choose_the_best_model(self, tmp_path: Path) -> None:
        corpus = Corpus(self.DATA, self.DATA, self.DATA)
        with pytest.raises(SettingError, match="main_evaluation_metric"):
            train(self.tagger("O"), corpus, tmp_path, main_evaluation_metric=("O", "f1-score"))

    def test_labels_of_texts_may_be_called_so(self) -> None:
        classifier = make_classifier(Corpus([topic("O"), topic("AB")]))
        assert set(classifier.evaluate([topic("O"), topic("AB")]).labels) == {"O", "AB"}


class TestMissingLabels:
    def test_texts_without_a_label_are_counted_with_the_remedy(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        corpus = Corpus([topic("spam"), topic(), topic(), topic("ham")], [topic("spam"), topic()], [topic("ham")])
        train(make_classifier(corpus), corpus, tmp_path)
        messages = warnings(caplog)
        assert len(messages) == 2
        assert messages[0].startswith("2 sentences of the train split have no 'topic' label: they teach the model noth")
        assert "multi_label=True" in messages[0]
        assert messages[1] == "1 sentences of the dev split have no 'topic' label: they are not compared"

    def test_a_classifier_with_one_label_is_pointed_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        corpus = Corpus([topic("spam"), topic()], [topic("spam")], [topic("spam")])
        train(make_classifier(corpus), corpus, tmp_path)
        assert any("knows one label only, 'spam'" in message for message in warnings(caplog))

    def test_a_multi_label_classifier_with_one_label_is_none_of_these(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        corpus = Corpus([topic("spam"), topic()], [topic("spam")], [topic()])
        train(make_classifier(corpus, multi_label=True), corpus, tmp_path)
        [message] = warnings(caplog)
        assert "the test split" in message

    def test_training_a_multi_label_classifier_without_labels_is_refused(self, tmp_path: Path) -> None:
        classifier = make_classifier(Corpus([topic("a", "b")]), multi_label=True)
        with pytest.raises(LabelError, match="no label type 'topic' in the train split"):
            train(classifier, Corpus([topic(), topic()], [topic("a")], [topic("a")]), tmp_path)

    def test_words_without_a_label_are_counted(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        full = tagged("w0/A w1/B")
        corpus = Corpus([tagged("w0/A w1 w2/B w3"), full], [full], [full])
        train(make_tagger(corpus, "pos"), corpus, tmp_path)
        [message] = warnings(caplog)
        assert message.startswith("2 words of the train split have no 'pos' label: they teach the model nothing")

    def test_embeddings_that_read_the_answer_are_pointed_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        from flairlite.embeddings import OneHotEmbeddings

        corpus = Corpus([tagged("w0/A w1/B")] * 2, [tagged("w0/A")], [tagged("w0/A")])
        embeddings = OneHotEmbeddings.from_corpus(corpus, field="pos", min_freq=1)
        tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("pos"), "pos", hidden_size=4)
        train(tagger, corpus, tmp_path)
        assert any("the embeddings read the 'pos' labels" in message for message in warnings(caplog))


class TestPredictionsAsGold:
    """Predictions written over gold labels are compared with themselves: this is noticed by their scores."""

    @pytest.mark.parametrize("kind", ["words", "spans", "texts"])
    def test_evaluating_predictions_warns(self, kind: str, caplog: pytest.LogCaptureFixture) -> None:
        if kind == "texts":
            data: Sequence[Sentence] = [topic("a"), topic("b")]
            model: Any = make_classifier(Corpus(data))
        elif kind == "spans":
            data = [entities((0, 1, "PER")), entities((1, 3, "LOC"))]
            model = make_tagger(Corpus(data))
            with torch.no_grad():
                always(model, "S-PER").linear.bias.mul_(0.1)
        else:
            data = [tagged("w0/A w1/B"), tagged("w2/B")]
            model = make_tagger(Corpus(data), "pos")
        model.evaluate(data)
        assert not warnings(caplog)
        model.predict(data)
        assert model.evaluate(data).main_score == 1
        replaced, message = warnings(caplog)
        assert "predict replaces" in replaced
        assert message.startswith("2 of 2 sampled sentences of the data to evaluate have")
        assert "label_name='predicted'" in message

    def test_predictions_under_another_name_leave_the_gold_labels(self, caplog: pytest.LogCaptureFixture) -> None:
        data = [tagged("w0/A w1/B"), tagged("w2/B")]
        model = make_tagger(Corpus(data), "pos")
        before = model.evaluate(data)
        model.predict(data, label_name="predicted")
        assert model.evaluate(data).scores == before.scores
        assert not warnings(caplog)
        model.evaluate(data, gold_label_type="predicted")
        assert "'predicted' labels with scores other than 1" in caplog.text

    def test_a_predicted_dev_split_is_noticed_before_training(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        data = [tagged("w0/A w1/B"), tagged("w2/B")]
        model = make_tagger(Corpus(data), "pos")
        dev = model.predict([Sentence(["w3", "w4"])])
        train(model, Corpus(data, dev, data), tmp_path)
        [message] = warnings(caplog)
        assert "sampled sentences of the dev split" in message


@pytest.mark.parametrize("task", [SpanTask("ner", ["A"]), WordTask("ner", ["A"])])
def test_rows_stay_rows_whatever_words_and_labels_contain(task: SpanTask | WordTask) -> None:
    label, words = "a\tb\nc", ["tab\there", "line\nend", "\u2028", "plain"]
    sentence = Sentence(words)
    if isinstance(task, SpanTask):
        sentence.set_span_labels("ner", [(1, 2, label)])
    else:
        sentence.set_token_labels("ner", [None, label, None, None])
    lines = "".join(task.rows(task.gold([sentence]), torch.zeros(5, dtype=torch.int64))).splitlines()
    assert [line.count("\t") for line in lines] == [2, 2, 2, 2, 0]


class TestSettings:
    """Settings of the wrong type are refused by name, and one label may be given without a list."""

    DATA: ClassVar = [tagged("w0/P w1/PER"), tagged("w2/PER")]

    def test_one_excluded_label_needs_no_list(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        corpus = Corpus(self.DATA, self.DATA, self.DATA)
        tagger = make_tagger(corpus, "pos")
        expected = tagger.evaluate(self.DATA, exclude_labels=["PER"])
        assert expected.labels == ("P",), "not every label whose name is a part of it"
        assert tagger.evaluate(self.DATA, exclude_labels="PER").scores == expected.scores
        train(tagger, corpus, tmp_path, exclude_labels="PER")
        assert not warnings(caplog)

    @pytest.mark.parametrize("exclude", [5, [5], [None], b"PER"])
    def test_excluded_labels_must_be_strings(self, exclude: Any) -> None:
        with pytest.raises(SettingError, match="exclude_labels must be a list of strings"):
            make_tagger(Corpus(self.DATA), "pos").evaluate(self.DATA, exclude_labels=exclude)

    def test_an_excluded_label_that_does_not_exist_is_pointed_out(self, caplog: pytest.LogCaptureFixture) -> None:
        tagger = make_tagger(Corpus(self.DATA), "pos")
        tagger.evaluate(self.DATA, exclude_labels=["per", "O"])
        assert warnings(caplog) == ["excluded labels that neither the data to evaluate nor the model has: per"]

    @pytest.mark.parametrize(
        "metric",
        ["f1-score", None, ("micro avg",), ("micro avg", 1), ("micro avg", "support"), (["micro avg"], "recall")],
    )
    def test_a_malformed_main_score_is_refused(self, metric: Any) -> None:
        tagger = make_tagger(Corpus(self.DATA), "pos")
        with pytest.raises(SettingError, match="micro avg"):
            tagger.evaluate(self.DATA, main_evaluation_metric=metric)

    @pytest.mark.parametrize(
        "arguments",
        [(None, ["A"]), ("", ["A"]), ("pos", "AB"), ("pos", [1, 2]), ("pos", ["A", "B", "A"]), ("pos", 3)],
    )
    @pytest.mark.parametrize("kind", [WordTask, SpanTask, DocumentTask])
    def test_a_task_refuses_what_is_no_label_type_or_no_labels(
        self, kind: type[Any], arguments: tuple[Any, Any]
    ) -> None:
        with pytest.raises(SettingError, match=r"label_type must be|label_names must be"):
            kind(*arguments)

    def test_a_task_takes_labels_of_numpy(self) -> None:
        assert WordTask("pos", np.array(["A", "B"])).label_names == ("A", "B")

    @pytest.mark.parametrize("weights", [["A"], {"P": "2"}, {"P": None}, {"P": -1.0}, {"P": True}, {"P": float("nan")}])
    def test_malformed_loss_weights_are_refused(self, weights: Any) -> None:
        with pytest.raises(SettingError, match="loss_weights"):
            WordTask("pos", ["P", "PER"]).class_weights(weights)

    @pytest.mark.parametrize("threshold", ["0.5", None, float("nan"), [0.5], True, {"a": "0.5"}, {1: 0.5}])
    def test_malformed_thresholds_are_refused(self, threshold: Any) -> None:
        with pytest.raises(SettingError, match="threshold"):
            DocumentTask("topic", ["a"], multi_label=True, threshold=threshold)

    def test_numbers_of_numpy_are_numbers(self) -> None:
        task = DocumentTask("topic", ["a"], multi_label=True, threshold=np.float32(0.25))
        assert task.threshold == {"default": 0.25}
        assert type(task.threshold["default"]) is float
        assert len(make_tagger(Corpus(self.DATA), "pos").predict(self.DATA, mini_batch_size=np.int64(1))) == 2

    @pytest.mark.parametrize("size", ["2", 1.5, None])
    def test_a_malformed_batch_size_is_refused(self, size: Any) -> None:
        with pytest.raises(SettingError, match="mini_batch_size must be"):
            make_tagger(Corpus(self.DATA), "pos").predict(self.DATA, mini_batch_size=size)

    @pytest.mark.parametrize("options", [{"hidden_size": "4"}, {"hidden_size": 4.5}, {"rnn_layers": None}])
    @pytest.mark.parametrize("rate", ["word_dropout", "locked_dropout", "dropout"])
    def test_malformed_sizes_and_rates_are_refused(self, options: dict[str, Any], rate: str) -> None:
        corpus = Corpus(self.DATA)
        dictionary, embeddings = corpus.make_label_dictionary("pos"), WordEmbeddings(VECTORS)
        with pytest.raises(SettingError, match="must be a whole number"):
            SequenceTagger(embeddings, dictionary, "pos", **options)
        with pytest.raises(SettingError, match=f"{rate} must be a number"):
            SequenceTagger(embeddings, dictionary, "pos", **{rate: "0.5"})  # type: ignore[arg-type]
