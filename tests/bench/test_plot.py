"""What `--plot` draws."""

import pytest

from subquad.bench import Curves, Dots, Timing
from subquad.bench.plot import _plain_ticks, draw


def test_charts_become_one_picture(tmp_path):
    from PIL import Image

    timing = Timing(1, 2, 3)
    dots = Dots("times", "ms", ["a", "b"], {"ours": [timing, None], "theirs": [1.5, timing]})
    lines = {"ours": [(64, timing), (128, timing)], "none": []}
    curves = Curves("curve", "positions", "ms", lines, {128: "faster from 128"})
    draw([dots, curves], tmp_path / "two.png", "measured here")
    draw([dots], tmp_path / "one.png", "measured here")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.width == 2 * one.width and two.height == one.height
        assert len(two.getcolors(2**20) or ()) > 20
    with pytest.raises(ValueError, match="needs no picture; leave out --plot"):
        draw([], tmp_path / "none.png", "")


def test_a_short_axis_has_more_than_three_marks():
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    panel.set(xscale="log", xlim=(33, 370))
    _plain_ticks(panel.xaxis)
    assert [tick for tick in panel.get_xticks() if 33 < tick < 370] == [50, 70, 100, 200, 300]
