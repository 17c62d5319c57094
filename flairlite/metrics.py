"""Precision, recall, F1 and accuracy, and the report that shows them.

The scores are those of scikit-learn, or of seqeval in strict mode for spans, which the tests compare. They are computed
in NumPy here because importing sklearn.metrics takes about two seconds and 70 MB.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from flairlite.errors import MissingExtraError, SettingError
from flairlite.markup import NONE, table

if TYPE_CHECKING:
    from pandas import DataFrame

DEFAULT_METRIC = ("micro avg", "f1-score")
AVERAGES = ("micro avg", "macro avg", "weighted avg")
FIGURES = ("precision", "recall", "f1-score")
_MAX_DENSE = 2048  # labels; a dense confusion matrix of more would take more than 32 MB

Array = np.ndarray[Any, np.dtype[Any]]
_Row = tuple[str, "Array | None", int]  # name, precision, recall and F1 or None for accuracy, and support


@dataclass(frozen=True)
class Matches:
    """Counts of correct, predicted and gold labels.

    Attributes:
        right: (L,) correct predictions of each label.
        predicted: (L,) predictions of each label.
        gold: (L,) gold labels of each kind.
        exact: Number of units with exactly their gold labels.
        units: Number of compared units.
        samples: (3,) mean precision, recall and F1 of the units, where a unit can have several labels; else None.
        pairs: Gold and predicted label id of each compared unit, (N,) each; None where a unit can have several labels.
        may_be_absent: Whether a unit may lack its gold or its predicted label, -1 in `pairs`, as spans may.
    """

    right: Array
    predicted: Array
    gold: Array
    exact: int
    units: int
    samples: Array | None = None
    pairs: tuple[Array, Array] | None = None
    may_be_absent: bool = False

    @classmethod
    def of_classes(cls, gold: Tensor, predicted: Tensor, num_labels: int) -> Matches:
        """Compare units with one label id each, (N,); units with -1 in `gold` are left out."""
        golds, predictions = gold.cpu().numpy(), predicted.cpu().numpy()
        is_compared = golds >= 0
        golds, predictions = golds[is_compared], predictions[is_compared]
        is_right = golds == predictions
        right, predicted_counts, gold_counts = (
            np.bincount(ids, minlength=num_labels) for ids in (golds[is_right], predictions, golds)
        )
        exact, pairs = int(is_right.sum()), (golds, predictions)
        return cls(right, predicted_counts, gold_counts, exact, len(golds), pairs=pairs)

    @classmethod
    def of_sets(cls, gold: Tensor, predicted: Tensor) -> Matches:
        """Compare S units with any number of labels, (S, L) of 0 and 1 each."""
        golds, predictions = gold.bool().cpu().numpy(), predicted.bool().cpu().numpy()
        both = golds & predictions
        sums = [table.sum(1) for table in (both, predictions, golds)]  # (S,) each
        samples = _figures(*sums).sum(1) / max(1, len(golds))  # (3,)
        exact = int((golds == predictions).all(1).sum())
        return cls(both.sum(0), predictions.sum(0), golds.sum(0), exact, len(golds), samples)

    @classmethod
    def of_keys(cls, gold: Array, predicted: Array, num_labels: int) -> Matches:
        """Compare labelled units by distinct keys, each the id of a unit times L plus the id of a label."""
        both = np.intersect1d(gold, predicted, assume_unique=True)
        right, predictions, golds = (
            np.bincount(keys % num_labels, minlength=num_labels) for keys in (both, predicted, gold)
        )
        wrong = np.setxor1d(gold, predicted, assume_unique=True) // num_labels
        units = np.union1d(gold // num_labels, predicted // num_labels)
        exact, pairs = len(units) - len(np.unique(wrong)), _pair_keys(gold, predicted, both, num_labels)
        return cls(right, predictions, golds, exact, len(units), pairs=pairs, may_be_absent=True)


def _pair_keys(gold: Array, predicted: Array, both: Array, num_labels: int) -> tuple[Array, Array]:
    """Return the gold and the predicted label of each unit, (N,) each, -1 for none; see `Matches.of_keys`.

    Of several labels of a unit, equal ones are paired, then the others in the order of their ids.
    """
    labels, units = [], []
    for keys in (gold, predicted):
        rest = np.setdiff1d(keys, both, assume_unique=True)  # sorted
        unit = rest // num_labels
        rank = np.arange(len(unit)) - np.searchsorted(unit, unit)  # among the labels of its unit
        labels.append(rest % num_labels)
        units.append(unit * (num_labels + 1) + rank)
    _, first, second = np.intersect1d(units[0], units[1], assume_unique=True, return_indices=True)
    alone = [np.delete(ids, matched) for ids, matched in zip(labels, (first, second), strict=True)]
    absent = [np.full(len(ids), -1) for ids in alone]
    equal = both % num_labels
    golds = np.concatenate((equal, labels[0][first], alone[0], absent[1]))
    return golds, np.concatenate((equal, labels[1][second], absent[0], alone[1]))


@dataclass(frozen=True)
class Result:
    """The result of an evaluation.

    Attributes:
        main_score: The score by which training chooses the best model.
        detailed_results: Human-readable report.
        classification_report: Precision, recall, F1 and support of each label and of the averages. A label named like
            an average has a row in `detailed_results` only.
        loss: Mean loss per labelled word, or sentence.
        metric_name: Name of `main_score`, such as `f1-score (micro avg)`.
        labels: The labels that have scores, most frequent first.
        confusion: (L, L) how often the column's label was predicted for the row's, in the order of `labels`. For spans,
            (L + 1, L + 1): the last column counts missed spans, the last row superfluous ones; gold and predicted spans
            are paired if they have the same words. A sparse tensor for more than 2,048 labels, and None where a unit
            can have several labels.
        accuracy: Fraction of the compared units with exactly their gold labels. For words this includes the label `O`,
            which has no part in the other scores.
        label_type: The label type; of a model of several label types the main one, to which all of the above belong.
        others: The results of the other label types.
    """

    main_score: float
    detailed_results: str
    classification_report: dict[str, dict[str, float]]
    loss: float
    metric_name: str
    labels: tuple[str, ...]
    confusion: Tensor | None = field(default=None, repr=False)
    accuracy: float = 0.0
    label_type: str = ""
    others: tuple[Result, ...] = field(default=(), repr=False)

    @property
    def by_type(self) -> dict[str, Result]:
        """The results of all label types, the main one first."""
        return {result.label_type: result for result in (self, *self.others)}

    @property
    def scores(self) -> dict[Any, float]:
        """The averages by name, such as `("micro avg", "f1-score")`, the accuracy and the loss."""
        averages = {
            (name, metric): value
            for name in (*AVERAGES, "samples avg")
            for metric, value in self.classification_report.get(name, {}).items()
        }
        return {**averages, "accuracy": self.accuracy, "loss": self.loss}

    @property
    def confusion_labels(self) -> tuple[str, ...]:
        """The names of the rows and columns of `confusion`: the labels and, for spans, `∅` for no span."""
        is_larger = self.confusion is not None and len(self.confusion) > len(self.labels)
        return (*self.labels, NONE) if is_larger else self.labels

    def to_pandas(self) -> DataFrame:
        """Return precision, recall, F1 and support of each label and of the averages as a data frame.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas = _import_pandas()
        averages = [name for name in (*AVERAGES, "samples avg") if name in self.classification_report]
        names = [name for name in dict.fromkeys((*self.labels, *averages)) if name in self.classification_report]
        rows = [[self.classification_report[name][figure] for figure in (*FIGURES, "support")] for name in names]
        frame = pandas.DataFrame(rows, index=names, columns=[*FIGURES, "support"], dtype=float)
        return frame.astype({"support": int})

    def confusion_to_pandas(self) -> DataFrame:
        """Return the confusion matrix as a data frame, with gold labels as rows and predicted ones as columns.

        Raises:
            MissingExtraError: If pandas is not installed.
            SettingError: If there is none, because a unit can have several labels.
        """
        pandas = _import_pandas()
        if self.confusion is None:
            raise SettingError(
                "a sentence can have several labels, so that there is no confusion matrix: use to_pandas"
            )
        counts = self.confusion.to_dense().numpy()
        rows, columns = (pandas.Index(self.confusion_labels, name=name) for name in ("gold", "predicted"))
        return pandas.DataFrame(counts, index=rows, columns=columns)

    def _repr_html_(self) -> str:
        return "".join(part._to_html(f"{part.label_type}: " if self.others else "") for part in (self, *self.others))

    def _to_html(self, prefix: str) -> str:
        """Return a table of the scores of this label type, with a caption that begins with `prefix`."""
        names = [*self.labels, *AVERAGES]
        known = [(name, self.classification_report[name]) for name in names if name in self.classification_report]
        rows = [(name, *(row[figure] for figure in FIGURES), int(row["support"])) for name, row in known]
        caption = (
            f"{prefix}{self.metric_name} {self.main_score:.4f}, accuracy {self.accuracy:.4f}, loss {self.loss:.4f}"
        )
        return table(("", *FIGURES, "support"), rows, caption=caption)

    def __str__(self) -> str:
        return self.detailed_results


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("data frames need pandas", extra="pandas") from error
    return pandas


def evaluate_matches(
    matches: Matches,
    labels: Sequence[str],
    *,
    loss: float = 0.0,
    main_metric: tuple[str, str] = DEFAULT_METRIC,
    exclude: Collection[str] = (),
) -> Result:
    """Compute the scores of predictions and their report.

    Args:
        matches: Counts of L labels.
        labels: Names of the L labels. Those that occur neither in gold nor in predictions are left out.
        loss: Mean loss to report.
        main_metric: The main score: an average or label, and `precision`, `recall` or `f1-score`.
        exclude: Labels without scores, which have no part in the averages, even where they were predicted.

    Raises:
        SettingError: If there is no such main score.
    """
    excluded = set(exclude)
    frequency = matches.predicted + matches.gold
    by_frequency = (-frequency).argsort(kind="stable").tolist()
    order = np.array(
        [index for index in by_frequency if frequency[index] and labels[index] not in excluded], dtype=np.int64
    )
    names = [labels[index] for index in order]
    counts = np.stack((matches.right, matches.predicted, matches.gold))[:, order]  # (3, L')
    figures, support, total = _figures(*counts), counts[2], counts.sum(1)  # (3, L'), (L',), (3,)
    averages = {
        "micro avg": _figures(*total),
        "macro avg": figures.sum(1) / max(1, len(order)),
        "weighted avg": figures @ support / max(1, total[2]),
        **({} if matches.samples is None else {"samples avg": matches.samples}),
    }
    rows = list(zip(names, figures.T, support.tolist(), strict=True))
    last_rows = [(name, column, int(total[2])) for name, column in averages.items()]
    accuracy = matches.exact / max(1, matches.units)
    report = {name: _entry(column, count) for name, column, count in (*rows, *last_rows)}
    has_one_each = matches.pairs is not None and not matches.may_be_absent
    if has_one_each and excluded.isdisjoint(labels):  # then micro average and accuracy are the same
        last_rows[0] = ("accuracy", None, int(total[2]))
    return Result(
        main_score=_main_score(report, main_metric, [label for label in labels if label not in excluded]),
        detailed_results=_format_report(report, rows, last_rows, accuracy),
        classification_report=report,
        loss=loss,
        metric_name="{1} ({0})".format(*main_metric),
        labels=tuple(names),
        confusion=_confusion(matches, order, len(labels)),
        accuracy=accuracy,
    )


def join_results(results: Mapping[str, Result]) -> Result:
    """Join the results of several label types into that of the first, whose report has a section for each."""
    main, *others = [replace(result, label_type=name) for name, result in results.items()]
    if not others:
        return main
    sections = [
        result.detailed_results.replace("\nResults:", f"\nResults for {name}:", 1) for name, result in results.items()
    ]
    return replace(main, detailed_results="".join(sections), others=tuple(others))


def _figures(right: Array, predicted: Array, gold: Array) -> Array:
    """Return precision, recall and F1 of counts, (3, ...); 0 where the denominator is 0."""
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(gold, 1)
    return np.stack((precision, recall, 2 * right / np.maximum(predicted + gold, 1)))


def _entry(figures: Iterable[float], support: int) -> dict[str, float]:
    return dict(zip((*FIGURES, "support"), map(float, (*figures, support)), strict=True))


def _confusion(matches: Matches, order: Array, num_labels: int) -> Tensor | None:
    """Count the pairs of gold and predicted labels among those of `order`, (L', L'), or (L' + 1, L' + 1) with none."""
    if matches.pairs is None:
        return None
    size = len(order) + matches.may_be_absent
    position = np.full(num_labels + 1, -1)
    position[order] = np.arange(len(order))
    if matches.may_be_absent:
        position[-1] = len(order)  # of the id -1
    rows, columns = (position[ids] for ids in matches.pairs)
    is_counted = (rows >= 0) & (columns >= 0)
    rows, columns = rows[is_counted], columns[is_counted]
    if size > _MAX_DENSE:
        pairs = torch.from_numpy(np.stack((rows, columns)))
        counts = torch.ones(len(rows), dtype=torch.int64)
        return torch.sparse_coo_tensor(pairs, counts, (size, size), check_invariants=True).coalesce()
    return torch.from_numpy(np.bincount(rows * size + columns, minlength=size * size).reshape(size, size))


def _format_report(
    report: dict[str, dict[str, float]], rows: Iterable[_Row], last_rows: Iterable[_Row], accuracy: float
) -> str:
    """Format the scores as scikit-learn's `classification_report` does, after the lines that Flair writes first."""
    rows = [(re.sub(r"\s", " ", name), figures, support) for name, figures, support in rows]  # a row is one line
    width = max(map(len, ("weighted avg", *(name for name, _, _ in rows))))

    def line(name: str, figures: Array | None, support: int) -> str:
        cells = ("", "", f"{accuracy:.4f}") if figures is None else [f"{figure:.4f}" for figure in figures]
        return f"{name:>{width}s}  {' '.join(f'{cell:>9s}' for cell in cells)} {support:>9d}"

    head = f"{'':>{width}s}  {' '.join(f'{column:>9s}' for column in (*FIGURES, 'support'))}"
    text = f"\nResults:\n- F-score (micro) {report['micro avg']['f1-score']:.4f}"
    text += f"\n- F-score (macro) {report['macro avg']['f1-score']:.4f}"
    text += f"\n- Accuracy {accuracy:.4f}\n\nBy class:\n"
    return text + "\n".join([head, "", *(line(*row) for row in rows), "", *(line(*row) for row in last_rows), ""])


def _main_score(report: dict[str, dict[str, float]], main_metric: tuple[str, str], labels: Sequence[str]) -> float:
    if not (isinstance(main_metric, (tuple, list)) and list(map(type, main_metric)) == [str, str]):
        raise SettingError(f"a main score is named as in ('micro avg', 'f1-score'), not {main_metric!r}")
    name, metric = main_metric
    if metric in FIGURES and name in report:
        return report[name][metric]
    if metric in FIGURES and name in labels:
        return 0.0  # the label occurs neither in gold nor in predictions
    raise SettingError(
        f"no score {main_metric!r} in this evaluation: give one of {', '.join(map(repr, report))} "
        "with 'precision', 'recall' or 'f1-score'"
    )
