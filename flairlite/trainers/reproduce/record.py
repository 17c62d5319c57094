"""run.json: what a run was made of, where, and what came of it: enough to repeat it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from flairlite.data import Corpus
from flairlite.embeddings.base import embedding_to_params
from flairlite.errors import DataFormatError
from flairlite.models import Model
from flairlite.runtime import get_seed
from flairlite.storage.atomic import atomic_write
from flairlite.trainers.process.run_folder import RUN_RECORD
from flairlite.trainers.reproduce.hashes import hash_weights
from flairlite.trainers.run import Run
from flairlite.version import __version__

_FORMAT, _FORMAT_VERSION = "flairlite run", 1
_PACKAGES = ("torch", "numpy", "gensim", "conllu", "scikit-learn", "syntok")


def begin_record(
    model: Model, corpus: Corpus, settings: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the record of a run that begins.

    Args:
        model: The model, before the first step.
        corpus: The corpus.
        settings: The settings, as plain containers.
        inputs: Hashes of model and data.
    """
    params = embedding_to_params(model.embeddings, whole=False)
    return {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "settings": dict(settings),
        "inputs": dict(inputs),
        "corpus": {"name": corpus.name},
        "embeddings": None if _has_tensors(params) else params,
        "default_seed": get_seed(),
        "initial_weights": hash_weights(model.state_dict()),
        "parts": [],
        "result": None,
    }


def describe_process(device: torch.device) -> dict[str, Any]:
    """Return what may decide about the last bits, beside data and settings: versions and machine.

    It names neither the machine nor its user: models are given away with the record beside them.
    """
    is_cuda = device.type == "cuda"
    return {
        "started": _now(),
        "versions": {"flairlite": __version__, "python": platform.python_version(), **_versions()},
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


def describe_result(run: Run, final_weights: str, score: float | None) -> dict[str, Any]:
    """Return what came of a run, when its model has the weights that were evaluated.

    Args:
        run: The run.
        final_weights: The hash of the weights after the last step.
        score: The score on the test split.
    """
    return {
        "finished": _now(),
        "epochs": run.epoch,
        "is_interrupted": run.is_interrupted,
        "stop_reason": run.stop_reason,
        "train_losses": run.history.train_losses,
        "dev_scores": run.history.dev_scores,
        "test_score": score,
        "final_weights": final_weights,
        "evaluated_weights": hash_weights(run.model.state_dict()),
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with atomic_write(folder / RUN_RECORD) as file:
        file.write((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def read_record(path: str | Path) -> dict[str, Any]:
    """Read a run.json.

    Raises:
        DataFormatError: when it is none, or of a newer format.
    """
    path = Path(path)
    path = path / RUN_RECORD if path.is_dir() else path
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataFormatError(f"no record of a run: {error}", path=path, remedy="Give the run.json of a run") from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise DataFormatError("no record of a run of flairlite", path=path, remedy="Give the run.json of a run")
    if record.get("format_version") != _FORMAT_VERSION:
        version = record.get("format_version")
        raise DataFormatError(
            f"it has the format {version!r}, and flairlite {__version__} reads {_FORMAT_VERSION}", path=path
        )
    return record


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _has_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_tensors, value.values()))
    return any(map(_has_tensors, value)) if isinstance(value, (list, tuple)) else isinstance(value, torch.Tensor)


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _git_revision() -> str | None:
    """Return the revision of the working folder, with `-dirty` where files were changed; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
