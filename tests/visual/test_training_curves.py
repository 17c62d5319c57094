"""Reading loss.tsv and weights.txt, and the pictures drawn of them."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from flairlite.errors import DataFormatError, FlairliteError, MissingExtraError, SettingError
from flairlite.trainers.callbacks.loss_table import read_loss_table
from flairlite.trainers.callbacks.weights_table import WeightExtractor, read_weights_table
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


def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """Collect the figures that are drawn, to look at what is in them."""
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments, **keywords) -> None:
        figures.append(figure)
        save(figure, *arguments, **keywords)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def curves_of(axes) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) > 2}


# ------------------------------------------------------------------------------------------------------ reading tables


def test_a_loss_table_is_read_by_column(loss_table):
    columns = read_loss_table(loss_table)
    assert set(columns) == set(HEAD) - {"TIMESTAMP"}
    assert columns["TRAIN_LOSS"] == [2.5, 1.5, 0.5]
    assert columns["TEST_F1"][0] == 0.2
    assert math.isnan(columns["TEST_F1"][1])


def test_of_several_learning_rates_the_first_is_taken(tmp_path):
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE"], ["1", "0.1000,0.0010"]])
    assert read_loss_table(path)["LEARNING_RATE"] == [0.1]


@pytest.mark.parametrize(
    ("rows", "line", "what"),
    [
        ([], 1, "EPOCH"),
        ([["WORD", "TAG"]], 1, "EPOCH"),
        ([["EPOCH", "DEV_F1", "DEV_F1"]], 1, "EPOCH"),
        ([HEAD, ROWS[0], ROWS[1][:-1]], 3, "6 came"),
        ([HEAD, [*ROWS[0][:-1], "many"]], 2, "'many'"),
    ],
)
def test_a_faulty_loss_table_is_an_error_with_file_and_line(tmp_path, rows, line, what):
    path = write_table(tmp_path / "loss.tsv", rows)
    with pytest.raises(DataFormatError, match=what) as caught:
        read_loss_table(path)
    assert (caught.value.path, caught.value.line) == (path, line)


def test_weights_are_read_as_they_were_extracted(tmp_path):
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


def test_extracting_weights_leaves_the_global_generators_alone(tmp_path):
    before = torch.get_rng_state()
    WeightExtractor(tmp_path).extract_weights({"weight": torch.zeros(100)}, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("line", ["1\tweight\t0", "one\tweight\t0\t0.5", "1\tweight\t0\thalf", ""])
def test_a_faulty_table_of_weights_is_an_error_with_its_line(tmp_path, line):
    path = tmp_path / "weights.txt"
    path.write_text(f"1\tweight\t0\t0.25\n{line}\n", encoding="utf-8")
    with pytest.raises(DataFormatError) as caught:
        read_weights_table(path)
    assert caught.value.line == 2


def test_no_weights_to_watch_is_an_error(tmp_path):
    with pytest.raises(SettingError, match="at least 1"):
        WeightExtractor(tmp_path, number_of_weights=0)


# ------------------------------------------------------------------------------------------------------------- pictures


def test_training_curves_have_a_panel_a_figure_and_a_curve_a_split(loss_table, monkeypatch):
    figures = drawn(monkeypatch)
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
    found = curves_of(scores)
    assert found["dev, best 0.75 in epoch 2"] == [0.25, 0.75, 0.5]
    assert math.isnan(found["test"][1])


def test_dotted_lines_show_where_the_rate_was_lowered(loss_table, monkeypatch):
    figures = drawn(monkeypatch)
    Plotter().plot_training_curves(loss_table, plot_values=["F1"])
    dotted = [line.get_xdata()[0] for line in figures[0].axes[0].lines if line.get_linestyle() == ":"]
    assert dotted == [2.5]


def test_a_schedule_that_changes_the_rate_each_epoch_has_no_dotted_lines(tmp_path, monkeypatch):
    rows = [[str(epoch), str(1 / epoch), "0.5"] for epoch in range(1, 6)]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE", "TRAIN_LOSS"], *rows])
    figures = drawn(monkeypatch)
    Plotter().plot_training_curves(path, plot_values=["loss"])
    assert [line for line in figures[0].axes[0].lines if line.get_linestyle() == ":"] == []


def test_of_equal_scores_the_first_is_the_best(tmp_path, monkeypatch):
    rows = [["1", "0.5"], ["2", "0.75"], ["3", "0.75"]]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "DEV_F1"], *rows])
    figures = drawn(monkeypatch)
    Plotter().plot_training_curves(path, plot_values=["f1"])
    assert list(curves_of(figures[0].axes[0])) == ["dev, best 0.75 in epoch 2"]


def test_a_figure_that_is_not_there_is_an_error_that_names_those_that_are(loss_table):
    with pytest.raises(SettingError, match=r"'recal'.*F1, LOSS"):
        Plotter().plot_training_curves(loss_table, plot_values=["recal"])
    assert not (loss_table.parent / "training.png").exists()


def test_weights_have_a_panel_a_tensor_and_a_curve_a_weight(tmp_path, monkeypatch):
    extractor = WeightExtractor(tmp_path, number_of_weights=3)
    for step in range(4):
        extractor.extract_weights({name: torch.full((5,), float(step)) for name in ("a", "b", "c")}, step)
    figures = drawn(monkeypatch)
    path = Plotter().plot_weights(tmp_path / "weights.txt")
    assert path == tmp_path / "weights.png"
    assert path.stat().st_size > 1000
    panels = [axes for axes in figures[0].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["a", "b", "c"]
    assert [[list(line.get_ydata()) for line in axes.lines] for axes in panels] == [[[0, 1, 2, 3]] * 3] * 3


def test_losses_are_drawn_by_learning_rate(tmp_path, monkeypatch):
    rows = [[str(epoch), str(10.0**epoch), str(float(epoch))] for epoch in range(8)]
    path = write_table(tmp_path / "loss.tsv", [["EPOCH", "LEARNING_RATE", "TRAIN_LOSS"], *rows])
    figures = drawn(monkeypatch)
    assert Plotter().plot_learning_rate(path, skip_first=2, skip_last=1) == tmp_path / "learning_rate.png"
    axes = figures[0].axes[0]
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_xdata()) == [10.0**epoch for epoch in range(2, 7)]
    assert list(axes.lines[0].get_ydata()) == [2, 3, 4, 5, 6]


def test_a_table_too_short_for_learning_rates_is_an_error_that_says_so(loss_table):
    with pytest.raises(SettingError, match=r"3 rows.*first 10.*last 5"):
        Plotter().plot_learning_rate(loss_table)


def test_plotting_does_not_touch_pyplot_or_a_display(loss_table):
    code = (
        "import sys; from flairlite.visual.training_curves import Plotter; "
        f"Plotter().plot_training_curves({str(loss_table)!r}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_without_matplotlib_the_error_names_the_extra(loss_table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*pip install 'flairlite\[plot\]'") as caught:
        Plotter().plot_training_curves(loss_table)
    assert isinstance(caught.value, FlairliteError)
    assert isinstance(caught.value, ImportError)
