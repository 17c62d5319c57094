"""The files in the folder of a training run: their names, and the functions that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flairlite.checks import file_path
from flairlite.errors import DataFormatError
from flairlite.version import __version__

BEST_MODEL = "best-model.pt"
FINAL_MODEL = "final-model.pt"
CHECKPOINT = "checkpoint.pt"
RUN_RECORD = "run.json"
HISTORY = "history.jsonl"
LOSS_TABLE = "loss.tsv"
WEIGHTS_TABLE = "weights.txt"
TRAINING_LOG = "training.log"
REPORT = "report.html"

RECORD_FORMAT, RECORD_VERSION = "flairlite run", 1
_REMEDY = "Give the run.json of a run, or its folder"

Points = list[tuple[int, float]]  # (iteration, value)


def predictions_name(split: str) -> str:
    """Return the name of the file with the gold and predicted labels of a split."""
    return f"{split}.tsv"


def scores_name(split: str) -> str:
    """Return the name of the file with the scores of the predictions of a split, line by line."""
    return f"{split}-scores.tsv"


def read_run_record(path: str | Path) -> dict[str, Any]:
    """Read a run.json.

    Args:
        path: The file, or the folder of the run.

    Raises:
        DataFormatError: If the file is not a run record or has a newer format.
        SettingError: If `path` is not a path.
    """
    path = file_path("path", path)
    path = path / RUN_RECORD if path.is_dir() else path
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataFormatError("there is no run record", path=path, remedy=_REMEDY) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataFormatError(f"this is not a run record: {error}", path=path, remedy=_REMEDY) from error
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        raise DataFormatError("this is not a run record of flairlite", path=path, remedy=_REMEDY)
    if record.get("format_version") != RECORD_VERSION:
        raise DataFormatError(
            f"its format version is {record.get('format_version')!r}, and flairlite {__version__} reads "
            f"{RECORD_VERSION}",
            path=path,
        )
    parts, result = record.get("parts"), record.get("result")
    is_sound = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
    if not is_sound or not isinstance(result, (dict, type(None))):
        raise DataFormatError("the run record is damaged", path=path, remedy=_REMEDY)
    return record


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """Read a history.jsonl: the values of each epoch by name.

    Args:
        path: The file, or the folder of the run.

    Raises:
        DataFormatError: If the file cannot be read, or a line is not a JSON object with an epoch.
        SettingError: If `path` is not a path.
    """
    path = file_path("path", path)
    path = path / HISTORY if path.is_dir() else path
    epochs = []
    for number, line in enumerate(read_table_lines(path), start=1):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataFormatError(f"expected a JSON object: {error}", path=path, line=number) from error
        if not isinstance(values, dict) or not isinstance(values.get("epoch"), int):
            raise DataFormatError("expected a JSON object with an epoch", path=path, line=number)
        epochs.append(values)
    return epochs


def read_table_lines(path: str | Path) -> list[str]:
    """Return the lines of a table that training wrote.

    Raises:
        DataFormatError: If the file cannot be read or is not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(f"the table cannot be read: {error}", path=path) from error


def read_loss_table(path: str | Path) -> dict[str, list[float]]:
    """Read the columns of numbers of a loss.tsv, written by this library or by Flair; a missing number is NaN.

    Of several learning rates in a cell the first is taken. The column of times is left out.

    Raises:
        DataFormatError: If the file cannot be read or is not such a table.
    """
    lines = read_table_lines(path)
    header = lines[0].split("\t") if lines else []
    if "EPOCH" not in header or len(set(header)) < len(header):
        raise DataFormatError("expected a header with a column EPOCH", path=path, line=1, remedy="Give a loss.tsv")
    columns: dict[str, list[float]] = {name: [] for name in header if name != "TIMESTAMP"}
    for line_number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataFormatError(f"expected {len(header)} columns, found {len(cells)}", path=path, line=line_number)
        for name, cell in zip(header, cells, strict=True):
            if name in columns:
                columns[name].append(_parse(name, cell, path, line_number))
    return columns


def read_weights_table(path: str | Path) -> dict[str, dict[int, Points]]:
    """Read a weights.txt, written by this library or by Flair: the points of each weight of each tensor.

    Raises:
        DataFormatError: If the file cannot be read or is not such a table.
    """
    tensors: dict[str, dict[int, Points]] = {}
    for line_number, line in enumerate(read_table_lines(path), start=1):
        try:
            iteration, name, weight, value = line.split("\t")
            point = int(iteration), float(value)
            tensors.setdefault(name, {}).setdefault(int(weight), []).append(point)
        except ValueError:
            problem = f"expected iteration, tensor, index and value between tabs, found {line[:80]!r}"
            raise DataFormatError(problem, path=path, line=line_number, remedy="Give a weights.txt") from None
    return tensors


def _parse(name: str, cell: str, path: str | Path, line: int) -> float:
    try:
        return float("nan") if cell == "_" else float(cell.partition(",")[0])
    except ValueError:
        raise DataFormatError(f"expected a number for {name}, found {cell!r}", path=path, line=line) from None
