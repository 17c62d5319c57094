"""Every score, and the report to the character, is that of scikit-learn for the same labels."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from flairlite.errors import MissingExtraError, SettingError
from flairlite.markup import NONE
from flairlite.metrics import Matches, Result, evaluate_matches

NAMES = ("NOUN", "VERB", "DET", "a label longer than the rest", "é", "<unk>", "123")

drawn = settings(max_examples=25)

Pairs = list[tuple[int, int]]
pairs = st.lists(st.tuples(st.integers(-1, len(NAMES) - 1), st.integers(0, len(NAMES) - 1)), max_size=60)


def evaluated(
    found: Pairs, *, names: Sequence[str] = NAMES, device: torch.device | None = None, **options: Any
) -> Result:
    gold, predicted = torch.tensor(found, dtype=torch.int64).view(-1, 2).to(device).unbind(1)
    return evaluate_matches(Matches.of_classes(gold, predicted, len(names)), names, **options)


def counted(found: Pairs) -> Pairs:
    return [(gold, predicted) for gold, predicted in found if gold >= 0]


def by_frequency(found: Pairs) -> list[int]:
    """Return the labels that occur as gold or as predicted, most frequent first, then by id."""
    frequency = Counter(label for pair in counted(found) for label in pair)
    return sorted(frequency, key=lambda label: (-frequency[label], label))


def sklearn_report(found: Pairs, *, as_text: bool = False) -> Any:
    from sklearn.metrics import classification_report

    order = by_frequency(found)
    return classification_report(
        [NAMES[gold] for gold, _ in counted(found)],
        [NAMES[predicted] for _, predicted in counted(found)],
        labels=[NAMES[label] for label in order],
        digits=4,
        zero_division=0,
        output_dict=not as_text,
    )


# against scikit-learn


@given(found=pairs)
@example(found=[(0, 0)])
@example(found=[(0, 1)])
@example(found=[(0, 1), (1, 0), (-1, 2), (3, 3)])
@example(found=[(0, 0)] + [(0, 1)] * 159)  # an accuracy of 0.00625 is rounded as the float64 that it is
@example(found=[(1, 1)] * 50_000 + [(0, 1)] * 7)
@drawn
def test_every_score_equals_that_of_scikit_learn(found: Pairs) -> None:
    assume(counted(found))
    result, expected = evaluated(found), sklearn_report(found)
    accuracy = expected.pop("accuracy")
    assert result.accuracy == pytest.approx(accuracy, abs=1e-12)
    micro = result.classification_report["micro avg"]
    assert (micro["precision"], micro["recall"], micro["f1-score"]) == pytest.approx([accuracy] * 3)
    assert micro["support"] == len(counted(found))
    assert list(result.classification_report) == [
        *(NAMES[label] for label in by_frequency(found)),
        "micro avg",
        *("macro avg", "weighted avg"),
    ]
    for name, figures in expected.items():
        assert result.classification_report[name] == pytest.approx(figures, abs=1e-12), name


@given(found=pairs)
@example(found=[(0, 0)])
@example(found=[(0, 1), (2, 1)])
@example(found=[(2, 2), (2, 1), (-1, 3)])
@example(found=[(3, 3), (3, 4)])
@example(found=[(0, 0)] + [(0, 1)] * 159)
@drawn
def test_the_table_equals_that_of_scikit_learn_exactly(found: Pairs) -> None:
    assume(counted(found))
    text = evaluated(found).detailed_results
    expected = sklearn_report(found, as_text=True)
    if all(gold != predicted for gold, predicted in found):  # then scikit-learn writes supports as 1.0
        expected = re.sub(r"( \d+)\.0$", r"  \1", expected, flags=re.MULTILINE)
    assert text.partition("By class:\n")[2] == expected


@given(found=pairs)
@drawn
def test_the_report_begins_like_flairs(found: Pairs) -> None:
    assume(counted(found))
    result, expected = evaluated(found), sklearn_report(found)
    head = result.detailed_results.partition("By class:\n")[0]
    assert head == (
        "\nResults:\n"
        f"- F-score (micro) {expected['accuracy']:.4f}\n"
        f"- F-score (macro) {expected['macro avg']['f1-score']:.4f}\n"
        f"- Accuracy {expected['accuracy']:.4f}\n\n"
    )
    assert str(result) == result.detailed_results


def test_a_report_looks_like_this() -> None:
    found = [(0, 0)] * 5 + [(1, 1)] * 3 + [(1, 0)] * 2 + [(2, 1)]
    assert evaluated(found).detailed_results == (
        "\nResults:\n"
        "- F-score (micro) 0.7273\n"
        "- F-score (macro) 0.5000\n"
        "- Accuracy 0.7273\n"
        "\n"
        "By class:\n"
        "              precision    recall  f1-score   support\n"
        "\n"
        "        NOUN     0.7143    1.0000    0.8333         5\n"
        "        VERB     0.7500    0.6000    0.6667         5\n"
        "         DET     0.0000    0.0000    0.0000         1\n"
        "\n"
        "    accuracy                         0.7273        11\n"
        "   macro avg     0.4881    0.5333    0.5000        11\n"
        "weighted avg     0.6656    0.7273    0.6818        11\n"
    )


# counts


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(found=pairs)
@drawn
def test_the_confusion_matrix_equals_that_of_scikit_learn(device: torch.device, found: Pairs) -> None:
    assume(counted(found))
    result = evaluated(found, device=device)
    assert result.labels == tuple(NAMES[label] for label in by_frequency(found))
    golds, predictions = zip(*counted(found), strict=True)
    expected = sklearn.metrics.confusion_matrix(golds, predictions, labels=by_frequency(found))
    assert result.confusion is not None
    assert result.confusion.dtype == torch.int64
    assert result.confusion.tolist() == expected.tolist()


spans = st.lists(st.tuples(st.integers(0, 9), st.integers(0, len(NAMES) - 1)), unique_by=lambda pair: pair[0])


@drawn
@given(spans, spans)
def test_the_confusion_matrix_of_spans_is_that_of_scikit_learn_with_a_class_for_none(
    gold: list[tuple[int, int]], predicted: list[tuple[int, int]]
) -> None:
    """A span has one label here, so that it is a unit with `none` where one side has no such span."""
    result = evaluate_matches(Matches.of_keys(keys_of(gold), keys_of(predicted), len(NAMES)), NAMES)
    by_span = [(dict(gold).get(span), dict(predicted).get(span)) for span in sorted({*dict(gold), *dict(predicted)})]
    golds, predictions = ([NONE if pair[side] is None else NAMES[pair[side]] for pair in by_span] for side in (0, 1))
    assert result.confusion is not None
    assert result.confusion_labels == (*result.labels, NONE)
    if by_span:
        labels = list(result.confusion_labels)
        assert result.confusion.tolist() == sklearn.metrics.confusion_matrix(golds, predictions, labels=labels).tolist()
    else:
        assert result.confusion.tolist() == [[0]]


def keys_of(labelled: list[tuple[int, int]]) -> Any:
    return np.unique(np.array([unit * len(NAMES) + label for unit, label in labelled], dtype=np.int64))


def test_of_several_labels_of_a_span_equal_ones_are_paired_first() -> None:
    gold, predicted = keys_of([(4, 0), (4, 1), (4, 2), (5, 0)]), keys_of([(4, 1), (4, 3), (6, 1)])
    result = evaluate_matches(Matches.of_keys(gold, predicted, len(NAMES)), NAMES)
    assert result.confusion is not None
    found = {
        (row, column): int(result.confusion[index, other])
        for index, row in enumerate(result.confusion_labels)
        for other, column in enumerate(result.confusion_labels)
        if result.confusion[index, other]
    }
    assert found == {("VERB", "VERB"): 1, ("NOUN", NAMES[3]): 1, ("DET", NONE): 1, ("NOUN", NONE): 1, (NONE, "VERB"): 1}


class TestDataFrames:
    """With the real pandas."""

    @drawn
    @given(pairs)
    def test_scores_are_those_of_the_report(self, found: Pairs) -> None:
        pytest.importorskip("pandas", reason="pandas is not installed")
        result = evaluated(found)
        frame = result.to_pandas()
        assert list(frame.columns) == ["precision", "recall", "f1-score", "support"]
        assert list(frame.index) == [*result.labels, "micro avg", "macro avg", "weighted avg"]
        for name, row in frame.iterrows():
            assert row.to_dict() == result.classification_report[str(name)]
        assert frame["support"].dtype.kind == "i"

    @drawn
    @given(pairs)
    def test_the_confusion_matrix_has_names(self, found: Pairs) -> None:
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        frame = evaluated(found).confusion_to_pandas()
        golds, predictions = ([NAMES[pair[side]] for pair in counted(found)] for side in (0, 1))
        expected = pandas.crosstab(pandas.Series(golds, dtype=object), pandas.Series(predictions, dtype=object))
        for gold in frame.index:
            for predicted in frame.columns:
                count = expected.loc[gold, predicted] if {gold} <= {*golds} and {predicted} <= {*predictions} else 0
                assert frame.loc[gold, predicted] == count
        assert (frame.index.name, frame.columns.name) == ("gold", "predicted")

    def test_several_labels_have_no_confusion_matrix(self) -> None:
        pytest.importorskip("pandas", reason="pandas is not installed")
        table = torch.tensor([[1, 1], [0, 1]])
        result = evaluate_matches(Matches.of_sets(table, table), NAMES[:2])
        assert "samples avg" in result.to_pandas().index
        with pytest.raises(SettingError, match="several labels"):
            result.confusion_to_pandas()

    def test_without_pandas_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        for method in (evaluated([(0, 1)]).to_pandas, evaluated([(0, 1)]).confusion_to_pandas):
            with pytest.raises(MissingExtraError, match=r"data frames need pandas: pip install 'flairlite\[pandas\]'"):
                method()


def test_units_without_a_gold_label_are_left_out() -> None:
    found = [(0, 0), (1, 0), (-1, 1), (-1, 2)]
    assert evaluated(found).detailed_results == evaluated(counted(found)).detailed_results
    assert evaluated(found).labels == ("NOUN", "VERB"), "a label that is predicted only there is left out"


def test_thousands_of_labels_take_memory_for_what_occurs_only() -> None:
    num_labels, num_words = 16_000, 40_000
    names = [f"lemma{index}" for index in range(num_labels)]
    generator = torch.Generator().manual_seed(0)
    gold = torch.randint(num_labels, (num_words,), generator=generator)
    predicted = torch.where(torch.rand(num_words, generator=generator) < 0.5, gold, gold.flip(0))
    tracemalloc.start()
    result = evaluate_matches(Matches.of_classes(gold, predicted, num_labels), names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20, "a table of all pairs of labels would take 2 GB"
    expected = sklearn.metrics.precision_recall_fscore_support(gold, predicted, average="macro", zero_division=0)
    found = result.classification_report["macro avg"]
    assert [found["precision"], found["recall"], found["f1-score"]] == pytest.approx(expected[:3])
    assert result.accuracy == pytest.approx(float((gold == predicted).double().mean()))
    assert result.confusion is not None
    assert result.confusion.is_sparse
    assert result.confusion.values().sum() == num_words
    row, column = result.labels.index(names[gold[7]]), result.labels.index(names[predicted[7]])
    assert result.confusion[row, column] == ((gold == gold[7]) & (predicted == predicted[7])).sum()


# labels that say that there is nothing to label

OUTSIDE = ("O", "_", "")
TAGS = ("PER", "LOC", "O", "_")


@given(found=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
@example(found=[(2, 2)] * 9 + [(0, 2)])
@example(found=[(2, 0), (2, 2)])
@drawn
def test_outside_labels_have_no_part_in_the_averages(found: Pairs) -> None:
    result = evaluated(found, names=TAGS, exclude=OUTSIDE)
    assert set(result.labels) <= {"PER", "LOC"}
    golds, predictions = zip(*found, strict=True)
    labels = [TAGS.index(label) for label in result.labels]
    assert result.accuracy == pytest.approx(sklearn.metrics.accuracy_score(golds, predictions))
    if not labels:
        assert result.main_score == 0
        return
    for average in ("micro", "macro", "weighted"):
        expected = sklearn.metrics.precision_recall_fscore_support(
            golds, predictions, labels=labels, average=average, zero_division=0
        )
        entry = result.classification_report[f"{average} avg"]
        assert [entry["precision"], entry["recall"], entry["f1-score"]] == pytest.approx(expected[:3])
    text = sklearn.metrics.classification_report(
        golds, predictions, labels=labels, target_names=list(result.labels), digits=4, zero_division=0
    )
    is_floating = not any(gold == predicted for gold, predicted in found if gold in labels)  # supports are 1.0 then
    if {*golds, *predictions} - set(labels) and not is_floating:  # without other labels it shows accuracy
        assert result.detailed_results.partition("By class:\n")[2] == text


def test_outside_labels_everywhere_score_zero() -> None:
    result = evaluated([(2, 2)] * 90 + [(0, 2)] * 10, names=TAGS, exclude=OUTSIDE)
    assert result.main_score == 0
    assert {value for metric, value in result.scores.items() if metric[-1] == "f1-score"} == {0.0}
    assert result.accuracy == 0.9


def test_an_outside_label_is_no_main_score() -> None:
    with pytest.raises(SettingError, match=r"no score \('O', 'f1-score'\)"):
        evaluated([(2, 2)], names=TAGS, exclude=OUTSIDE, main_metric=("O", "f1-score"))
    with pytest.raises(SettingError, match=r"no score \('PER', 'f1-score'\)"):
        evaluated([(0, 0)], names=TAGS, exclude=["PER"], main_metric=("PER", "f1-score"))


# names of labels

ODD_NAMES = ("micro avg", "accuracy", "macro avg", "foo avg", "a\nb", "weighted avg")


def test_labels_named_like_averages_have_rows_of_their_own() -> None:
    found = [(0, 0), (0, 1), (1, 1), (2, 2), (3, 3), (4, 0), (5, 5), (5, 0)]
    result = evaluated(found, names=ODD_NAMES)
    expected = evaluated(found, names=["A", "B", "C", "D", "E", "F"])
    for average in ("micro avg", "macro avg", "weighted avg"):
        assert result.classification_report[average] == expected.classification_report[average]
    assert result.classification_report["accuracy"] == expected.classification_report["B"]
    assert result.main_score == expected.main_score
    assert {key: value for key, value in result.scores.items() if key != "loss"} == {
        key: value for key, value in expected.scores.items() if key != "loss"
    }, "the label 'foo avg' is not an average"
    assert result.accuracy == expected.accuracy
    figures = [[row.split()[-4:] for row in str(each).splitlines() if row] for each in (result, expected)]
    assert figures[0] == figures[1]


def test_a_label_is_one_row_whatever_its_name() -> None:
    names = ["a\nb", "c\td", " ", "é" * 40]
    lines = str(evaluated([(0, 0), (1, 1), (2, 2), (3, 3)], names=names)).splitlines()
    start = next(index for index, line in enumerate(lines) if "precision" in line)
    assert all(len(line) == len(lines[start]) for line in lines[start + 2 : start + 6])


def test_a_gold_label_that_the_model_does_not_know_is_a_miss() -> None:
    known = 2  # the labels after these are never predicted
    result = evaluated([(0, 0), (1, 1), (2, 0), (2, 1)], names=NAMES[:3])
    unknown = result.classification_report[NAMES[known]]
    assert unknown == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 2.0}
    assert result.accuracy == 0.5
    assert result.main_score == pytest.approx(0.5)


@given(found=pairs)
@drawn
def test_labels_that_do_not_occur_are_left_out(found: Pairs) -> None:
    assume(counted(found))
    more = (*NAMES, "NEVER", "NOWHERE")
    assert evaluated(found, names=more).detailed_results == evaluated(found).detailed_results


# the result


@given(found=pairs)
@drawn
def test_scores_are_the_averages_by_name(found: Pairs) -> None:
    assume(counted(found))
    result = evaluated(found, loss=0.25)
    report = result.classification_report
    expected: dict[Any, float] = {"accuracy": result.accuracy, "loss": 0.25}
    for average in ("micro avg", "macro avg", "weighted avg"):
        for metric in ("precision", "recall", "f1-score", "support"):
            expected[average, metric] = report[average][metric]
    assert result.scores == expected
    assert result.loss == 0.25


@pytest.mark.parametrize(
    ("main_metric", "name"),
    [
        (("micro avg", "f1-score"), "f1-score (micro avg)"),
        (("macro avg", "precision"), "precision (macro avg)"),
        (("weighted avg", "recall"), "recall (weighted avg)"),
        (("DET", "f1-score"), "f1-score (DET)"),
    ],
)
def test_the_main_score_is_the_requested_one(main_metric: tuple[str, str], name: str) -> None:
    result = evaluated([(0, 0), (0, 1), (2, 2), (2, 0), (1, 1), (1, 2)] * 3 + [(2, 2)], main_metric=main_metric)
    assert result.main_score == result.classification_report[main_metric[0]][main_metric[1]]
    assert 0 < result.main_score < 1
    assert result.metric_name == name


def test_the_micro_f1_is_the_main_score_by_default() -> None:
    result = evaluated([(0, 0), (0, 1), (1, 1), (2, 1)])
    assert result.metric_name == "f1-score (micro avg)"
    assert result.main_score == pytest.approx(0.5)


@pytest.mark.parametrize("main_metric", [("micro", "f1-score"), ("micro avg", "f1"), ("ADVERB", "f1-score")])
def test_an_unknown_main_score_is_refused_with_the_known_ones(main_metric: tuple[str, str]) -> None:
    with pytest.raises(SettingError) as caught:
        evaluated([(0, 0), (2, 0)], main_metric=main_metric)
    message = str(caught.value)
    assert repr(main_metric) in message
    assert "'NOUN', 'DET', 'micro avg', 'macro avg', 'weighted avg'" in message
    assert "'precision', 'recall' or 'f1-score'" in message


def test_a_known_label_that_does_not_occur_scores_zero() -> None:
    assert evaluated([(0, 0), (2, 0)], main_metric=("VERB", "f1-score")).main_score == 0


@pytest.mark.parametrize("found", [[], [(-1, 0), (-1, 3)]])
def test_nothing_to_compare_scores_zero(found: Pairs) -> None:
    result = evaluated(found)
    assert (result.main_score, result.accuracy, result.labels) == (0.0, 0.0, ())
    assert list(result.classification_report) == ["micro avg", "macro avg", "weighted avg"]
    assert {value for values in result.classification_report.values() for value in values.values()} == {0.0}
    assert "- F-score (micro) 0.0000" in result.detailed_results
    assert "weighted avg     0.0000    0.0000    0.0000         0" in result.detailed_results


def test_billions_of_units_are_counted_exactly() -> None:
    right, predicted, gold = (
        np.array(counts) for counts in ([3 * 10**9, 4 * 10**9], [3 * 10**9, 5 * 10**9], [4 * 10**9, 4 * 10**9])
    )
    result = evaluate_matches(Matches(right, predicted, gold, 7 * 10**9, 8 * 10**9), ["a", "b"])
    assert result.accuracy == pytest.approx(7 / 8, abs=1e-12)
    assert result.classification_report["b"]["precision"] == pytest.approx(0.8)
    assert result.classification_report["b"]["support"] == 4e9
