"""The table of figures: rows, targets, and whether each target is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from measuring import Figures

PROJECT, FLAIR, SPACY, BOUND = "flairlite", "Flair", "spaCy", "bound"
COLUMNS = (PROJECT, FLAIR, SPACY, BOUND)


@dataclass(frozen=True)
class Target:
    """A limit: `factor` itself, or `factor` times the figure in column `of`."""

    factor: float
    of: str | None = None

    def __str__(self) -> str:
        return f"{self.factor:g}" + (f" × {self.of}" if self.of else "")


@dataclass(frozen=True)
class Figure:
    """A figure that the table reports.

    Attributes:
        key: The key in the JSON output of the measuring scripts.
        title: The title with the unit, as printed.
        targets: The limits; the figure must meet all of them.
        more_is_better: Whether limits are minima (speeds) or maxima (costs).
    """

    key: str
    title: str
    targets: tuple[Target, ...] = ()
    more_is_better: bool = False


def _speed(key: str, title: str, *targets: Target) -> Figure:
    return Figure(key, title, targets, more_is_better=True)


def _cost(key: str, title: str, *targets: Target) -> Figure:
    return Figure(key, title, targets)


FIGURES = (
    _speed("train_tokens_per_s", "training, tokens/s", Target(7, FLAIR), Target(0.85, BOUND)),
    _speed("predict_tokens_per_s", "prediction, best batch size, tokens/s", Target(7, FLAIR), Target(4, SPACY)),
    _speed("predict_32_tokens_per_s", "prediction, batches of 32, tokens/s"),
    _speed("predict_64_tokens_per_s", "prediction, batches of 64, tokens/s"),
    _speed("predict_128_tokens_per_s", "prediction, batches of 128, tokens/s"),
    _speed("predict_bf16_tokens_per_s", "prediction in bfloat16, tokens/s", Target(1, BOUND)),
    _cost("bf16_loss_points", "accuracy lost by bfloat16, points", Target(0.1)),
    _cost("latency_ms", "one sentence at a time, ms", Target(0.8, SPACY)),
    _cost("encode_s", "encoding the whole test, s"),
    _cost("corpus_first_s", "whole treebank, first time, s", Target(0.1, FLAIR)),
    _cost("corpus_s", "whole treebank, later, s", Target(0.025, FLAIR)),
    _cost("import_package_s", "import flairlite beyond torch, s", Target(0.2)),
    _cost("import_s", "imports of the tutorial beyond torch, s", Target(0.2)),
    _cost("num_heavy_modules", "heavy modules loaded by the import", Target(0)),
    _cost("embeddings_first_s", "GloVe, first time, s"),
    _cost("embeddings_s", "GloVe, later, s", Target(0.1)),
    _cost("embeddings_400k_first_s", "400,000 vectors, first time, s"),
    _cost("embeddings_400k_s", "400,000 vectors, later, s", Target(0.1)),
    _cost("script_s", "tutorial script, start to report, s", Target(0.125, FLAIR)),
    _cost("peak_rss_mb", "tutorial script, peak memory, MB", Target(0.25, FLAIR)),
    _cost("best_model_write_s", "writing the best model, s"),
    _cost("best_model_share", "writing the best model, share of an epoch", Target(0.02)),
    _cost("model_mb", "final-model.pt, MB", Target(0.5, FLAIR)),
    _cost("model_400k_mb", "model file with 400,000 vectors, MB", Target(0.5, FLAIR)),
    _cost("changed_by_saving", "labels changed by saving", Target(0)),
    _speed("test_micro_f1", "tutorial test micro F1", Target(0.77)),
    _speed("whole_test_accuracy", "accuracy on the whole test"),
)
BOUND_KEYS = (
    "train_tokens_per_s",
    "predict_tokens_per_s",
    "predict_bf16_tokens_per_s",
    "corpus_first_s",
    "corpus_s",
    "script_s",
    "peak_rss_mb",
    "model_400k_mb",
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        figure: The figure.
        values: The median by column, for the columns that report the figure.
        ratio_to_flair: Improvement factor over Flair; above 1 is better, for speeds and costs.
        ratio_to_bound: Improvement factor over the bound, usually below 1.
        reached: Whether all targets are met; None if unknown or if there is no target.
    """

    figure: Figure
    values: Mapping[str, float]
    ratio_to_flair: float | None
    ratio_to_bound: float | None
    reached: bool | None

    @property
    def target(self) -> str:
        """The targets as text."""
        sign = "≥" if self.figure.more_is_better else "≤"
        return " and ".join(f"{sign} {target}" for target in self.figure.targets)

    def cells(self) -> list[str]:
        """Return the printed cells of the row."""
        ratios = [f"{ratio:.2f}x" if ratio is not None else "" for ratio in (self.ratio_to_flair, self.ratio_to_bound)]
        reached = {True: "yes", False: "no", None: ""}[self.reached]
        values = [_format_value(self.values.get(column)) for column in COLUMNS]
        return [self.figure.title, *values, *ratios, self.target, reached]

    def to_json(self) -> Figures:
        """Return the row as it is stored in the JSON report."""
        return {
            "figure": self.figure.key,
            "title": self.figure.title,
            **{column: self.values.get(column) for column in COLUMNS},
            "ratio_to_flair": self.ratio_to_flair,
            "ratio_to_bound": self.ratio_to_bound,
            "target": self.target,
            "reached": self.reached,
        }


def medians(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the median of each numeric figure over the runs that report it."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for key, value in run.items():
            if isinstance(value, (int, float)):
                values.setdefault(key, []).append(value)
    return {key: median(column) for key, column in values.items()}


def make_table(runs: Mapping[str, Sequence[Figures]]) -> list[Row]:
    """Return one row per figure, given the figures of each column's runs; a column may have no runs."""
    columns = {column: medians(runs.get(column, ())) for column in COLUMNS}
    return [
        _row(figure, {column: values[figure.key] for column, values in columns.items() if figure.key in values})
        for figure in FIGURES
    ]


def format_table(rows: Sequence[Row]) -> str:
    """Format the rows as a Markdown table."""
    lines = [["figure", *COLUMNS, "to Flair", "to bound", "target", "reached"], *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = (
        [cell.ljust(width) if index in (0, 7, 8) else cell.rjust(width) for index, (cell, width) in enumerate(cells)]
        for cells in (zip(line, widths, strict=True) for line in lines)
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def missing_figures(runs: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Return the figures that are missing from a run of the project or of the bound."""
    expected = {PROJECT: [figure.key for figure in FIGURES], BOUND: BOUND_KEYS}
    return sorted(
        {
            f"{key} of {column}"
            for column, keys in expected.items()
            for key in keys
            for run in runs.get(column) or [{}]
            if not isinstance(run.get(key), (int, float))
        }
    )


def _row(figure: Figure, values: Mapping[str, float]) -> Row:
    return Row(
        figure=figure,
        values=values,
        ratio_to_flair=_improvement(figure, values, FLAIR),
        ratio_to_bound=_improvement(figure, values, BOUND),
        reached=_is_reached(figure, values),
    )


def _improvement(figure: Figure, values: Mapping[str, float], reference: str) -> float | None:
    ours, theirs = values.get(PROJECT), values.get(reference)
    if ours is None or theirs is None:
        return None
    better, worse = (ours, theirs) if figure.more_is_better else (theirs, ours)
    return better / worse if worse else None


def _is_reached(figure: Figure, values: Mapping[str, float]) -> bool | None:
    """Tell whether all targets are met: False if one is missed, even if another cannot be compared."""
    ours = values.get(PROJECT)
    is_met: list[bool | None] = []
    for target in figure.targets:
        reference = 1.0 if target.of is None else values.get(target.of)
        if ours is None or reference is None:
            is_met.append(None)
        else:
            limit = target.factor * reference
            is_met.append(ours >= limit if figure.more_is_better else ours <= limit)
    if False in is_met:
        return False
    return None if None in is_met or not is_met else True


def _format_value(value: float | None) -> str:
    if value is None:
        return ""
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"
