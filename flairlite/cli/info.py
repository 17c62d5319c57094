"""`flairlite info`: show what is in a model file, without building the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from flairlite.bundled import path_of_model
from flairlite.errors import ModelFileError
from flairlite.storage.model_file import describe_model_file
from flairlite.storage.pickle_inspector import TensorInfo

_LABELS = ("tag_items", "label_items")  # where models store their labels
_MAX_LABELS = 40  # shown


def show_model(path: Path, *, as_json: bool = False) -> None:
    """Print what is in a model file.

    Args:
        path: The file.
        as_json: Whether to print one JSON object.

    Raises:
        ModelFileError: If it is not a model file.
    """
    found = describe_model(path)
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(_format(found)))


def describe_model(path: Path) -> dict[str, Any]:
    """Return what is in a model file, as plain values.

    Raises:
        ModelFileError: If it is not a model file.
    """
    path = path_of_model(path)
    content = describe_model_file(path)
    try:
        return _describe(path, content)
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        raise ModelFileError(f"{path} is damaged: {error}. Copy it again, or train again") from error


def _describe(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    settings = _plain(content.get("settings") or {})
    labels = next((settings.pop(name) for name in _LABELS if name in settings), None)
    label_type = settings.get("tag_type", settings.get("label_type"))
    heads = settings.get("other_heads", [])
    others = {str(head["label_type"]): list(map(str, head.pop("tag_items"))) for head in heads}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "class": content.get("class"),
        "format_version": content.get("format_version"),
        "flairlite_version": content.get("flairlite_version"),
        "label_type": label_type,
        "labels": labels,
        "other_labels": others,
        "settings": settings,
        "embeddings": list(_embeddings_in(content.get("embeddings"))),
        "tokenizer": _plain(content.get("tokenizer")),
        "training": _plain(content.get("training")),
        "run": _read_run(path),
        "parts": dict(sorted(_sizes(content).items(), key=lambda part: -part[1])),
    }


def _plain(value: Any) -> Any:
    """Return nested containers without tensors."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if not isinstance(item, TensorInfo)}
    return (
        [_plain(item) for item in value if not isinstance(item, TensorInfo)]
        if isinstance(value, (list, tuple))
        else value
    )


def _embeddings_in(params: Any) -> Iterator[dict[str, Any]]:
    """Yield the class and the settings of embeddings, and of those that they contain."""
    if isinstance(params, Mapping):
        if "class" in params:
            yield {key: value for key, value in params.items() if isinstance(value, (str, int, float))}
        for value in params.values():
            yield from _embeddings_in(value)
    elif isinstance(params, (list, tuple)):
        for value in params:
            yield from _embeddings_in(value)


def _sizes(content: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes of the tensors of each part of a model: fixed vectors, and the layers with their weights."""
    sizes: dict[str, int] = {}
    if vectors := _bytes_of(content.get("embeddings")):
        sizes["fixed vectors of embeddings"] = vectors
    for name, tensor in (content.get("state") or {}).items():
        if isinstance(tensor, TensorInfo):
            part = name.partition(".")[0]
            sizes[part] = sizes.get(part, 0) + tensor.num_bytes
    return sizes


def _bytes_of(value: Any) -> int:
    if isinstance(value, TensorInfo):
        return value.num_bytes
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(_bytes_of, items))


def _read_run(path: Path) -> dict[str, Any] | None:
    """Return results and versions of the run.json beside a model, or None."""
    record_path = path.with_name("run.json")
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        parts = record["parts"] or [{}]
        return {"result": record["result"], "versions": parts[-1].get("versions"), "host": parts[-1].get("host")}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # missing, or of something else
        return None


def _format(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show the description of a model."""
    training, run = found["training"] or {}, found["run"] or {}
    yield f"{found['file']}: {found['class']}, {_show_bytes(found['bytes'])}"
    yield f"written by flairlite {found['flairlite_version']} in format {found['format_version']}"
    for label_type, labels in ((found["label_type"], found["labels"] or []), *found["other_labels"].items()):
        shown = ", ".join(labels[:_MAX_LABELS]) + (", ..." if len(labels) > _MAX_LABELS else "")
        yield f"\nLabels of the type {label_type} ({len(labels)}): {shown}"
    yield "\nEmbeddings:"
    for part in found["embeddings"]:
        rest = ", ".join(f"{key}={value}" for key, value in part.items() if key not in ("class", "given_name"))
        yield f"  {part['class']}" + (f": {rest}" if rest else "")
    yield from _section("Settings", found["settings"])
    if training:
        yield f"\nTrained on {training.get('corpus')} for {training.get('epochs')} epochs"
        if scores := training.get("dev_scores"):
            yield f"  best score on dev: {max(scores):.4f} (epoch {scores.index(max(scores)) + 1})"
    if (score := (run.get("result") or {}).get("test_score")) is not None:
        yield f"  score on test, of the run in this folder: {score:.4f}"
    yield from _section("Training settings", training.get("settings") or {})
    yield from _section("Versions at training", run.get("versions") or {})
    yield "\nSize by part:"
    for part, size in found["parts"].items():
        yield f"  {_show_bytes(size):>10}  {part}"


def _section(title: str, values: Mapping[str, Any]) -> Iterator[str]:
    if values:
        yield f"\n{title}:"
        yield from (f"  {name}: {_show(value)}" for name, value in values.items() if value not in (None, [], {}))


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)


def _show_bytes(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
