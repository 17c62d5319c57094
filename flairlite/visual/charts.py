"""Charts as SVG for HTML pages, whose style sheet colours them by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from flairlite.markup import escape

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 38
_STYLES = {"training": 0, "dev": 1, "test": 2, "train_sample": 3}  # the same line for a split in each chart
_MAX_POINTS = 300  # of a line; of more epochs, some are left out

Values = Sequence["float | None"]


def line_chart(
    epochs: Sequence[int], lines: Mapping[str, Values], *, title: str, best: Sequence[int] = (), is_log: bool = False
) -> str:
    """Return a line chart by epoch. Lines differ by colour, dashes and the shape of their points.

    Args:
        epochs: The epochs.
        lines: The values of each line; None where there is none.
        title: What the chart shows, for screen readers.
        best: The epochs to mark with a ring on all lines.
        is_log: Whether the scale of the values is logarithmic.
    """
    step = max(1, math.ceil(len(epochs) / _MAX_POINTS))
    kept = [index for index in range(len(epochs)) if index % step == 0 or index == len(epochs) - 1]
    known = [value for values in lines.values() for value in values if value is not None and (not is_log or value > 0)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    ticks = _log_ticks(low, high) if is_log else _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = (epochs[0], epochs[-1]) if epochs else (1, 1)

    def x(epoch: float) -> float:
        share = (epoch - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        scale = math.log if is_log else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low)) if high > low else 0.5
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid_line(y(tick), f"{tick:.3g}") for tick in ticks]
    parts += [_x_label(x(epoch), str(epoch)) for epoch in _epoch_ticks(first, last)]
    parts.append(f'<text class="axis" x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 4}">epoch</text>')
    for order, (name, values) in enumerate(lines.items()):
        number = _STYLES.get(name, order)
        points = [(epochs[index], values[index]) for index in kept]
        placed = [(x(at), y(value), at, value) for at, value in points if value is not None and (not is_log or value)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py, *_ in placed)
        parts.append(f'<polyline class="line line{number}" points="{path}"/>')
        for px, py, epoch, value in placed if len(placed) <= 60 else placed[-1:]:
            label = f"<title>{escape(name)}, epoch {epoch}: {value:.5g}</title>"
            parts.append(_point(px, py, number, label))
        rings = [(px, py) for px, py, epoch, _ in placed if epoch in best]
        parts += [f'<circle class="best line{number}" cx="{px:.1f}" cy="{py:.1f}" r="7"/>' for px, py in rings]
    return _svg(title, parts, legend=list(lines) if len(lines) > 1 or lines.keys() & _STYLES.keys() else [])


def reliability_diagram(bins: Sequence[Sequence[float]], *, title: str) -> str:
    """Return a reliability diagram: a bar per tenth of the scores with the accuracy of its predictions.

    Args:
        bins: For each bin, the number of predictions, their summed scores and how many are right.
        title: What the chart shows, for screen readers.
    """
    size, left, top = 250, 56, 10

    def x(share: float) -> float:
        return left + share * size

    def y(share: float) -> float:
        return top + (1 - share) * size

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{left}" x2="{left + size}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick end" x="{left - 6}" y="{y(tick) + 4:.1f}">{tick:g}</text>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{top + size + 16}">{tick:g}</text>')
    width = size / len(bins)
    for number, (count, scores, right) in enumerate(bins):
        if count:
            accuracy, mean = right / count, scores / count
            label = f"{count:,.0f} predictions with a mean score of {mean:.3f}: {accuracy:.1%} right"
            parts.append(
                f'<rect class="bar" x="{x(number / len(bins)) + 1:.1f}" y="{y(accuracy):.1f}" width="{width - 2:.1f}" '
                f'height="{max(1.0, accuracy * size):.1f}"><title>{label}</title></rect>'
                f'<path class="mean" d="M{x(number / len(bins)) + 1:.1f},{y(mean):.1f}h{width - 2:.1f}"/>'
            )
    parts.append(f'<line class="ideal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>')
    parts.append(f'<text class="axis" x="{left + size / 2}" y="{top + size + 34}">score of the prediction</text>')
    parts.append(
        f'<text class="axis" transform="translate(12,{top + size / 2}) rotate(-90)">fraction that is right</text>'
    )
    return _svg(title, parts, width=left + size + 14, height=top + size + 42)


def _svg(
    title: str, parts: Sequence[str], *, width: int = _WIDTH, height: int = _HEIGHT, legend: Sequence[str] = ()
) -> str:
    keys = "".join(
        f'<span class="key"><svg width="34" height="14" viewBox="0 0 34 14" aria-hidden="true">'
        f'<polyline class="line line{number}" points="2,7 32,7"/>{_point(17, 7, number, "")}</svg>{escape(name)}</span>'
        for number, name in ((_STYLES.get(name, order), name) for order, name in enumerate(legend))
    )
    shown = f'<div class="legend">{keys}</div>' if keys else ""
    return (
        f'{shown}<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _point(x: float, y: float, number: int, inner: str) -> str:
    kind = f'class="point line{number}"'
    if number % 3 == 0:
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="3.2">{inner}</circle>'
    if number % 3 == 1:
        return f'<rect {kind} x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6">{inner}</rect>'
    return f'<path {kind} d="M{x:.1f},{y - 4:.1f}l4,7h-8z">{inner}</path>'


def _grid_line(y: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick end" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>'
    )


def _x_label(x: float, label: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 17}">{label}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round values from at most `low` to at least `high`."""
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    span = high - low
    magnitude = 10 ** math.floor(math.log10(span / 4))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= span / 4 * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9) + 1)
    return [10.0**exponent for exponent in exponents][:12]


def _epoch_ticks(first: int, last: int) -> list[int]:
    step = max(1, math.ceil((last - first + 1) / 10))
    return list(range(first, last + 1, step))
