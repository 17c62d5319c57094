"""Reading loss.tsv and weights.txt, and plotting them."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from flairlite.errors import DataFormatError, FlairliteError, MissingExtraError, SettingError
from flairlite.storage.run_files import read_loss_table, read_weights_table
from flairlite.trainers.callbacks.weights_table import WeightExtractor
from flairlite.visual.training_curves import Plotter

HEAD = ["EPOCH", "TIMESTAMP", "LEARNING_RATE", "TRAIN_LOSS", "DEV_LOSS", "DEV_F1", "TEST_F1"]
ROWS = [
    ["1", "12:00:00", "0.100000", "2.5", "2.25", "0.25", "0.2"],
    ["2", "12:00:09", "0.100000", "1.5", "1.25", "0.75", "_"],
    ["3", "12:00:19", "0.050000", "0.5", "1.50", "0.50", "0.6"],
]


@pytest.fixture
def loss_table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "loss.tsv", [HEAD, *ROWS])


def write_table(path: Path, rows: list[list[str]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list:
    """The figures that the test saves."""
    from matplotlib.figure import Figure

    saved: list[Figure] = []
    save = Figure.savefig

    def record(figure: Figure, *arguments, **options) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved


def curves_of(axes) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) > 2}


# Tables


def test_loss_table_is_read_by_column(loss_table):
    columns = read_loss_table(loss_table)
    assert set(columns) == set(HEAD) - {"TIMESTAMP"}
    assert columns["TRAIN_LOSS"] == [2.5, 1.5, 0.5]
    assert columns["TEST_F1"][0] == 0.2
    assert math.isnan(columns["TEST_F1"][1])


def test_first_of_several_learning_rates_is_read(tmp_path):
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE"], ["1", "0.1000,0.0010"]])
    assert read_loss_table(path)["LEARNING_RATE"] == [0.1]


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ([], 1, "EPOCH"),
        ([["WORD", "TAG"]], 1, "EPOCH"),
        ([["EPOCH", "DEV_F1", "DEV_F1"]], 1, "EPOCH"),
        ([HEAD, ROWS[0], ROWS[1][:-1]], 3, "6"),
        ([HEAD, [*ROWS[0][:-1], "many"]], 2, "'many'"),
    ],
)
def test_invalid_loss_table_is_an_error_with_file_and_line(tmp_path, rows, line, message):
    path = write_table(tmp_path / "loss.tsv", rows)
    with pytest.raises(DataFormatError, match=message) as caught:
        read_loss_table(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    for plot in (Plotter().plot_training_curves, Plotter().plot_learning_rate):
        with pytest.raises(DataFormatError, match=message):
            plot(path)


def test_extracted_weights_can_be_read(tmp_path):
    matrix = torch.arange(600.0).view(20, 30)
    state = {"matrix": matrix, "bias": torch.tensor([0.5, -2.0]), "counts": torch.arange(3), "none": torch.zeros(0)}
    extractor = WeightExtractor(tmp_path, number_of_weights=4)
    extractor.extract_weights(state, 10)
    extractor.extract_weights({**state, "matrix": matrix + 1, "bias": state["bias"] * 2}, 20)
    tensors = read_weights_table(tmp_path / "weights.txt")
    assert set(tensors) == {"matrix", "bias"}
    assert tensors["bias"] == {0: [(10, 0.5), (20, 1.0)], 1: [(10, -2.0), (20, -4.0)]}
    firsts = [points[0][1] for points in tensors["matrix"].values()]
    assert len(set(firsts)) == 4
    assert set(firsts) <= set(range(600))
    assert [points[1][1] - points[0][1] for points in tensors["matrix"].values()] == [1.0] * 4


def test_extracting_weights_does_not_touch_the_global_generator(tmp_path):
    before = torch.get_rng_state()
    WeightExtractor(tmp_path).extract_weights({"weight": torch.zeros(100)}, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("line", ["1\tweight\t0", "one\tweight\t0\t0.5", "1\tweight\t0\thalf", ""])
def test_invalid_weights_table_is_an_error_with_its_line(tmp_path, line):
    path = tmp_path / "weights.txt"
    path.write_text(f"1\tweight\t0\t0.25\n{line}\n", encoding="utf-8")
    with pytest.raises(DataFormatError) as caught:
        Plotter().plot_weights(path)
    assert caught.value.line == 2


def test_extracting_no_weights_is_an_error(tmp_path):
    with pytest.raises(SettingError, match="at least 1"):
        WeightExtractor(tmp_path, number_of_weights=0)


PLOTS = [Plotter.plot_training_curves, Plotter.plot_weights, Plotter.plot_learning_rate]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "table|head"),
        (b"\x89PNG\r\n\x1a\n\xff", "(?i)utf-8"),
        (b"\x1f\x8b\x08\x00", "(?i)utf-8"),
        (b"Berlin\tB-LOC\nis\tO\n", "line 1"),
        (b"a text without tabs\n", "line 1"),
    ],
)
def test_missing_empty_or_foreign_file_is_an_error_with_its_path(tmp_path, plot, content, message):
    path = tmp_path / "table"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataFormatError, match=message) as caught:
        plot(Plotter(), path)
    assert caught.value.path == path
    assert list(tmp_path.glob("*.png")) == []


@pytest.mark.parametrize("plot", PLOTS)
def test_folder_is_not_a_table(tmp_path, plot):
    with pytest.raises(DataFormatError, match="directory"):
        plot(Plotter(), tmp_path)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("path", [None, 5, ["loss.tsv"]])
def test_argument_that_is_not_a_path_is_an_error(plot, path):
    with pytest.raises(SettingError, match="file_name must be a path"):
        plot(Plotter(), path)


@pytest.mark.parametrize("plot", [Plotter.plot_training_curves, Plotter.plot_learning_rate])
def test_loss_table_without_rows_is_an_error(tmp_path, plot):
    path = write_table(tmp_path / "loss.tsv", [HEAD])
    with pytest.raises(DataFormatError, match=r"no rows.*at least one epoch"):
        plot(Plotter(), path)


# Plots


def test_training_curves_have_a_panel_per_metric_and_a_curve_per_split(loss_table, figures):
    path = Plotter().plot_training_curves(loss_table)
    assert path == loss_table.parent / "training.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    losses, scores = figures[0].axes
    assert (losses.get_ylabel(), scores.get_ylabel()) == ("loss", "F1")
    assert scores.get_xlabel() == "epoch"
    assert curves_of(losses) == {
        "training": [2.5, 1.5, 0.5],
        "dev, best 1.25 in epoch 2": [2.25, 1.25, 1.5],
    }
    curves = curves_of(scores)
    assert curves["dev, best 0.75 in epoch 2"] == [0.25, 0.75, 0.5]
    assert math.isnan(curves["test"][1])


@pytest.mark.parametrize("values", ["F1", ["F1"], ("f1",)])
def test_single_metric_may_be_a_string(loss_table, figures, values):
    Plotter().plot_training_curves(loss_table, plot_values=values)
    assert [axes.get_ylabel().upper() for axes in figures[0].axes] == ["F1"]


@pytest.mark.parametrize("values", [[], [1], [None], "", None, 5, b"F1"])
def test_invalid_metrics_are_an_error(loss_table, values):
    with pytest.raises(SettingError, match=r"metric|plot_values must be"):
        Plotter().plot_training_curves(loss_table, plot_values=values)


def test_dotted_lines_mark_reductions_of_the_learning_rate(loss_table, figures):
    Plotter().plot_training_curves(loss_table, plot_values=["F1"])
    dotted = [line.get_xdata()[0] for line in figures[0].axes[0].lines if line.get_linestyle() == ":"]
    assert dotted == [2.5]


def test_schedule_that_changes_the_rate_each_epoch_has_no_dotted_lines(tmp_path, figures):
    rows = [[str(epoch), str(1 / epoch), "0.5"] for epoch in range(1, 6)]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE", "TRAIN_LOSS"], *rows])
    Plotter().plot_training_curves(path, plot_values=["loss"])
    assert [line for line in figures[0].axes[0].lines if line.get_linestyle() == ":"] == []


def test_first_of_equal_scores_is_the_best(tmp_path, figures):
    rows = [["1", "0.5"], ["2", "0.75"], ["3", "0.75"]]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "DEV_F1"], *rows])
    Plotter().plot_training_curves(path, plot_values=["f1"])
    assert list(curves_of(figures[0].axes[0])) == ["dev, best 0.75 in epoch 2"]


def test_unknown_metric_is_an_error_that_lists_the_known_ones(loss_table):
    with pytest.raises(SettingError, match=r"'recal'.*F1, LOSS"):
        Plotter().plot_training_curves(loss_table, plot_values=["recal"])
    assert not (loss_table.parent / "training.png").exists()


def test_weights_have_a_panel_per_tensor_and_a_curve_per_weight(tmp_path, figures):
    extractor = WeightExtractor(tmp_path, number_of_weights=3)
    for step in range(4):
        extractor.extract_weights({name: torch.full((5,), float(step)) for name in ("a", "b", "c")}, step)
    path = Plotter().plot_weights(tmp_path / "weights.txt")
    assert path == tmp_path / "weights.png"
    assert path.stat().st_size > 1000
    panels = [axes for axes in figures[0].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["a", "b", "c"]
    assert [[list(line.get_ydata()) for line in axes.lines] for axes in panels] == [[[0, 1, 2, 3]] * 3] * 3


def test_losses_are_plotted_by_learning_rate(tmp_path, figures):
    rows = [[str(epoch), str(10.0**epoch), str(float(epoch))] for epoch in range(8)]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE", "TRAIN_LOSS"], *rows])
    assert Plotter().plot_learning_rate(path, skip_first=2, skip_last=1) == tmp_path / "learning_rate.png"
    axes = figures[0].axes[0]
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_xdata()) == [10.0**epoch for epoch in range(2, 7)]
    assert list(axes.lines[0].get_ydata()) == [2, 3, 4, 5, 6]


def test_skipping_all_rows_is_an_error(loss_table):
    with pytest.raises(SettingError, match=r"3 rows.*first 10.*last 5"):
        Plotter().plot_learning_rate(loss_table)


@pytest.mark.parametrize("skip", [{"skip_first": -1}, {"skip_last": -2}, {"skip_first": 0.5}, {"skip_last": "1"}])
def test_invalid_number_of_skipped_rows_is_an_error(loss_table, skip):
    with pytest.raises(SettingError, match=r"skip_(first|last) must be "):
        Plotter().plot_learning_rate(loss_table, **{"skip_first": 0, "skip_last": 0, **skip})


def test_plotting_does_not_import_pyplot(loss_table):
    code = (
        "import sys; from flairlite.visual.training_curves import Plotter; "
        f"Plotter().plot_training_curves({str(loss_table)!r}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_missing_matplotlib_is_an_error_that_names_the_extra(loss_table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*pip install 'flairlite\[plot\]'") as caught:
        Plotter().plot_training_curves(loss_table)
    assert isinstance(caught.value, FlairliteError)
    assert isinstance(caught.value, ImportError)
