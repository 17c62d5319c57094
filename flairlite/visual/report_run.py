"""The part of the report about the run: its head, curves, data, settings, costs and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.visual.charts import line_chart

_MAX_LABEL = 60  # characters
_MAX_VALUE = 2000
_MAX_LABELS = 300  # rows of the table of label counts
_MAX_EPOCHS = 400  # rows of the table of epochs
_SPLITS = ("train", "dev", "test", "train_sample")


def shorten(text: Any, size: int = _MAX_LABEL) -> str:
    """Return a text without control characters, cut to a number of characters."""
    plain = "".join(character if character.isprintable() else " " for character in str(text)[: size + 1])
    return plain if len(plain) <= size else f"{plain[: size - 1]}…"


def describe_head(folder: Path, record: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return title and key figures."""
    result, evaluation, parts = record.get("result"), record.get("evaluation"), record.get("parts") or [{}]
    best = max((epoch["dev"]["score"] or 0.0 for epoch in history if "dev" in epoch), default=None)
    seconds = sum(epoch["seconds"]["training"] for epoch in history)
    words = sum(epoch["words"] for epoch in history)
    model = record["inputs"]["model"]
    figures: list[tuple[str, str, str]] = []
    if evaluation:
        kind = "best model" if evaluation["is_best_model"] else "last model"
        figures.append(
            (f"{evaluation['split']} score", f"{evaluation['score']:.4f}", f"{evaluation['metric']}, {kind}")
        )
        figures.append(("accuracy", f"{evaluation['accuracy']:.4f}", f"of {evaluation['split']}"))
    if best is not None:
        epochs = [epoch["epoch"] for epoch in history if epoch.get("dev", {}).get("score") == best]
        figures.append(("best dev score", f"{best:.4f}", f"in epoch {epochs[0]}"))
    if history:
        figures.append(("epochs", str(len(history)), f"of at most {record['settings']['max_epochs']}"))
        figures.append(("training", format_seconds(seconds), f"{words / max(seconds, 1e-9):,.0f} words per second"))
    return {
        "title": f"{model['class']} for {label_type_of(record)}",
        "folder": shorten(folder.resolve().name),
        "corpus": shorten(record["corpus"]["name"] or "corpus without a name", 120),
        "started": parts[0].get("started", ""),
        "finished": (result or {}).get("finished"),
        "stop_reason": shorten((result or {}).get("stop_reason") or "", 300),
        "is_interrupted": (result or {}).get("is_interrupted", False),
        "figures": figures,
    }


def label_type_of(record: Mapping[str, Any]) -> str:
    """Return the label type that the model of a run learned."""
    settings = record["inputs"]["model"]["settings"]
    return shorten(settings.get("label_type") or settings.get("tag_type") or "labels")


def describe_curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the charts by epoch, and the table of their values."""
    if not history:
        return {"charts": [], "rows": [], "splits": [], "num_hidden": 0}
    epochs = [entry["epoch"] for entry in history]
    splits = [name for name in ("dev", "test", "train_sample") if any(name in entry for entry in history)]

    def of(split: str, figure: str) -> list[float | None]:
        return [entry.get(split, {}).get(figure) for entry in history]

    best = [entry["epoch"] for entry in history if entry["is_best"]][-1:] if splits else []
    losses = {"training": [entry["train_loss"] for entry in history], **{name: of(name, "loss") for name in splits}}
    rates = {f"group {index + 1}": values for index, values in enumerate(_columns(history))}
    if len(rates) == 1:
        rates = {"learning rate": next(iter(rates.values()))}
    positive = [rate for values in rates.values() for rate in values if rate]
    is_log = bool(positive) and max(positive) > 20 * min(positive)
    charts = [("Loss", line_chart(epochs, losses, title="Loss by epoch", best=best))]
    if splits:
        scores = {name: of(name, "score") for name in splits}
        charts.append(("Score", line_chart(epochs, scores, title="Main score by epoch", best=best)))
    charts.append(("Learning rate", line_chart(epochs, rates, title="Learning rate by epoch", is_log=is_log)))
    rows = [
        {
            "epoch": entry["epoch"],
            "is_best": entry["is_best"],
            "train_loss": entry["train_loss"],
            "splits": [entry.get(name, {}) for name in splits],
            "rates": ", ".join(f"{rate:.6g}" for rate in entry["learning_rates"]),
            "words_per_second": entry["words_per_second"],
            "seconds": sum(entry["seconds"].values()),
        }
        for entry in history[-_MAX_EPOCHS:]
    ]
    return {"charts": charts, "rows": rows, "splits": splits, "num_hidden": max(0, len(history) - _MAX_EPOCHS)}


def _columns(history: Sequence[Mapping[str, Any]]) -> list[list[float | None]]:
    size = max(len(entry["learning_rates"]) for entry in history)
    return [
        [rates[index] if index < len(rates) else None for rates in (entry["learning_rates"] for entry in history)]
        for index in range(min(size, 6))
    ]


def describe_data(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return sizes, unknown words and label counts of the splits."""
    sizes, counts = record["inputs"]["data"], record["corpus"].get("splits", {})
    names = [name for name in _SPLITS if sizes.get(name) or name in counts]
    splits = []
    for name in names:
        unknown = counts.get(name, {}).get("unknown_words", [])
        splits.append(
            {
                "name": name,
                "sentences": (sizes.get(name) or {}).get("sentences"),
                "words": (sizes.get(name) or {}).get("words"),
                "unknown": [
                    {
                        "embedding": shorten(words["embedding"]),
                        "count": words["count"],
                        "share": words["count"] / max(1, words["total"]),
                        "distinct": words["distinct"],
                    }
                    for words in unknown
                ],
            }
        )
    labels = list(dict.fromkeys(label for name in names for label in counts.get(name, {}).get("labels", {})))
    table = [[counts.get(name, {}).get("labels", {}).get(label, 0) for name in names] for label in labels]
    order = sorted(range(len(labels)), key=lambda index: [-count for count in table[index]])[:_MAX_LABELS]
    largest = max((table[index][0] for index in order), default=1) if names else 1
    rows = [
        {"label": shorten(labels[index]), "counts": table[index], "share": table[index][0] / max(1, largest)}
        for index in order
    ]
    return {
        "splits": splits,
        "names": names,
        "labels": rows,
        "num_labels": len(labels),
        "num_hidden": len(labels) - len(rows),
    }


def describe_settings(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the settings of training, model and embeddings as names and values."""
    model = record["inputs"]["model"]
    groups = [
        ("Training", record["settings"]),
        ("Model", {"class": model["class"], **model["settings"]}),
        ("Embeddings", record.get("embeddings") or model["embeddings"]),
    ]
    return [(title, [(shorten(name), _show(value)) for name, value in values.items()]) for title, values in groups]


def _show(value: Any) -> str:
    if isinstance(value, (str, int, float, bool, type(None))):
        return shorten(value, _MAX_VALUE)
    return shorten(json.dumps(value, ensure_ascii=False), _MAX_VALUE)


def describe_costs(record: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return seconds and memory of the phases of the run."""
    phases = record.get("phases") or {}
    last = history[-1]["peak_memory"] if history else {}
    entries = [("preparation", phases.get("preparation"))]
    for name in ("training", "evaluation"):
        if history:
            seconds = sum(entry["seconds"][name] for entry in history)
            entries.append(
                (name if name == "training" else "evaluation by epoch", {"seconds": seconds, "peak_memory": last})
            )
    entries.append(("final evaluation", phases.get("final evaluation")))
    known = [(name, entry) for name, entry in entries if entry]
    total = sum(entry["seconds"] for _, entry in known) or 1.0
    rows = [
        {
            "name": name,
            "seconds": format_seconds(entry["seconds"]),
            "share": entry["seconds"] / total,
            "host": format_bytes(entry["peak_memory"].get("host")),
            "device": format_bytes(entry["peak_memory"].get("device")),
        }
        for name, entry in known
    ]
    return {"rows": rows, "has_device": any(row["device"] for row in rows), "total": format_seconds(total)}


def describe_environment(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return versions and hardware of the last process of the run."""
    parts = record.get("parts") or []
    if not parts:
        return []
    last = parts[-1]
    rows = [("started", " · ".join(str(part.get("started")) for part in parts))]
    rows += [(name, str(version)) for name, version in last.get("versions", {}).items() if version]
    rows += [(name, str(value)) for name, value in last.get("host", {}).items() if value is not None]
    rows += [(name, str(last[name])) for name in ("threads", "git_revision") if last.get(name) is not None]
    return [(shorten(name.replace("_", " ")), shorten(value, 200)) for name, value in rows]


def format_seconds(seconds: float) -> str:
    """Return a duration, such as `4.2 s` or `1:02:30`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def format_bytes(count: int | None) -> str:
    """Return a size of memory, such as `512 MiB`; empty for None."""
    if count is None:
        return ""
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
