"""Tasks convert labels to class ids and back, and their scores are those of seqeval and scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import tagged
from seqeval.metrics import classification_report as seqeval_report
from seqeval.scheme import BILOU, IOB2, IOBES

from flairlite.data import Sentence
from flairlite.data.tag_schemes import TagSpan, tags_of
from flairlite.encoding import encode
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import Matches, Result, evaluate_matches
from flairlite.tasks import Decoded, DocumentTask, SpanTask, WordTask
from flairlite.tensors import UNLABELLED

LABELS = ("PER", "LOC", "ORG")
SEQEVAL = {"BIO": IOB2, "BIOES": IOBES, "BILOU": BILOU}


@st.composite
def spans_and_length(draw: st.DrawFn, labels: Sequence[str] = LABELS) -> tuple[list[TagSpan], int]:
    """Spans that do not overlap, and the number of words."""
    parts = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(labels)), max_size=4))
    spans, end = [], 0
    for gap, width, label in parts:
        spans.append((end + gap, end + gap + width, label))
        end += gap + width
    return spans, end + draw(st.integers(0, 2))


def sentence_with(spans: Sequence[TagSpan], length: int) -> Sentence:
    return Sentence([f"w{index}" for index in range(length)]).set_span_labels("ner", spans)


def classes_of(task: SpanTask, sentences: Sequence[Sequence[TagSpan]], lengths: Sequence[int]) -> torch.Tensor:
    """Return the class ids of spans as a model would predict them, (N + 1,), with any value on padding."""
    names = [
        name for spans, length in zip(sentences, lengths, strict=True) for name in tags_of(spans, length, task.scheme)
    ]
    return torch.tensor([*map(task.class_names.index, names), 1])


class TestSpans:
    @pytest.mark.parametrize("tag_format", SEQEVAL)
    @given(drawn=st.lists(spans_and_length(), min_size=1, max_size=5))
    @settings(max_examples=40)
    def test_spans_become_tags_and_tags_the_same_spans(
        self, tag_format: str, drawn: list[tuple[list[TagSpan], int]]
    ) -> None:
        task = SpanTask("ner", LABELS, tag_format=tag_format)
        sentences = [sentence_with(*one) for one in drawn]
        class_ids = task.targets(sentences, LABELS).class_ids
        tags = [tag for spans, length in drawn for tag in tags_of(spans, length, task.scheme)]
        assert [task.class_names[index] for index in class_ids[:-1].tolist()] == tags
        blank = [Sentence(sentence.words) for sentence in sentences]
        scores = torch.arange(len(class_ids)) / 100
        task.write(blank, Decoded(class_ids, scores), "found")
        assert [sentence.span_labels("found") for sentence in blank] == [spans for spans, _ in drawn]
        first = 0
        for sentence in blank:
            for label in sentence.get_labels("found"):
                assert label.score == pytest.approx((first + label.data_point.start) / 100)  # type: ignore[attr-defined]
            first += len(sentence)

    @pytest.mark.parametrize("tag_format", SEQEVAL)
    @given(pairs=st.lists(st.tuples(spans_and_length((*LABELS, "NEW")), spans_and_length()), min_size=1, max_size=5))
    @settings(max_examples=60)
    def test_figures_are_those_of_seqeval_in_strict_mode(
        self, tag_format: str, pairs: list[tuple[tuple[list[TagSpan], int], tuple[list[TagSpan], int]]]
    ) -> None:
        task = SpanTask("ner", LABELS, tag_format=tag_format)
        lengths = [max(gold[1], predicted[1]) for gold, predicted in pairs]
        golds, predictions = ([list(pair[side][0]) for pair in pairs] for side in (0, 1))
        sentences = [sentence_with(spans, length) for spans, length in zip(golds, lengths, strict=True)]
        predicted = classes_of(task, predictions, lengths)
        result = task.score(task.gold(sentences), predicted)
        if not any(golds):  # then seqeval refuses to compare
            assert result.main_score == 0
            assert result.accuracy == 0
            assert set(result.labels) == {label for spans in predictions for _, _, label in spans}
            return
        expected = seqeval_report(
            *([tags_of(*one, task.scheme) for one in zip(side, lengths, strict=True)] for side in (golds, predictions)),
            mode="strict", scheme=SEQEVAL[tag_format], output_dict=True, zero_division=0,
        )  # fmt: skip
        assert set(result.classification_report) == set(expected)
        for name, figures in expected.items():
            assert result.classification_report[name] == pytest.approx(figures), name
        assert result.main_score == pytest.approx(expected["micro avg"]["f1-score"])

    def test_accuracy_is_the_fraction_of_spans_with_the_right_label(self) -> None:
        task = SpanTask("ner", LABELS)
        sentence = sentence_with([(0, 2, "PER"), (3, 4, "LOC"), (5, 6, "ORG")], 8)
        predicted = classes_of(task, [[(0, 2, "PER"), (3, 4, "ORG"), (7, 8, "LOC")]], [8])
        assert task.score(task.gold([sentence]), predicted).accuracy == pytest.approx(1 / 4)

    def test_the_longest_of_overlapping_spans_is_learned_with_a_warning(self) -> None:
        task = SpanTask("ner", LABELS)
        spans = [(0, 2, "PER"), (1, 4, "ORG"), (2, 3, "LOC"), (4, 5, "LOC"), (4, 5, "PER"), (4, 5, "LOC")]
        sentences = [sentence_with(spans, 6)]
        tags = [task.class_names[index] for index in task.gold(sentences).targets.class_ids[:-1].tolist()]
        assert tags == ["O", "B-ORG", "I-ORG", "E-ORG", "S-LOC", "O"]
        [warning] = task.check(sentences, "the train split", for_training=True)
        assert warning.startswith("3 spans of the train split overlap")

    def test_an_evaluation_counts_each_overlapping_span(self) -> None:
        task = SpanTask("ner", LABELS)
        sentences = [sentence_with([(0, 2, "PER"), (0, 3, "ORG"), (0, 3, "ORG")], 4)]
        result = task.score(task.gold(sentences), classes_of(task, [[(0, 3, "ORG")]], [4]))
        assert result.classification_report["micro avg"] == pytest.approx(
            {"precision": 1.0, "recall": 0.5, "f1-score": 2 / 3, "support": 2.0}
        )

    def test_labels_that_the_model_does_not_know_teach_nothing(self) -> None:
        task = SpanTask("ner", LABELS)
        gold = task.gold([sentence_with([(0, 2, "NEW"), (3, 4, "LOC")], 5)])
        assert gold.labels == (*LABELS, "NEW")
        learned = task.mask_unknown(gold.targets.class_ids).tolist()
        assert learned[:2] == [UNLABELLED, UNLABELLED]
        assert [task.class_names[index] for index in learned[2:5]] == ["O", "S-LOC", "O"]
        assert gold.targets.counts.tolist() == [3]

    def test_words_with_labels_of_the_type_are_left_out_with_a_warning(self) -> None:
        sentence = sentence_with([(0, 1, "PER")], 3)
        sentence[2].add_label("ner", "LOC")
        assert SpanTask("ner", LABELS).check([sentence], "the dev split")[0].startswith("1 words of the dev split")
        with pytest.raises(LabelError, match=r"no span of the dev split has .*'ner': words or whole sentences have"):
            SpanTask("ner", LABELS).check([tagged("a/LOC", "ner")], "the dev split")

    def test_new_spans_replace_the_old_ones(self) -> None:
        task = SpanTask("ner", LABELS)
        sentence = sentence_with([(0, 1, "PER")], 3).add_label("ner", "whole")
        sentence[2].add_label("ner", "LOC")
        task.write([sentence], Decoded(classes_of(task, [[(1, 3, "ORG")]], [3])), "ner")
        assert [(label.data_point.text, label.value) for label in sentence.get_labels("ner")] == [
            ("w0 w1 w2", "whole"),
            ("w1 w2", "ORG"),
        ]

    def test_rows_show_tags_side_by_side(self) -> None:
        task = SpanTask("ner", LABELS)
        sentences = [sentence_with([(0, 2, "NEW")], 2), Sentence([]), sentence_with([], 1)]
        predicted = classes_of(task, [[(1, 2, "LOC")], [], []], [2, 0, 1])
        rows = "".join(task.rows(task.gold(sentences), predicted))
        assert rows == "w0\tB-NEW\tO\nw1\tE-NEW\tS-LOC\n\n\nw0\tO\tO\n\n"

    @pytest.mark.parametrize("tag_format", ["BIO1", "IOB", "BLOB"])
    def test_other_tag_formats_are_refused(self, tag_format: str) -> None:
        with pytest.raises(SettingError, match=tag_format):
            SpanTask("ner", LABELS, tag_format=tag_format)


TOPICS = ("sport", "politics", "weather")


def document(*labels: str, words: int = 2) -> Sentence:
    return Sentence([f"w{index}" for index in range(words)]).set_sentence_labels("topic", labels)


class TestDocuments:
    def test_each_sentence_has_the_id_of_its_label(self) -> None:
        task = DocumentTask("topic", TOPICS)
        sentences = [document("weather"), document(), document("new"), document("sport", words=0), document("sport")]
        gold = task.gold(sentences)
        assert gold.labels == (*TOPICS, "new")
        assert gold.targets.class_ids.tolist() == [2, UNLABELLED, 3, UNLABELLED, 0]
        assert gold.targets.counts.tolist() == [1, 0, 0, 0, 1]
        assert task.mask_unknown(gold.targets.class_ids).tolist() == [2, UNLABELLED, UNLABELLED, UNLABELLED, 0]

    def test_a_batch_has_the_targets_of_its_sentences(self, device: torch.device) -> None:
        sentences = [document("weather"), document("sport"), document(words=0), document(), document("politics")]
        for multi_label in (False, True):
            gold = DocumentTask("topic", TOPICS, multi_label=multi_label).gold(sentences)
            encoded = encode(sentences, lambda words: torch.zeros(len(words) + 1), gold.targets).to(device)
            batch = encoded.batch(torch.tensor([4, 0, 3]))
            assert batch.targets is not None
            assert batch.targets.device.type == device.type
            assert batch.targets.tolist() == gold.targets.class_ids[[4, 0, 3]].tolist()
            assert (batch.num_labels, batch.is_partial) == ((3, False) if multi_label else (2, True))

    def test_several_labels_of_a_sentence_are_a_row_of_a_table(self) -> None:
        task = DocumentTask("topic", TOPICS, multi_label=True)
        gold = task.gold([document("weather", "new", "weather"), document(), document("sport", words=0)])
        assert gold.targets.class_ids.tolist() == [[False, False, True, True], [False] * 4, [False] * 4]
        assert task.mask_unknown(gold.targets.class_ids).tolist() == [[False, False, True], [False] * 3, [False] * 3]

    def test_several_labels_need_a_multi_label_model(self) -> None:
        with pytest.raises(LabelError, match=r"1 sentences have more than one 'topic' label.*multi_label=True"):
            DocumentTask("topic", TOPICS).gold([document("sport"), document("sport", "weather")])
        DocumentTask("topic", TOPICS).gold([document("sport", "sport")])  # a repeated label counts once

    def test_labelled_sentences_without_words_are_left_out_with_a_warning(self) -> None:
        sentences = [document("sport"), document("weather", words=0)]
        warnings = DocumentTask("topic", TOPICS).check(sentences, "the train split", for_training=True)
        assert warnings == ["1 labelled sentences of the train split have no words and are left out"]

    @given(pairs=st.lists(st.tuples(st.sampled_from([*TOPICS, "new", None]), st.integers(0, 2)), max_size=12))
    @settings(max_examples=40)
    def test_figures_of_single_labels_are_those_of_scikit_learn(self, pairs: list[tuple[str | None, int]]) -> None:
        task = DocumentTask("topic", TOPICS)
        gold = task.gold([document(*([label] if label else [])) for label, _ in pairs])
        predicted = torch.tensor([index for _, index in pairs], dtype=torch.int64)
        known = [(label, TOPICS[index]) for label, index in pairs if label]
        result = task.score(gold, predicted)
        if not known:
            assert (result.main_score, result.accuracy, result.labels) == (0, 0, ())
            return
        expected = sklearn.metrics.classification_report(*zip(*known, strict=True), output_dict=True, zero_division=0)
        assert result.accuracy == result.main_score == pytest.approx(expected.pop("accuracy"))
        for name, figures in expected.items():
            assert result.classification_report[name] == pytest.approx(figures), name

    @given(
        pairs=st.lists(st.tuples(st.sets(st.sampled_from([*TOPICS, "new"])), st.sets(st.sampled_from(TOPICS)))),
        num_empty=st.integers(0, 2),
    )
    @settings(max_examples=40)
    def test_figures_of_several_labels_are_those_of_scikit_learn(
        self, pairs: list[tuple[set[str], set[str]]], num_empty: int
    ) -> None:
        task = DocumentTask("topic", TOPICS, multi_label=True)
        sentences = [document(*sorted(gold)) for gold, _ in pairs] + [document("sport", words=0)] * num_empty
        predicted = torch.tensor([[topic in some for topic in TOPICS] for _, some in pairs] + [[False] * 3] * num_empty)
        gold = task.gold(sentences)
        result = task.score(gold, predicted.reshape(len(sentences), 3))
        if not result.labels:
            assert result.main_score == 0
            assert result.accuracy == bool(pairs), "to predict nothing is right everywhere"
            return
        tables = [[[topic in pair[side] for topic in result.labels] for pair in pairs] for side in (0, 1)]
        golds, predictions = (np.array(table).astype(int) for table in tables)
        if len(result.labels) > 1:  # with one, scikit-learn takes the table for two classes
            options = {"target_names": list(result.labels), "zero_division": 0}
            expected = sklearn.metrics.classification_report(golds, predictions, output_dict=True, **options)
            assert set(result.classification_report) == set(expected)
            for name, figures in expected.items():
                assert result.classification_report[name] == pytest.approx(figures), name
            table = sklearn.metrics.classification_report(golds, predictions, digits=4, **options)
            assert str(result).partition("By class:\n")[2] == table
        assert result.accuracy == pytest.approx(sklearn.metrics.accuracy_score(golds, predictions))

    def test_the_best_label_is_written_with_its_probability(self) -> None:
        task = DocumentTask("topic", TOPICS)
        scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
        sentences = [document("weather", words=1), document()]
        task.write(sentences, task.decode(scores), "found")
        assert [sentence.sentence_labels("found") for sentence in sentences] == [["politics"], ["sport"]]
        found = [sentence.get_label("found").score for sentence in sentences]
        assert found == pytest.approx(scores.softmax(1).amax(1).tolist())
        task.write(sentences, task.decode(scores, with_probabilities=True), "found")
        labels = sentences[0].get_labels("found")
        assert [label.value for label in labels] == ["politics", "weather", "sport"]
        assert sum(label.score for label in labels) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("threshold", "expected"),
        [(0.5, ["politics", "weather"]), ({"default": 0.2, "politics": 0.9}, ["weather", "sport"])],
    )
    def test_labels_above_their_threshold_are_written_most_probable_first(
        self, threshold: Any, expected: list[str]
    ) -> None:
        scores = torch.tensor([[0.3, 0.8, 0.6], [0.1, 0.1, 0.1], [0.9, 0.9, 0.9]]).logit()
        sentences = [document(), document("sport"), document(words=0)]
        task = DocumentTask("topic", TOPICS, multi_label=True, threshold=threshold)
        task.write(sentences, task.decode(scores), "topic")
        assert [sentence.sentence_labels("topic") for sentence in sentences] == [expected, [], []]
        task.write(sentences, task.decode(scores, with_probabilities=True), "topic")
        assert [len(sentence.sentence_labels("topic")) for sentence in sentences] == [3, 3, 0]

    @pytest.mark.parametrize("threshold", [1.5, -0.1, {"sport": 2.0}, {"music": 0.5}])
    def test_invalid_thresholds_are_refused(self, threshold: float | dict[str, float]) -> None:
        with pytest.raises(SettingError):
            DocumentTask("topic", TOPICS, multi_label=True, threshold=threshold)

    @pytest.mark.parametrize(("multi_label", "shown"), [(False, "weather"), (True, "weather, new")])
    def test_rows_show_labels_and_text(self, multi_label: bool, shown: str) -> None:
        task = DocumentTask("topic", TOPICS, multi_label=multi_label)
        first = Sentence("a\tlong\n text").set_sentence_labels("topic", shown.split(", "))
        gold = task.gold([first, document(words=1)])
        rows = list(task.rows(gold, task.decode(torch.tensor([[5.0, -5.0, -5.0]] * 2)).class_ids))
        assert rows == [f"{shown}\tsport\ta long text\n", "_\tsport\tw0\n"]


class TestWords:
    def test_labels_are_counted_in_their_order(self) -> None:
        sentences = [tagged("a/X b c/Y"), Sentence([]), tagged("d/X")]
        sentences[0][0:2].add_label("pos", "SPAN")
        assert list(WordTask("pos", ()).count(sentences).items()) == [("X", 2), ("Y", 1)]

    def test_labels_of_spans_are_not_labels_of_words(self) -> None:
        with pytest.raises(LabelError, match=r"no word of the dev split has .*'ner': spans or whole sentences have"):
            WordTask("ner", LABELS).check([sentence_with([(0, 1, "PER")], 2)], "the dev split")


def test_the_report_of_spans_looks_like_this() -> None:
    keys = [np.array(keys, dtype=np.int64) for keys in ([0, 4, 9, 12], [0, 4, 10])]
    result = evaluate_matches(Matches.of_keys(*keys, num_labels=3), LABELS)
    assert str(result) == (
        "\nResults:\n- F-score (micro) 0.5714\n- F-score (macro) 0.5833\n- Accuracy 0.5000\n\nBy class:\n"
        "              precision    recall  f1-score   support\n\n"
        "         PER     1.0000    0.3333    0.5000         3\n"
        "         LOC     0.5000    1.0000    0.6667         1\n\n"
        "   micro avg     0.6667    0.5000    0.5714         4\n"
        "   macro avg     0.7500    0.6667    0.5833         4\n"
        "weighted avg     0.8750    0.5000    0.5417         4\n"
    )  # fmt: skip
    assert isinstance(result, Result)
    assert Counter(result.labels) == Counter(["PER", "LOC"])
