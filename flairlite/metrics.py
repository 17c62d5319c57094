"""How good predictions are: counts, and the report that scikit-learn would make of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flairlite.errors import SettingError

DEFAULT_METRIC = ("micro avg", "f1-score")
AVERAGES = ("micro avg", "macro avg", "weighted avg")
FIGURES = ("precision", "recall", "f1-score")

NumberArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Confusion:
    """How often each label was predicted for each gold label.

    Attributes:
        counts: (L, L) int64; the row is the gold label, the column the predicted one.
    """

    counts: Tensor

    @classmethod
    def empty(cls, num_labels: int, device: torch.device | None = None) -> Confusion:
        """Return the confusion of no predictions."""
        return cls(torch.zeros(num_labels, num_labels, dtype=torch.int64, device=device))

    def add(self, gold: Tensor, predicted: Tensor) -> Confusion:
        """Return this confusion with more predictions: `gold` and `predicted` are (N,); -1 in gold is left out."""
        size = len(self.counts)
        is_counted = gold >= 0
        pairs = (gold * size + predicted)[is_counted]
        return Confusion(self.counts + torch.bincount(pairs, minlength=size * size).view(size, size))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)


@dataclass(frozen=True)
class Matches:
    """How many labels of each kind were predicted and right, where a unit can have none or several.

    Attributes:
        right: (L,) how often each label was predicted where it is gold.
        predicted: (L,) how often it was predicted.
        gold: (L,) how often it is gold.
        exact: How many units have just their gold labels.
        units: How many units have a gold or a predicted label, or are counted in any case.
        samples: (3,) precision, recall and F1 of each unit, on average over all, where they make sense.
    """

    right: NumberArray
    predicted: NumberArray
    gold: NumberArray
    exact: int
    units: int
    samples: NumberArray | None = None

    @classmethod
    def of_sets(cls, gold: Tensor, predicted: Tensor) -> Matches:
        """Compare labels of S units, (S, L) of 0 and 1 each."""
        golds, predictions = gold.bool().cpu().numpy(), predicted.bool().cpu().numpy()
        both = golds & predictions
        sums = [table.sum(1) for table in (both, predictions, golds)]  # (S,) each
        samples = _figures(*sums).sum(1) / max(1, len(golds))  # (3,)
        exact = int((golds == predictions).all(1).sum())
        return cls(both.sum(0), predictions.sum(0), golds.sum(0), exact, len(golds), samples)

    @classmethod
    def of_keys(cls, gold: NumberArray, predicted: NumberArray, num_labels: int) -> Matches:
        """Compare labelled units by distinct keys: unit times L plus label."""
        both = np.intersect1d(gold, predicted, assume_unique=True)
        right, predictions, golds = (
            np.bincount(keys % num_labels, minlength=num_labels) for keys in (both, predicted, gold)
        )
        wrong = np.setxor1d(gold, predicted, assume_unique=True) // num_labels
        units = np.union1d(gold // num_labels, predicted // num_labels)
        return cls(right, predictions, golds, len(units) - len(np.unique(wrong)), len(units))


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
        main_score: The figure that training goes by.
        detailed_results: The report, for people.
        classification_report: Precision, recall, F1 and support of each class and of their averages.
        loss: Loss a labelled word, or sentence.
        metric_name: What `main_score` is, as in `f1-score (micro avg)`.
        labels: The classes, the most frequent first.
        confusion: (L, L) how often the class of the column was predicted for the class of the row, in that order; None
            where there can be none or several labels.
        accuracy: The part of what has gold labels, or predicted ones, that has just its gold labels.
    """

    main_score: float
    detailed_results: str
    classification_report: dict[str, dict[str, float]]
    loss: float
    metric_name: str
    labels: tuple[str, ...]
    confusion: Tensor | None = field(default=None, repr=False)
    accuracy: float = 0.0

    @property
    def scores(self) -> dict[Any, float]:
        """The averages by name, as `("micro avg", "f1-score")`, and the loss."""
        averages = {
            (name, metric): value
            for name, values in self.classification_report.items()
            if name.endswith(" avg")
            for metric, value in values.items()
        }
        return {**averages, "accuracy": self.accuracy, "loss": self.loss}

    def __str__(self) -> str:
        return self.detailed_results


def evaluate_confusion(
    confusion: Confusion,
    labels: Sequence[str],
    *,
    loss: float = 0.0,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
    exclude: Collection[str] = (),
) -> Result:
    """Make the report of a confusion.

    Args:
        confusion: (L, L) counts.
        labels: The names of the L labels; those that occur neither as gold nor as predicted are left out.
        loss: Loss a labelled unit, to stand beside.
        main_metric: Which figure is the main score: average or class, and `precision`, `recall` or `f1-score`.
        exclude: Labels that have no row, and no part in the averages, even where they were predicted.

    Raises:
        SettingError: when there is no such figure; the error names those that there are.
    """
    counts = confusion.counts.cpu().numpy()
    right, predicted, gold = counts.diagonal(), counts.sum(0), counts.sum(1)
    matches = Matches(right, predicted, gold, int(right.sum()), int(counts.sum()))
    result = evaluate_matches(matches, labels, loss=loss, main_metric=main_metric, exclude=exclude)
    order = [list(labels).index(name) for name in result.labels]
    rows = AVERAGES if exclude else ("accuracy", *AVERAGES[1:])  # the same where each unit has one of the labels
    return replace(
        result,
        detailed_results=_text(result.classification_report, result.labels, result.accuracy, rows),
        confusion=confusion.counts.cpu()[order][:, order],
    )


def evaluate_matches(
    matches: Matches,
    labels: Sequence[str],
    *,
    loss: float = 0.0,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
    exclude: Collection[str] = (),
) -> Result:
    """Make the report of matches; see `evaluate_confusion`.

    The figures are those of scikit-learn for sets of labels, and those of seqeval, in its strict mode, for spans.
    Labels of `exclude` have no row, and no part in the averages.

    Raises:
        SettingError: when there is no such figure; the error names those that there are.
    """
    frequency = matches.predicted + matches.gold
    by_frequency = (-frequency).argsort(kind="stable").tolist()
    order = [number for number in by_frequency if frequency[number] and labels[number] not in exclude]
    names = tuple(labels[number] for number in order)
    counts = np.stack((matches.right, matches.predicted, matches.gold))[:, order]  # (3, L)
    classes, support = _figures(*counts), counts[2]  # (3, L), (L,)
    total = counts.sum(1)  # (3,)
    averages = {
        "micro avg": _figures(*total),
        "macro avg": classes.sum(1) / max(1, len(names)),
        "weighted avg": classes @ support / max(1, total[2]),
        **({} if matches.samples is None else {"samples avg": matches.samples}),
    }
    report = {name: _entry(figures, count) for name, figures, count in zip(names, classes.T, support, strict=True)}
    report |= {name: _entry(figures, total[2]) for name, figures in averages.items()}
    accuracy = matches.exact / max(1, matches.units)
    return Result(
        main_score=_main_score(report, main_metric, labels),
        detailed_results=_text(report, names, accuracy, averages),
        classification_report=report,
        loss=loss,
        metric_name=f"{main_metric[1]} ({main_metric[0]})",
        labels=names,
        accuracy=accuracy,
    )


def _figures(right: NumberArray, predicted: NumberArray, gold: NumberArray) -> NumberArray:
    """Return precision, recall and F1 of counts, (3, ...); what would be divided by nought is nought."""
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(gold, 1)
    return np.stack((precision, recall, 2 * right / np.maximum(predicted + gold, 1)))


def _entry(figures: Iterable[float], support: int) -> dict[str, float]:
    return dict(zip((*FIGURES, "support"), map(float, (*figures, support)), strict=True))


def _text(report: dict[str, dict[str, float]], names: Iterable[str], accuracy: float, averages: Iterable[str]) -> str:
    """Lay the figures out as scikit-learn's `classification_report` does, under what Flair says first."""
    width = max(map(len, ("weighted avg", *names)))
    total = int(report["weighted avg"]["support"])

    def row(name: str) -> str:
        if name == "accuracy":
            return f"{name:>{width}s}  {'':>9s} {'':>9s} {accuracy:>9.4f} {total:>9d}"
        figures = " ".join(f"{report[name][column]:>9.4f}" for column in FIGURES)
        return f"{name:>{width}s}  {figures} {int(report[name]['support']):>9d}"

    head = f"{'':>{width}s}  {' '.join(f'{column:>9s}' for column in (*FIGURES, 'support'))}"
    text = f"\nResults:\n- F-score (micro) {report['micro avg']['f1-score']:.4f}"
    text += f"\n- F-score (macro) {report['macro avg']['f1-score']:.4f}"
    text += f"\n- Accuracy {accuracy:.4f}\n\nBy class:\n"
    return text + "\n".join([head, "", *map(row, names), "", *map(row, averages), ""])


def _main_score(report: dict[str, dict[str, float]], main_metric: tuple[str, str], labels: Sequence[str]) -> float:
    name, metric = main_metric
    if name in labels and name not in report and metric in FIGURES:
        return 0.0  # nobody meant this label, and nobody predicted it
    if name in report and metric in report[name]:
        return report[name][metric]
    raise SettingError(
        f"no figure {main_metric!r} in this evaluation: give one of {', '.join(map(repr, report))} "
        "with 'precision', 'recall' or 'f1-score'"
    )
