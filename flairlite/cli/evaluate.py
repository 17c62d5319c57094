"""`flairlite evaluate`: compare predictions with the gold labels of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from flairlite.cli.inputs import check_data_file
from flairlite.metrics import Result
from flairlite.models import Model

_MAX_PAIRS = 20  # confused labels that are shown


def evaluate_file(
    model_path: Path,
    path: Path,
    label_type: str | None = None,
    *,
    as_json: bool = False,
    confusion: bool = False,
    batch_size: int = 64,
    device: str | None = None,
) -> None:
    """Evaluate a model on a file and print the scores.

    Args:
        model_path: The model.
        path: The file, in the format of `flairlite.datasets.read_labelled`.
        label_type: The type of the gold labels; by default the model's.
        as_json: Whether to print one JSON object.
        confusion: Whether to print which labels are confused.
        batch_size: Sentences that pass through the network at once.
        device: The device to predict on.

    Raises:
        FlairliteError: If the model or the file cannot be read, or the file has no such labels.
    """
    check_data_file(path)
    model = Model.load(model_path, device=device)
    result = model.evaluate(path, gold_label_type=label_type, mini_batch_size=batch_size)
    if as_json:
        typer.echo(json.dumps(_to_plain(result), ensure_ascii=False))
        return
    typer.echo(result.detailed_results.strip("\n"))
    for part in result.by_type.values() if confusion else ():
        typer.echo("\n" + "\n".join(_confused(part, f" of {part.label_type}" if result.others else "")))


def _to_plain(result: Result) -> dict[str, Any]:
    """Return all figures as plain values, and those of the other label types under `by_type` if there are several."""
    figures = _figures(result)
    if result.others:
        figures["by_type"] = {name: _figures(part) for name, part in result.by_type.items()}
    return figures


def _figures(result: Result) -> dict[str, Any]:
    counts = None
    if result.confusion is not None:
        table = result.confusion.to_dense() if result.confusion.is_sparse else result.confusion
        counts = table.tolist()
    return {
        "main_score": result.main_score,
        "metric_name": result.metric_name,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "classification_report": result.classification_report,
        "labels": list(result.labels),
        "confusion": counts,
    }


def _confused(result: Result, type_suffix: str) -> list[str]:
    """Return lines about the most frequent wrong predictions."""
    title = f"Most frequent confusions{type_suffix}:"
    if result.confusion is None:
        return [f"{title} texts with several labels are not confused one for another."]
    pairs = result.confusion.to_sparse().coalesce()
    indices, counts = pairs.indices().T.tolist(), pairs.values().tolist()
    wrong = [(count, gold, predicted) for (gold, predicted), count in zip(indices, counts, strict=True)]
    wrong = sorted((pair for pair in wrong if pair[1] != pair[2]), key=lambda pair: (-pair[0], pair[1:]))[:_MAX_PAIRS]
    names = result.confusion_labels
    width = max([4, *(len(names[gold]) for _, gold, _ in wrong)])
    rows = [f"{count:>7}  {names[gold]:<{width}}  {names[predicted]}" for count, gold, predicted in wrong]
    return [title, f"{'count':>7}  {'gold':<{width}}  predicted", *rows]
