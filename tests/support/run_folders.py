"""Folders of training runs that are written by hand, in the form that training writes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = tuple[str, str, str]  # word, gold, predicted


def write_run(
    folder: Path,
    sentences: Sequence[Sequence[Row]],
    *,
    unit: str = "word",
    scores: Sequence[Sequence[str]] | None = None,
    epochs: int = 3,
    is_multi_label: bool = False,
    exclude: Sequence[str] = (),
    **changes: Any,
) -> Path:
    """Write the files of a run from which a report is made, and return its folder.

    Args:
        folder: The folder.
        sentences: The rows of test.tsv: word, gold and predicted label; for a whole sentence, its text comes first.
        unit: What has labels.
        scores: The lines of test-scores.tsv of each sentence; None for no such file.
        epochs: The number of epochs.
        is_multi_label: Whether a sentence can have several labels.
        exclude: The labels without scores.
        changes: Entries of the run record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_word = unit != "whole sentence"
    lines: list[str] = []
    for rows in sentences:
        lines += ["\t".join(row if by_word else (row[1], row[2], row[0])) for row in rows] + [""] * by_word
    (folder / "test.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    if scores is not None:
        listed = [line for part in scores for line in (*part, *[""] * by_word)]
        (folder / "test-scores.tsv").write_text("".join(f"{line}\n" for line in listed), encoding="utf-8")
    counts = Counter(row[1] for rows in sentences for row in rows)
    figures = {"precision": 0.5, "recall": 0.25, "f1-score": 1 / 3}
    report = {name: {**figures, "support": float(count)} for name, count in counts.items()}
    report |= {
        name: {**figures, "support": float(counts.total())} for name in ("micro avg", "macro avg", "weighted avg")
    }
    record = {
        "format": "flairlite run",
        "format_version": 1,
        "settings": {"learning_rate": 0.1, "max_epochs": 10, "exclude_labels": list(exclude)},
        "inputs": {
            "model": {"class": "SequenceTagger", "settings": {"tag_type": "upos"}, "embeddings": {"name": "glove"}},
            "data": {"train": {"sentences": 5, "words": 50}, "dev": None, "test": {"sentences": 2, "words": 20}},
        },
        "corpus": {"name": "corpus", "splits": {"test": {"labels": dict(counts), "unknown_words": []}}},
        "embeddings": {"name": "glove"},
        "parts": [{"started": "2026-01-02T03:04:05+00:00", "versions": {"torch": "2.13.0"}, "host": {}, "threads": 1}],
        "phases": {"preparation": {"seconds": 1.5, "peak_memory": {"host": 2**28}}},
        "result": {"finished": "2026-01-02T03:05:05+00:00", "stop_reason": None, "is_interrupted": False},
        "evaluation": {
            "split": "test",
            "is_best_model": True,
            "unit": unit,
            "is_multi_label": is_multi_label,
            "metric": "f1-score (micro avg)",
            "score": 0.75,
            "loss": 0.5,
            "accuracy": 0.8,
            "labels": list(counts),
            "report": report,
        },
        **changes,
    }
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(make_epoch(n + 1))}\n" for n in range(epochs)))
    return folder


def make_epoch(epoch: int, **changes: Any) -> dict[str, Any]:
    """Return the values of an epoch, as in history.jsonl."""
    return {
        "epoch": epoch,
        "finished": "2026-01-02T03:04:30+00:00",
        "train_loss": 2 / epoch,
        "learning_rates": [0.1],
        "is_best": True,
        "bad_epochs": 0,
        "words": 50,
        "words_per_second": 500.0,
        "seconds": {"training": 0.1, "evaluation": 0.05},
        "peak_memory": {"host": 2**29},
        "dev": {"loss": 1.0, "score": 0.5, "precision": 0.5, "recall": 0.5, "f1-score": 0.5, "accuracy": 0.5},
        **changes,
    }
