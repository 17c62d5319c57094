"""Curves of a training run: figures an epoch, weights, learning rates."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flairlite.errors import MissingExtraError, SettingError
from flairlite.trainers.callbacks.loss_table import read_loss_table
from flairlite.trainers.callbacks.weights_table import read_weights_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("flairlite")

_SPLITS = {"train": ("training", "#4c78a8"), "dev": ("dev", "#f58518"), "test": ("test", "#54a24b")}
_GREY = "#6b7280"
_DPI = 150


class Plotter:
    """Draws what training writes, loss.tsv and weights.txt, into PNG files beside them; needs matplotlib.

    Example:
        >>> Plotter().plot_training_curves("resources/taggers/example-upos/loss.tsv")  # doctest: +SKIP
        PosixPath('resources/taggers/example-upos/training.png')
    """

    def plot_training_curves(self, file_name: str | Path, plot_values: Sequence[str] = ("loss", "F1")) -> Path:
        """Draw figures by epoch, a panel a figure with a curve a split, into training.png.

        A large point marks the best epoch on dev, dotted lines where the learning rate was lowered.

        Args:
            file_name: A loss.tsv.
            plot_values: Figures, such as `loss`, `F1`, `precision`, `recall` or `accuracy`.

        Returns:
            The path of the picture.

        Raises:
            MissingExtraError: when matplotlib is not installed.
            DataFormatError: when the file is not a loss.tsv.
            SettingError: when it has none of the figures for any split.
        """
        columns = read_loss_table(file_name)
        curves = [_curves(columns, value) for value in plot_values]
        figure = _figure(8, 3.2 * len(curves))
        panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for axes, value, lines in zip(panels, plot_values, curves, strict=True):
            for split, values in lines.items():
                _draw_curve(axes, columns["EPOCH"], values, split, is_loss=value.lower() == "loss")
            for place, epoch in enumerate(_annealed(columns)):
                label = None if place else "learning rate lowered"
                axes.axvline(epoch, color=_GREY, linewidth=0.9, linestyle=":", zorder=0, label=label)
            axes.set_ylabel(value)
            axes.legend(framealpha=0.9, edgecolor="none")
        _count_epochs(panels[-1])
        return _save(figure, Path(file_name).with_name("training.png"))

    def plot_weights(self, file_name: str | Path) -> Path:
        """Draw how single weights went, a panel a tensor, into weights.png.

        Args:
            file_name: A weights.txt, as `train(write_weights=True)` writes it.

        Returns:
            The path of the picture.

        Raises:
            MissingExtraError: when matplotlib is not installed.
            DataFormatError: when the file is not a weights.txt.
        """
        tensors = read_weights_table(file_name)
        num_rows = max(1, math.ceil(len(tensors) / 2))
        figure = _figure(10, 2.1 * num_rows + 0.4)
        panels = figure.subplots(num_rows, 2, sharex=True, squeeze=False).flatten()
        for axes, (name, weights) in zip(panels, tensors.items(), strict=False):
            axes.set_title(name, fontsize=8, loc="left")
            axes.tick_params(labelsize=7)
            for points in weights.values():
                axes.plot(*zip(*points, strict=True), linewidth=0.8)
        for axes in panels[len(tensors) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(tensors) - 2) : len(tensors)]:  # the last of each column
            axes.tick_params(labelbottom=True)
        figure.supxlabel("batches", fontsize=9)
        return _save(figure, Path(file_name).with_name("weights.png"))

    def plot_learning_rate(self, file_name: str | Path, skip_first: int = 10, skip_last: int = 5) -> Path:
        """Draw the training loss by learning rate into learning_rate.png.

        Args:
            file_name: A loss.tsv of a run whose learning rate was raised step by step.
            skip_first: Rows to leave out at the start, where the loss is still high.
            skip_last: Rows to leave out at the end, where it runs away.

        Returns:
            The path of the picture.

        Raises:
            MissingExtraError: when matplotlib is not installed.
            DataFormatError: when the file is not a loss.tsv.
            SettingError: when no row is left, or there are no such columns.
        """
        columns = read_loss_table(file_name)
        if missing := {"LEARNING_RATE", "TRAIN_LOSS"} - set(columns):
            raise SettingError(f"{file_name} has no column {' and no column '.join(sorted(missing))}")
        end = len(columns["EPOCH"]) - skip_last
        if skip_first >= end:
            raise SettingError(
                f"{file_name} has {len(columns['EPOCH'])} rows: none is left without the first {skip_first} and the "
                f"last {skip_last}. Give a smaller skip_first and skip_last"
            )
        figure = _figure(8, 4)
        axes = figure.subplots()
        rates, losses = columns["LEARNING_RATE"][skip_first:end], columns["TRAIN_LOSS"][skip_first:end]
        axes.plot(rates, losses, color=_SPLITS["train"][1], marker="o", markersize=3)
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        return _save(figure, Path(file_name).with_name("learning_rate.png"))


def _curves(columns: dict[str, list[float]], value: str) -> dict[str, list[float]]:
    """Return the column of a figure for each split that has it."""
    found = {split: columns.get(f"{split.upper()}_{value.upper()}", []) for split in _SPLITS}
    curves = {split: values for split, values in found.items() if any(map(math.isfinite, values))}
    if not curves:
        known = {name.partition("_")[2] for name in columns if name.partition("_")[0].lower() in _SPLITS}
        raise SettingError(f"no figure {value!r} in this table; it has: {', '.join(sorted(known)) or 'none'}")
    return curves


def _draw_curve(axes: Any, epochs: list[float], values: list[float], split: str, *, is_loss: bool) -> None:
    name, color = _SPLITS[split]
    if split == "dev":
        points = [(value, epoch) for value, epoch in zip(values, epochs, strict=True) if math.isfinite(value)]
        value, epoch = min(points) if is_loss else max(points, key=lambda point: (point[0], -point[1]))  # the first
        axes.plot([epoch], [value], marker="o", markersize=9, color=color, markeredgecolor="white", zorder=3)
        name = f"{name}, best {value:.4g} in epoch {epoch:g}"
    axes.plot(epochs, values, color=color, label=name, linewidth=1.8, marker="o", markersize=3)


def _annealed(columns: dict[str, list[float]]) -> list[float]:
    """Return where the rate was lowered between epochs; nothing where it changed so often that it has a schedule."""
    rates = columns.get("LEARNING_RATE", [])
    lowered = [place for place in range(1, len(rates)) if rates[place] < rates[place - 1]]
    return [columns["EPOCH"][place] - 0.5 for place in lowered] if len(lowered) <= len(rates) / 3 else []


def _figure(width: float, height: float) -> Figure:
    """Make a figure of its own, in inches: pyplot, a display or a user's settings are not touched."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plotting needs matplotlib", extra="plot") from error
    return Figure(figsize=(width, height), layout="constrained")


def _count_epochs(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_xlim(left=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _save(figure: Figure, path: Path) -> Path:
    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=_DPI)
    log.info("The plot is saved in %s", path)
    return path
