"""How good predictions are: counts that add up, and the report that scikit-learn makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flairlite.errors import SettingError

DEFAULT_METRIC = ("micro avg", "f1-score")
AVERAGES = ("micro avg", "macro avg", "weighted avg")
FIGURES = ("precision", "recall", "f1-score")


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
class Result:
    """What an evaluation found.

    Attributes:
        main_score: The figure that training goes by.
        detailed_results: The report, for people.
        classification_report: Precision, recall, F1 and support of each class and of their averages.
        loss: Loss a word.
        metric_name: What `main_score` is, as in `f1-score (micro avg)`.
        labels: The classes, the most frequent first.
        confusion: (L, L) how often the class of the column was predicted for the class of the row, in that order.
    """

    main_score: float
    detailed_results: str
    classification_report: dict[str, dict[str, float]]
    loss: float
    metric_name: str
    labels: tuple[str, ...]
    confusion: Tensor = field(repr=False)

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

    @property
    def accuracy(self) -> float:
        """The part of the labelled words that got their gold label."""
        return _accuracy(self.confusion)

    def __str__(self) -> str:
        return self.detailed_results


def evaluate_confusion(
    confusion: Confusion,
    labels: Sequence[str],
    *,
    loss: float = 0.0,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
) -> Result:
    """Make the report of a confusion.

    Args:
        confusion: (L, L) counts.
        labels: The names of the L labels; those that occur neither as gold nor as predicted are left out.
        loss: Loss a word, to stand beside.
        main_metric: Which figure is the main score: average or class, and `precision`, `recall` or `f1-score`.

    Raises:
        SettingError: when there is no such figure; the error names those that there are.
    """
    counts = confusion.counts.cpu()
    frequency = counts.sum(0) + counts.sum(1)
    order = [number for number in frequency.argsort(descending=True, stable=True).tolist() if frequency[number]]
    counts = counts[order][:, order]
    names = tuple(labels[number] for number in order)
    report = _classification_report(counts, names)
    text = f"\nResults:\n- F-score (micro) {report['micro avg']['f1-score']:.4f}"
    text += f"\n- F-score (macro) {report['macro avg']['f1-score']:.4f}"
    accuracy = _accuracy(counts)
    text += f"\n- Accuracy {accuracy:.4f}\n\nBy class:\n{_table(report, names, accuracy)}"
    return Result(
        main_score=_main_score(report, main_metric, labels),
        detailed_results=text,
        classification_report=report,
        loss=loss,
        metric_name=f"{main_metric[1]} ({main_metric[0]})",
        labels=names,
        confusion=counts,
    )


def _accuracy(counts: Tensor) -> float:
    return int(counts.diagonal().sum()) / max(1, int(counts.sum()))  # in float64: torch would divide in float32


def _classification_report(counts: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    from sklearn.metrics import precision_recall_fscore_support

    if not names:
        zero = {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0.0}
        return {f"{average} avg": dict(zero) for average in ("micro", "macro", "weighted")}
    gold, predicted = np.nonzero(counts.numpy())  # each pair once, weighted: the counts may be in the millions
    weights = counts.numpy()[gold, predicted]

    def measure(average: str | None) -> Any:
        return precision_recall_fscore_support(
            gold, predicted, labels=range(len(names)), sample_weight=weights, average=average, zero_division=0
        )

    report: dict[str, dict[str, float]] = {}
    for name, *values in zip(names, *measure(None), strict=True):
        report[name] = dict(zip(("precision", "recall", "f1-score", "support"), map(float, values), strict=True))
    for average in ("micro", "macro", "weighted"):
        precision, recall, score, _ = measure(average)
        report[f"{average} avg"] = {
            "precision": float(precision),
            "recall": float(recall),
            "f1-score": float(score),
            "support": float(counts.sum()),
        }
    return report


def _table(report: dict[str, dict[str, float]], names: tuple[str, ...], accuracy: float) -> str:
    """Lay the figures out as scikit-learn's `classification_report` does."""
    width = max([len("weighted avg"), *map(len, names)])
    columns = FIGURES

    def row(name: str) -> str:
        values = report[name]
        figures = " ".join(f"{values[column]:>9.4f}" for column in columns)
        return f"{name:>{width}s}  {figures} {int(values['support']):>9d}"

    total = int(report["weighted avg"]["support"])
    head = f"{'':>{width}s}  {' '.join(f'{column:>9s}' for column in (*columns, 'support'))}"
    accuracy_row = f"{'accuracy':>{width}s}  {'':>9s} {'':>9s} {accuracy:>9.4f} {total:>9d}"
    averages = [accuracy_row, row("macro avg"), row("weighted avg")]
    return "\n".join([head, "", *map(row, names), "", *averages, ""])


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
