"""The part of the report about errors: the confusion matrix with examples, and the worst errors."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from flairlite.data.tag_schemes import OUTSIDE
from flairlite.markup import NONE, color_of
from flairlite.visual.predictions import Error, Predictions
from flairlite.visual.report_run import shorten

_MAX_LABELS = 24  # rows and columns of the matrix; the others are one row and column together
_OTHERS = "others"
_MAX_EXAMPLE_BYTES = 600_000
_CONTEXT = 9  # words on each side of an error
_MAX_WORD, _MAX_TEXT = 40, 400  # characters
_MAX_CONFUSIONS = 12


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix for the report.

    Attributes:
        names: The names of rows (gold) and columns (predicted).
        rows: The cells of each row.
        num_grouped: The number of labels in the row and column of the others; 0 without one.
        examples: The errors of the cells, as JSON: see `_pack`.
    """

    names: list[str]
    rows: list[list[dict[str, Any]]]
    num_grouped: int
    examples: str

    @staticmethod
    def empty_examples() -> str:
        """Return the examples of a report without errors."""
        return "{}"


def make_matrix(predictions: Predictions) -> Matrix:
    """Return the confusion matrix of the most frequent labels, and of all others together."""
    frequency: Counter[str] = Counter()
    for pair, count in predictions.pairs.items():
        for label in pair:
            frequency[label] += count
    is_none = frequency.pop(NONE, 0) > 0
    ranked = [label for label, _ in frequency.most_common()]
    size = _MAX_LABELS if len(ranked) > _MAX_LABELS + 1 else len(ranked)
    kept, grouped = ranked[:size], ranked[size:]
    names = [*kept, *([_OTHERS] if grouped else []), *([NONE] if is_none else [])]
    position = {label: index for index, label in enumerate(kept)}
    position |= dict.fromkeys(grouped, len(kept)) | ({NONE: len(names) - 1} if is_none else {})
    counts = [[0] * len(names) for _ in names]
    pairs: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for pair, count in predictions.pairs.most_common():
        row, column = position[pair[0]], position[pair[1]]
        counts[row][column] += count
        if pair[0] != pair[1]:
            pairs.setdefault((row, column), []).append(pair)
    wrong = {cell: sum(predictions.pairs[pair] for pair in listed) for cell, listed in pairs.items()}
    rows = []
    for row, values in enumerate(counts):
        total = max(1, sum(values))
        rows.append(
            [
                {
                    "count": count,
                    "share": count / total,
                    "errors": wrong.get((row, column), 0),
                    "is_diagonal": row == column,
                }
                for column, count in enumerate(values)
            ]
        )
    return Matrix([shorten(name) for name in names], rows, len(grouped), _pack(predictions, pairs, wrong))


def _pack(
    predictions: Predictions, pairs: dict[tuple[int, int], list[tuple[str, str]]], wrong: dict[tuple[int, int], int]
) -> str:
    """Return the errors of each cell as a JSON object that is safe inside a script element, up to a size.

    The keys are `row,column`. The values are lists of errors, those with the highest scores first, each a list of the
    text before, the wrong words, the text after, gold label, predicted label, score, number of the sentence, and
    whether a word is unknown. Each cell gets one error before any gets the next.
    """
    queues = {
        cell: sorted(
            (error for pair in listed for error in predictions.errors(pair)), key=lambda error: -(error.score or 0)
        )[:12]
        for cell, listed in sorted(pairs.items(), key=lambda item: -wrong[item[0]])
    }
    packed: dict[str, list[Any]] = {f"{row},{column}": [] for row, column in queues}
    size = 0
    for turn in range(12):
        for (row, column), errors in queues.items():
            if turn < len(errors) and size < _MAX_EXAMPLE_BYTES:
                item = _pack_error(errors[turn])
                size += len(_to_json(item).encode("utf-8", "replace"))
                packed[f"{row},{column}"].append(item)
    return _to_json({key: items for key, items in packed.items() if items})


def _pack_error(error: Error) -> list[Any]:
    before, wrong, after = _cut_context(error)
    score = None if error.score is None else round(error.score, 4)
    return [
        before,
        wrong,
        after,
        shorten(error.gold),
        shorten(error.predicted),
        score,
        error.sentence,
        error.is_unknown,
    ]


def _to_json(value: Any) -> str:
    """Return JSON without the characters that could end a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _cut_context(error: Error) -> tuple[str, str, str]:
    if len(error.words) == 1:
        return "", shorten(error.words[0], _MAX_TEXT), ""
    start, end = max(0, error.start - _CONTEXT), min(len(error.words), error.end + _CONTEXT)
    words = [shorten(word, _MAX_WORD) for word in error.words]
    before = ("… " if start else "") + " ".join(words[start : error.start])
    after = " ".join(words[error.end : end]) + (" …" if end < len(words) else "")
    return before, shorten(" ".join(words[error.start : error.end]), _MAX_TEXT), after


def list_confusions(predictions: Predictions) -> list[dict[str, Any]]:
    """Return the most frequent pairs of a gold and another predicted label."""
    golds: Counter[str] = Counter()
    for (gold, _), count in predictions.pairs.items():
        golds[gold] += count
    wrong = [(pair, count) for pair, count in predictions.pairs.most_common() if pair[0] != pair[1]]
    return [
        {
            "gold": shorten(gold),
            "predicted": shorten(predicted),
            "count": count,
            "share": None if gold == NONE else count / golds[gold],
        }
        for (gold, predicted), count in wrong[:_MAX_CONFUSIONS]
    ]


def describe_worst(predictions: Predictions, unit: str) -> list[dict[str, Any]]:
    """Return the errors with the highest scores, for words and spans with the tags of the words around."""
    found = []
    for error in predictions.worst():
        item: dict[str, Any] = {
            "gold": shorten(error.gold),
            "predicted": shorten(error.predicted),
            "score": error.score,
            "sentence": error.sentence,
            "is_unknown": error.is_unknown,
        }
        if unit == "whole sentence":
            item["text"] = shorten(error.words[0], _MAX_TEXT)
        else:
            start, end = max(0, error.start - _CONTEXT), min(len(error.words), error.end + _CONTEXT)
            positions = range(start, min(end, start + 40))
            item["words"] = [_describe_word(error, index, is_tag=unit == "span") for index in positions]
            item["is_cut"] = (start > 0, end < len(error.words))
        found.append(item)
    return found


def _describe_word(error: Error, index: int, *, is_tag: bool) -> dict[str, Any]:
    gold, predicted = error.golds[index], error.predictions[index]
    colors = [color_of(label[2:] or label if is_tag else label) for label in (gold, predicted)]
    return {
        "text": shorten(error.words[index], _MAX_WORD),
        "gold": "" if is_tag and gold == predicted == OUTSIDE else shorten(gold),
        "predicted": shorten(predicted),
        "colors": colors,
        "is_wrong": gold != predicted,
        "is_target": error.start <= index < error.end,
    }
