"""Plots of a training run: metrics by epoch, single weights, and the loss by learning rate."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flairlite.checks import strings, whole_number
from flairlite.errors import DataFormatError, MissingExtraError, SettingError
from flairlite.storage.atomic import atomic_write
from flairlite.storage.run_files import read_loss_table, read_weights_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("flairlite")

_SPLITS = {"train": ("training", "#4c78a8"), "dev": ("dev", "#f58518"), "test": ("test", "#54a24b")}
_GREY = "#6b7280"
_DPI = 150


class Plotter:
    """Plots loss.tsv and weights.txt, which training writes, into PNG files in the same folder; needs matplotlib.

    Example:
        >>> Plotter().plot_training_curves("resources/taggers/example-upos/loss.tsv")  # doctest: +SKIP
        PosixPath('resources/taggers/example-upos/training.png')
    """

    def plot_training_curves(self, file_name: str | Path, plot_values: str | Sequence[str] = ("loss", "F1")) -> Path:
        """Plot metrics by epoch into training.png, with a panel per metric and a curve per split.

        A large dot marks the best epoch on dev; dotted lines mark reductions of the learning rate.

        Args:
            file_name: A loss.tsv.
            plot_values: The metrics: `loss`, `F1`, `precision`, `recall` or `accuracy`.

        Returns:
            The path of the plot.

        Raises:
            MissingExtraError: If matplotlib is not installed.
            DataFormatError: If the file cannot be read, is not a loss.tsv or has no rows.
            SettingError: If a metric is not in the table for any split.
        """
        path = _to_path(file_name)
        columns = _read_losses(path)
        names = strings(allow_one=True)("plot_values", plot_values)
        if not names:
            raise SettingError("plot_values must name at least one metric, such as 'loss' or 'F1'")
        curves = [_find_curves(columns, name) for name in names]
        figure = _make_figure(8, 3.2 * len(curves))
        panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        reductions = _find_reductions(columns)
        for axes, name, splits in zip(panels, names, curves, strict=True):
            for split, values in splits.items():
                _draw_curve(axes, columns["EPOCH"], values, split, is_loss=name.lower() == "loss")
            for index, epoch in enumerate(reductions):
                label = "learning rate reduced" if index == 0 else None
                axes.axvline(epoch, color=_GREY, linewidth=0.9, linestyle=":", zorder=0, label=label)
            axes.set_ylabel(name)
            axes.legend(framealpha=0.9, edgecolor="none")
        _set_epoch_axis(panels[-1])
        return _save(figure, path.with_name("training.png"))

    def plot_weights(self, file_name: str | Path) -> Path:
        """Plot the values of single weights during training into weights.png, with a panel per tensor.

        Args:
            file_name: A weights.txt, which `train(write_weights=True)` writes.

        Returns:
            The path of the plot.

        Raises:
            MissingExtraError: If matplotlib is not installed.
            DataFormatError: If the file cannot be read, is not a weights.txt or is empty.
        """
        path = _to_path(file_name)
        tensors = read_weights_table(path)
        if not tensors:
            remedy = "Train with write_weights=True for at least one epoch"
            raise DataFormatError("the table is empty", path=path, remedy=remedy)
        num_rows = math.ceil(len(tensors) / 2)
        figure = _make_figure(10, 2.1 * num_rows + 0.4)
        panels = figure.subplots(num_rows, 2, sharex=True, squeeze=False).flatten()
        for axes, (name, weights) in zip(panels, tensors.items(), strict=False):
            axes.set_title(name, fontsize=8, loc="left")
            axes.tick_params(labelsize=7)
            for points in weights.values():
                axes.plot(*zip(*points, strict=True), linewidth=0.8)
        for axes in panels[len(tensors) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(tensors) - 2) : len(tensors)]:  # the last panel of each column
            axes.tick_params(labelbottom=True)
        figure.supxlabel("batches", fontsize=9)
        return _save(figure, path.with_name("weights.png"))

    def plot_learning_rate(self, file_name: str | Path, skip_first: int = 10, skip_last: int = 5) -> Path:
        """Plot the training loss by learning rate into learning_rate.png.

        Args:
            file_name: A loss.tsv of a run that raised the learning rate step by step.
            skip_first: Rows to skip at the start, where the loss is still high.
            skip_last: Rows to skip at the end, where the loss diverges.

        Returns:
            The path of the plot.

        Raises:
            MissingExtraError: If matplotlib is not installed.
            DataFormatError: If the file cannot be read, is not a loss.tsv or has no rows.
            SettingError: If no rows remain, or the table has no learning rates or training losses.
        """
        path = _to_path(file_name)
        columns = _read_losses(path)
        if missing := {"LEARNING_RATE", "TRAIN_LOSS"} - set(columns):
            raise SettingError(f"{path} has no column {' and no column '.join(sorted(missing))}")
        num_rows, start = len(columns["EPOCH"]), whole_number(least=0)("skip_first", skip_first)
        end = num_rows - whole_number(least=0)("skip_last", skip_last)
        if start >= end:
            raise SettingError(
                f"{path} has {num_rows} rows, so none remain without the first {skip_first} and the last "
                f"{skip_last}. Use a smaller skip_first and skip_last"
            )
        figure = _make_figure(8, 4)
        axes = figure.subplots()
        rates, losses = columns["LEARNING_RATE"][start:end], columns["TRAIN_LOSS"][start:end]
        axes.plot(rates, losses, color=_SPLITS["train"][1], marker="o", markersize=3)
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        return _save(figure, path.with_name("learning_rate.png"))


def _to_path(file_name: Any) -> Path:
    if not isinstance(file_name, (str, os.PathLike)):
        raise SettingError(f"file_name must be a path; got {file_name!r}")
    return Path(file_name)


def _read_losses(path: Path) -> dict[str, list[float]]:
    columns = read_loss_table(path)
    if not columns["EPOCH"]:
        raise DataFormatError("the table has no rows", path=path, remedy="Train for at least one epoch")
    return columns


def _find_curves(columns: dict[str, list[float]], metric: str) -> dict[str, list[float]]:
    """Return the column of a metric for each split that has finite values."""
    found = {split: columns.get(f"{split.upper()}_{metric.upper()}", []) for split in _SPLITS}
    curves = {split: values for split, values in found.items() if any(map(math.isfinite, values))}
    if not curves:
        known = {name.partition("_")[2] for name in columns if name.partition("_")[0].lower() in _SPLITS}
        raise SettingError(f"no values of {metric!r} in this table; its metrics: {', '.join(sorted(known)) or 'none'}")
    return curves


def _draw_curve(axes: Any, epochs: list[float], values: list[float], split: str, *, is_loss: bool) -> None:
    name, color = _SPLITS[split]
    if split == "dev":
        points = [(value, epoch) for value, epoch in zip(values, epochs, strict=True) if math.isfinite(value)]
        value, epoch = min(points, key=lambda point: point[0] if is_loss else -point[0])  # the first of equal values
        axes.plot([epoch], [value], marker="o", markersize=9, color=color, markeredgecolor="white", zorder=3)
        name = f"{name}, best {value:.4g} in epoch {epoch:g}"
    axes.plot(epochs, values, color=color, label=name, linewidth=1.8, marker="o", markersize=3)


def _find_reductions(columns: dict[str, list[float]]) -> list[float]:
    """Return the epochs at which the learning rate was reduced; empty if more than a third of the epochs reduced it."""
    rates = columns.get("LEARNING_RATE", [])
    reduced = [index for index in range(1, len(rates)) if rates[index] < rates[index - 1]]
    return [columns["EPOCH"][index] - 0.5 for index in reduced] if len(reduced) <= len(rates) / 3 else []


def _make_figure(width: float, height: float) -> Figure:
    """Return a figure, with the size in inches, without pyplot: no display or user settings are touched."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plotting needs matplotlib", extra="plot") from error
    return Figure(figsize=(width, height), layout="constrained")


def _set_epoch_axis(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_xlim(left=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _save(figure: Figure, path: Path) -> Path:
    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)
    log.info("Saved the plot in %s", path)
    return path
