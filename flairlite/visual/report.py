"""report.html: what a training run did and where its model errs, in one file that needs no network."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flairlite.checks import folder_path
from flairlite.errors import DataFormatError, FlairliteError, MissingExtraError
from flairlite.storage.atomic import atomic_write
from flairlite.storage.run_files import HISTORY, REPORT, RUN_RECORD, read_history, read_run_record
from flairlite.version import __version__
from flairlite.visual.charts import reliability_diagram
from flairlite.visual.predictions import Predictions, read_predictions
from flairlite.visual.report_errors import Matrix, describe_worst, list_confusions, make_matrix
from flairlite.visual.report_run import (
    describe_costs,
    describe_curves,
    describe_data,
    describe_environment,
    describe_head,
    describe_settings,
    shorten,
)

if TYPE_CHECKING:
    from jinja2 import Template

log = logging.getLogger("flairlite")

_MAX_CLASSES = 2000  # rows of the table by class


def write_report(run_folder: str | Path) -> Path:
    """Write report.html into the folder of a run, from the files that training has left there.

    The file is self-contained, and below 2 MB whatever the data are: lists end with the number of what they leave out.

    Args:
        run_folder: The folder.

    Returns:
        The path of the report.

    Raises:
        MissingExtraError: If jinja2 is not installed.
        DataFormatError: If a file of the run is missing or damaged.
        FileWriteError: If the report cannot be written.
        SettingError: If `run_folder` is not a path.
    """
    template = _load_template()
    folder = folder_path("run_folder", run_folder)
    if not (folder / RUN_RECORD).is_file():
        problem = "there is no run record"
        raise DataFormatError(problem, path=folder / RUN_RECORD, remedy="Give the folder of a training run")
    record = read_run_record(folder)
    history = read_history(folder) if (folder / HISTORY).exists() else []
    try:
        page = template.render(_describe(folder, record, history))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, FlairliteError):
            raise
        problem = f"{RUN_RECORD} or {HISTORY} was changed by hand or is of another version: {error!r}"
        raise DataFormatError(problem, path=folder) from error
    with atomic_write(folder / REPORT) as file:
        file.write(page.encode("utf-8", "replace"))
    return folder / REPORT


@lru_cache(maxsize=1)
def _load_template() -> Template:
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("the report of a run needs jinja2", extra="report") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(short=shorten)
    environment.globals.update(number=_format_number, count=_format_count)
    return environment.get_template("report.html.jinja")


def _format_number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _format_count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _describe(folder: Path, record: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the template shows."""
    evaluation = record.get("evaluation") or None
    predictions = None if evaluation is None else _read(folder, record, evaluation)
    matrix = None if predictions is None else make_matrix(predictions)
    unit = "" if evaluation is None else evaluation["unit"]
    return {
        "version": __version__,
        "head": describe_head(folder, record, history),
        "evaluation": evaluation,
        "classes": [] if evaluation is None else _list_classes(evaluation),
        "averages": [] if evaluation is None else _list_averages(evaluation),
        "others": [] if evaluation is None else evaluation.get("others", []),
        "num_hidden_classes": 0 if evaluation is None else max(0, len(evaluation["labels"]) - _MAX_CLASSES),
        "matrix": matrix,
        "examples": Matrix.empty_examples() if matrix is None else matrix.examples,
        "confusions": [] if predictions is None else list_confusions(predictions),
        "worst": [] if predictions is None else describe_worst(predictions, unit),
        "num_errors": 0 if predictions is None else predictions.num_errors,
        "calibration": None if predictions is None else _describe_calibration(predictions),
        "knowledge": None if predictions is None else _describe_knowledge(predictions),
        "curves": describe_curves(history),
        "data": describe_data(record),
        "settings": describe_settings(record),
        "costs": describe_costs(record, history),
        "environment": describe_environment(record),
    }


def _read(folder: Path, record: dict[str, Any], evaluation: dict[str, Any]) -> Predictions | None:
    exclude = record["settings"].get("exclude_labels") or ()
    is_multi_label = evaluation.get("is_multi_label", False)
    labels = {label for split in record["corpus"]["splits"].values() for label in split["labels"]}
    return read_predictions(
        folder,
        evaluation["split"],
        evaluation["unit"],
        exclude=(exclude,) if isinstance(exclude, str) else exclude,
        multi_label={*labels, *evaluation["labels"]} if is_multi_label else None,
    )


def _list_classes(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    report = evaluation["report"]
    return [{"name": name, **report[name]} for name in evaluation["labels"][:_MAX_CLASSES] if name in report]


def _list_averages(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("micro avg", "macro avg", "weighted avg", "samples avg")
    return [{"name": name, **evaluation["report"][name]} for name in names if name in evaluation["report"]]


def _describe_calibration(predictions: Predictions) -> dict[str, Any] | None:
    error = predictions.calibration_error()
    if error is None:
        return None
    total, scores, right = (sum(column) for column in zip(*predictions.bins, strict=True))
    title = "Reliability diagram: fraction of right predictions by score"
    rows = [
        {"range": f"{index / 10}–{(index + 1) / 10}", "count": size, "score": summed / size, "right": correct / size}
        for index, (size, summed, correct) in enumerate(predictions.bins)
        if size
    ]
    return {
        "error": error,
        "mean_score": scores / total,
        "accuracy": right / total,
        "rows": rows,
        "chart": reliability_diagram(predictions.bins, title=title),
    }


def _describe_knowledge(predictions: Predictions) -> list[dict[str, Any]] | None:
    total = sum(count for count, _ in predictions.by_knowledge.values())
    if not total:
        return None
    return [
        {
            "name": "in the training data" if is_known else "not in the training data",
            "count": count,
            "share": count / total,
            "accuracy": right / count if count else None,
        }
        for is_known, (count, right) in predictions.by_knowledge.items()
    ]
