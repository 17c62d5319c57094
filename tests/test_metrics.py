"""Every figure, and the table to the character, is what scikit-learn makes of the same labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from flairlite.errors import SettingError
from flairlite.metrics import Confusion, Result, evaluate_confusion

NAMES = ("NOUN", "VERB", "DET", "a label longer than the rest", "é", "<unk>", "123")

drawn = settings(max_examples=25)

Pairs = list[tuple[int, int]]
pairs = st.lists(st.tuples(st.integers(-1, len(NAMES) - 1), st.integers(0, len(NAMES) - 1)), max_size=60)


def evaluated(found: Pairs, *, names: Sequence[str] = NAMES, **options: Any) -> Result:
    return evaluate_confusion(confusion_of(found, size=len(names)), names, **options)


def confusion_of(found: Pairs, *, size: int = len(NAMES), device: torch.device | None = None) -> Confusion:
    gold, predicted = torch.tensor(found, dtype=torch.int64).view(-1, 2).to(device).unbind(1)
    return Confusion.empty(size, device).add(gold, predicted)


def counted(found: Pairs) -> Pairs:
    return [(gold, predicted) for gold, predicted in found if gold >= 0]


def by_frequency(found: Pairs) -> list[int]:
    """Return the labels that occur as gold or as predicted, the most frequent first, then by number."""
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
def test_every_figure_is_that_of_scikit_learn(found: Pairs) -> None:
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
def test_the_table_is_that_of_scikit_learn_to_the_character(found: Pairs) -> None:
    assume(counted(found))
    text = evaluated(found).detailed_results
    expected = sklearn_report(found, as_text=True)
    if all(gold != predicted for gold, predicted in found):  # then scikit-learn writes supports as 1.0
        expected = re.sub(r"( \d+)\.0$", r"  \1", expected, flags=re.MULTILINE)
    assert text.partition("By class:\n")[2] == expected


@given(found=pairs)
@drawn
def test_the_text_begins_as_flairs_does(found: Pairs) -> None:
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


def test_a_report_reads_like_this() -> None:
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


@given(found=pairs)
@drawn
def test_counts_are_those_of_the_pairs(device: torch.device, found: Pairs) -> None:
    confusion = confusion_of(found, device=device)
    expected = torch.zeros(len(NAMES), len(NAMES), dtype=torch.int64)
    for gold, predicted in counted(found):
        expected[gold, predicted] += 1
    assert confusion.counts.device.type == device.type
    assert confusion.counts.dtype == torch.int64
    assert confusion.counts.tolist() == expected.tolist()
    order = by_frequency(found)
    result = evaluate_confusion(confusion, NAMES)
    assert result.labels == tuple(NAMES[label] for label in order)
    assert result.confusion.tolist() == [[expected[row, column].item() for column in order] for row in order]


@given(first=pairs, second=pairs)
@drawn
def test_confusions_add(device: torch.device, first: Pairs, second: Pairs) -> None:
    one, other = confusion_of(first, device=device), confusion_of(second, device=device)
    together = confusion_of(first + second, device=device).counts.tolist()
    assert (one + other).counts.tolist() == together
    assert (other + one).counts.tolist() == together
    gold, predicted = torch.tensor(second, dtype=torch.int64).view(-1, 2).to(device).unbind(1)
    assert one.add(gold, predicted).counts.tolist() == together
    empty = Confusion.empty(len(NAMES), device)
    assert sum([one, other], empty).counts.tolist() == together
    assert int(empty.counts.sum()) == 0, "none of them was changed"
    assert one.counts.tolist() == confusion_of(first).counts.tolist()


def test_words_without_a_gold_label_are_left_out() -> None:
    found = [(0, 0), (1, 0), (-1, 1), (-1, 2)]
    assert confusion_of(found).counts.tolist() == confusion_of(counted(found)).counts.tolist()
    assert evaluated(found).labels == ("NOUN", "VERB"), "what was only predicted there is no class"


def test_a_gold_label_that_the_model_does_not_know_is_a_miss() -> None:
    known = 2  # the labels behind are never predicted
    result = evaluated([(0, 0), (1, 1), (2, 0), (2, 1)], names=NAMES[:3])
    unknown = result.classification_report[NAMES[known]]
    assert unknown == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 2.0}
    assert result.accuracy == 0.5
    assert result.main_score == pytest.approx(0.5)


@given(found=pairs)
@drawn
def test_labels_that_do_not_occur_are_no_classes(found: Pairs) -> None:
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
def test_the_main_score_is_the_figure_asked_for(main_metric: tuple[str, str], name: str) -> None:
    result = evaluated([(0, 0), (0, 1), (2, 2), (2, 0), (1, 1), (1, 2)] * 3 + [(2, 2)], main_metric=main_metric)
    assert result.main_score == result.classification_report[main_metric[0]][main_metric[1]]
    assert 0 < result.main_score < 1
    assert result.metric_name == name


def test_the_micro_f1_is_the_main_score_unless_told() -> None:
    result = evaluated([(0, 0), (0, 1), (1, 1), (2, 1)])
    assert result.metric_name == "f1-score (micro avg)"
    assert result.main_score == pytest.approx(0.5)


@pytest.mark.parametrize("main_metric", [("micro", "f1-score"), ("micro avg", "f1"), ("ADVERB", "f1-score")])
def test_an_unknown_figure_is_told_beside_those_there_are(main_metric: tuple[str, str]) -> None:
    with pytest.raises(SettingError) as caught:
        evaluated([(0, 0), (2, 0)], main_metric=main_metric)
    message = str(caught.value)
    assert repr(main_metric) in message
    assert "'NOUN', 'DET', 'micro avg', 'macro avg', 'weighted avg'" in message
    assert "'precision', 'recall' or 'f1-score'" in message


def test_a_label_that_is_known_but_does_not_occur_scores_zero() -> None:
    assert evaluated([(0, 0), (2, 0)], main_metric=("VERB", "f1-score")).main_score == 0


@pytest.mark.parametrize("found", [[], [(-1, 0), (-1, 3)]])
def test_nothing_to_compare_scores_zero(found: Pairs) -> None:
    result = evaluated(found)
    assert (result.main_score, result.accuracy, result.labels) == (0.0, 0.0, ())
    assert list(result.classification_report) == ["micro avg", "macro avg", "weighted avg"]
    assert {value for values in result.classification_report.values() for value in values.values()} == {0.0}
    assert "- F-score (micro) 0.0000" in result.detailed_results
    assert "weighted avg     0.0000    0.0000    0.0000         0" in result.detailed_results


def test_millions_of_words_cost_nothing_more() -> None:
    counts = torch.tensor([[3_000_000_000, 1_000_000_000], [0, 4_000_000_000]])
    result = evaluate_confusion(Confusion(counts), ["a", "b"])
    assert result.accuracy == pytest.approx(7 / 8, abs=1e-12)
    assert result.classification_report["b"]["precision"] == pytest.approx(0.8)
    assert result.classification_report["b"]["support"] == 4e9
