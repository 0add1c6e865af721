"""Figures hold the panels, curves and pictures that they were given."""

import numpy as np
import pytest
import torch

from subquad.explain.figures import curves, map_grid, read_curve, side_by_side

LOG = """epoch,step,train/loss,val/mean_iou,lr
0,9,1.5,,0.1
0,9,,0.25,
1,19,0.75,,0.1
1,19,,0.5,
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(LOG)
    return path


def shown(panel):
    return np.asarray(panel.images[0].get_array())


def test_read_curve_leaves_out_the_empty_cells(log):
    assert read_curve(log, "train/loss") == ([9, 19], [1.5, 0.75])
    assert read_curve(str(log), "val/mean_iou") == ([9, 19], [0.25, 0.5])
    assert read_curve(log, "no such column") == ([], [])


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_every_run_has_its_two_curves(log, runs):
    figure = curves({f"run {i}": log for i in range(runs)})
    loss, iou = figure.axes
    for panel, values in ((loss, [1.5, 0.75]), (iou, [0.25, 0.5])):
        assert [line.get_ydata().tolist() for line in panel.lines] == [values] * runs
        assert [line.get_xdata().tolist() for line in panel.lines] == [[9, 19]] * runs
    assert [text.get_text() for text in iou.get_legend().get_texts()] == [f"run {i}" for i in range(runs)]


def test_side_by_side_shows_each_picture_in_its_column():
    first = [torch.full((3, 4, 5), level, dtype=torch.uint8) for level in (1, 2, 3)]
    second = [torch.full((4, 5, 3), level, dtype=torch.uint8) for level in (11, 12, 13)]
    first[0][:, 0, 4] = torch.tensor([7, 8, 9])
    figure = side_by_side({"image": first, "truth": second})
    assert len(figure.axes) == 6
    assert [panel.get_title() for panel in figure.axes[:2]] == ["image", "truth"]
    for index, panel in enumerate(figure.axes):
        row, column = divmod(index, 2)
        assert shown(panel).shape == (4, 5, 3)
        assert shown(panel)[2, 2].tolist() == [(1, 11)[column] + row] * 3
    assert shown(figure.axes[0])[0, 4].tolist() == [7, 8, 9]


def test_one_picture_is_enough():
    assert len(side_by_side({"only": [torch.zeros(3, 2, 2, dtype=torch.uint8)]}).axes) == 1


def test_map_grid_shares_one_scale_in_a_column():
    images = torch.randint(0, 256, (2, 3, 8, 10), dtype=torch.uint8)
    maps = torch.rand(2, 3, 4, 5) * torch.tensor([1.0, 10.0, 0.0]).view(1, 3, 1, 1)
    figure = map_grid(images, maps, ["a", "b", "c"])
    grid = np.array(figure.axes).reshape(2, 4)
    assert [panel.get_title() for panel in grid[0]] == ["image", "a", "b", "c"]
    for row in range(2):
        assert np.array_equal(shown(grid[row, 0]), images[row].movedim(0, -1).numpy())
        for column in range(3):
            assert np.array_equal(shown(grid[row, column + 1]), maps[row, column].numpy())
    scales = [[panel.images[0].get_clim() for panel in grid[:, column]] for column in (1, 2)]
    assert all(first == second for first, second in scales)
    assert scales[0][0][1] <= 1 < scales[1][0][1] <= 10


def test_figures_can_be_drawn(log, tmp_path):
    picture = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    figures = (
        curves({"run": log}),
        side_by_side({"image": list(picture)}),
        map_grid(picture, torch.zeros(1, 1, 3, 3), ["constant"]),
    )
    for index, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{index}.png")
        assert (tmp_path / f"{index}.png").stat().st_size > 500
