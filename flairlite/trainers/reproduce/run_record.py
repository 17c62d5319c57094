"""run.json: the settings, versions, hashes and results of a run, and the comparison of two runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch

from flairlite.data import Corpus
from flairlite.embeddings.base import embedding_to_params
from flairlite.metrics import Result
from flairlite.models import Model
from flairlite.runtime import get_seed
from flairlite.storage.atomic import atomic_write
from flairlite.storage.run_files import RECORD_FORMAT, RECORD_VERSION, RUN_RECORD, read_run_record
from flairlite.tasks import Task
from flairlite.trainers.reproduce.hashes import find_differences, hash_weights
from flairlite.trainers.state import TrainingState
from flairlite.version import __version__

_PACKAGES = ("torch", "numpy", "gensim", "conllu", "scikit-learn", "syntok")
# settings that change no weight: model files leave them out, so that runs with the same weights write the same files
_OF_PROCESS = frozenset(
    ("checkpoint_every", "embeddings_storage_mode", "eval_batch_size", "max_epochs", "save_final_model", "tune_process")
)
_ABSOLUTE_PATH = re.compile(r"(?<![\w.:/\\~-])(?:[A-Za-z]:)?[/\\](?:[^/\\\s'\",;]+[/\\]+)+([^/\\\s'\",;]+)")


def start_run_record(
    model: Model,
    corpus: Corpus,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    counts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the record of a run that starts.

    Args:
        model: The model, before the first step.
        corpus: The corpus.
        settings: The settings, as plain containers.
        inputs: Descriptions and hashes of model and data.
        counts: Counts of labels and unknown words, by split.
    """
    params = embedding_to_params(model.embeddings, whole=False)
    return {
        "format": RECORD_FORMAT,
        "format_version": RECORD_VERSION,
        "settings": dict(settings),
        "inputs": dict(inputs),
        "corpus": {"name": corpus.name, "splits": dict(counts)},
        "embeddings": None if _has_tensors(params) else params,
        "default_seed": get_seed(),
        "initial_weights": hash_weights(model.state_dict()),
        "parts": [],
        "phases": {},
        "result": None,
        "evaluation": None,
    }


def describe_process(device: torch.device) -> dict[str, Any]:
    """Return versions and hardware, which may change the last bits of a result besides data and settings."""
    is_cuda = device.type == "cuda"
    return {
        "started": _now(),
        "versions": {"flairlite": __version__, "python": platform.python_version(), **_package_versions()},
        "host": {
            "system": platform.platform(),
            "processor": _processor(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "device": torch.cuda.get_device_name(device) if is_cuda else device.type,
            "cuda": torch.version.cuda if is_cuda else None,
        },
        "threads": torch.get_num_threads(),
        "git_revision": _git_revision(),
    }


def describe_result(state: TrainingState, final_weights: str, score: float | None) -> dict[str, Any]:
    """Return the results of a run whose model has the weights that were evaluated.

    Args:
        state: The state of the run.
        final_weights: The hash of the weights after the last step.
        score: The score on the test split.
    """
    return {
        "finished": _now(),
        "epochs": state.epoch,
        "is_interrupted": state.is_interrupted,
        "stop_reason": state.stop_reason,
        "train_losses": state.history.train_losses,
        "dev_scores": state.history.dev_scores,
        "test_score": score,
        "final_weights": final_weights,
        "evaluated_weights": hash_weights(state.model.state_dict()),
    }


def describe_evaluation(result: Result, split: str, task: Task, *, is_best: bool) -> dict[str, Any]:
    """Return the scores of a split for the report; compare_runs does not need them besides the weights.

    Args:
        result: The evaluation, of one or several label types.
        split: The name of the split.
        task: What the model labels.
        is_best: Whether the model of the best epoch was evaluated, not that of the last one.
    """
    found = {
        "split": split,
        "is_best_model": is_best,
        "unit": task.unit,
        "is_multi_label": task.multi_label,
        **_describe_scores(result),
    }
    if result.others:
        found["others"] = [{"label_type": part.label_type, **_describe_scores(part)} for part in result.others]
    return found


def _describe_scores(result: Result) -> dict[str, Any]:
    """Return the scores of one label type."""
    return {
        "metric": result.metric_name,
        "score": result.main_score,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "labels": list(result.labels),
        "report": result.classification_report,
    }


def describe_training(record: Mapping[str, Any], state: TrainingState, *, best: bool = False) -> dict[str, Any]:
    """Return what model files tell about the run: corpus, settings and scores by epoch.

    There is no time and no hardware in it, so that runs with the same weights write the same files.

    Args:
        record: The record of the run.
        state: The state of the run.
        best: Whether the model is that of the best epoch, to which later epochs have added nothing.
    """
    history = state.history
    epochs = len(history.train_losses)
    if best and history.dev_scores:
        epochs = history.dev_scores.index(max(history.dev_scores)) + 1
    settings = {name: value for name, value in record["settings"].items() if name not in _OF_PROCESS}
    found = {
        "corpus": record["corpus"]["name"],
        "settings": settings,
        "epochs": epochs,
        "train_losses": history.train_losses[:epochs],
        "dev_losses": history.dev_losses[:epochs],
        "dev_scores": history.dev_scores[:epochs],
    }
    # a copy, because the bytes of a pickle depend on which of its strings are the same object
    copied: dict[str, Any] = json.loads(json.dumps(_remove_paths(found)))
    return copied


def write_run_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write run.json atomically; of absolute paths only the last name, because models are shared with the file."""
    text = json.dumps(_remove_paths(record), indent=1, ensure_ascii=False)
    with atomic_write(folder / RUN_RECORD) as file:
        file.write(f"{text}\n".encode("utf-8", "backslashreplace"))


@dataclass(frozen=True)
class RunComparison:
    """The comparison of two runs by their run.json.

    Attributes:
        differences: What decides the result and differs: settings, model, data, plugins and initial weights.
        circumstances: What may change the last bits and differs: versions, hardware and threads.
        results: Results that differ: losses, scores, hashes of weights.
        has_same_result: Whether both runs are finished, and losses, scores and weights are the same to the last bit.
    """

    differences: list[str]
    circumstances: list[str]
    results: list[str]
    has_same_result: bool


def compare_runs(current: str | Path, previous: str | Path) -> RunComparison:
    """Compare a run with an earlier one.

    Args:
        current: The folder or the run.json of the run.
        previous: The folder or the run.json of the earlier run.

    Raises:
        DataFormatError: If a file is not a run record or has a newer format.
    """
    records = read_run_record(current), read_run_record(previous)

    def compare(*names: str) -> list[str]:
        one, other = ({name: record.get(name) for name in names} for record in records)
        return find_differences(one, other)

    parts = [[_without(part, "started") for part in record.get("parts") or ()] for record in records]
    longest = range(max(map(len, parts)))
    circumstances = [{f"parts[{index}]": part[index] for index in longest if index < len(part)} for part in parts]
    finished = [_without(record.get("result") or {}, "finished") for record in records]
    results = find_differences({"result": finished[0]}, {"result": finished[1]})
    return RunComparison(
        differences=compare("settings", "inputs", "embeddings", "initial_weights"),
        circumstances=find_differences(circumstances[0], circumstances[1]),
        results=results,
        has_same_result=not results and all(finished),
    )


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _remove_paths(value: Any) -> Any:
    """Return nested containers with the last name of each absolute path in their strings, which may name the user."""
    if isinstance(value, Mapping):
        return {_remove_paths(key): _remove_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_remove_paths(item) for item in value]
    if not isinstance(value, str):
        return value
    home = _home()
    for path in (PurePosixPath(value), PureWindowsPath(value)):
        if path.is_absolute() and len(path.parts) > 2:
            return path.name
    return _ABSOLUTE_PATH.sub(r"\1", value.replace(home, "~") if home else value)


def _home() -> str | None:
    try:
        home = str(Path.home())
    except RuntimeError:  # there is no home folder
        return None
    return home if len(home) > 1 else None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _has_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_tensors, value.values()))
    return any(map(_has_tensors, value)) if isinstance(value, (list, tuple)) else isinstance(value, torch.Tensor)


def _package_versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _git_revision() -> str | None:
    """Return the revision of the working folder, with `-dirty` if files were changed; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
