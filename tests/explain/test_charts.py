"""Charts: round ticks, few points, and every value where it belongs."""

import re
from xml.etree import ElementTree

import pytest

from subquad.explain.charts import Line, interval_chart, line_chart, nice_ticks, smoothed, thinned

NASTY = "<script>&\"'"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.52, 2.4, [0.5, 1, 1.5, 2, 2.5]),
        (-3, 7, [-4, -2, 0, 2, 4, 6, 8]),
        (1e-5, 4e-5, [1e-5, 2e-5, 3e-5, 4e-5]),
    ],
)
def test_ticks_are_round_and_hold_the_range(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("value", [0, 5, -0.3, 1e-9])
def test_ticks_of_one_value(value):
    ticks = nice_ticks(value, value)
    assert ticks[0] < value < ticks[-1]


def test_steps_have_whole_ticks():
    assert nice_ticks(1, 3, whole=True) == [1, 2, 3] and nice_ticks(7, 7, whole=True) == [7, 8]


def test_many_points_are_averaged_in_groups():
    steps, values = thinned(range(1000), [float(n % 2) for n in range(1000)], 100)
    assert len(steps) == 100 and values == [0.5] * 100 and steps[0] == 4.5
    assert thinned([1, 2], [3.0, 4.0], 100) == ([1, 2], [3.0, 4.0])


def test_smoothing_keeps_a_constant_and_evens_noise_out():
    assert smoothed([2.0] * 30) == pytest.approx([2.0] * 30)
    noisy = [1 + (-1) ** n for n in range(100)]
    assert max(abs(value - 1) for value in smoothed(noisy, 0.1)) < 0.2


def test_a_chart_is_whole_and_escaped():
    lines = [
        Line(f"loss {NASTY}", range(1, 21), [2 / n for n in range(1, 21)], is_faint=True),
        Line(f"score {NASTY}", [10, 20], [0.5, 0.7], 1, has_dots=True, mark=20),
    ]
    drawing = line_chart(lines, f"curves {NASTY}", shown=lambda value: f"{value:.2f} {NASTY}")
    root = ElementTree.fromstring(drawing)  # fails where something is not escaped
    assert root.get("aria-label") == f"curves {NASTY}" and not root.findall(".//script")
    titles = [title.text for title in root.iter("title")]
    assert titles == [
        f"score {NASTY}: 0.50 {NASTY} at step 10",
        f"score {NASTY}: 0.70 {NASTY} at step 20 (best)",
    ]
    assert [dot.get("r") for dot in root.iter("circle")] == ["3", "6"]
    first, second = (line.get("points").split() for line in root.iter("polyline"))
    assert len(first) == 20 and len(second) == 2
    heights = [float(point.split(",")[1]) for point in first]
    assert heights == sorted(heights), "a loss that falls goes down"


def test_a_single_point_is_a_dot():
    assert "<circle" in line_chart([Line("one", [5], [1.0])], "one")


def test_intervals_stand_beside_zero():
    drawing = interval_chart(
        [("b", 2.0, 1.0, 3.0), (f"c {NASTY}", -1.0, float("nan"), float("nan"))], "intervals"
    )
    root = ElementTree.fromstring(drawing)
    zero = next(float(line.get("x1")) for line in root.iter("line") if line.get("class") == "zero")
    (interval,) = (line for line in root.iter("line") if line.get("class") is None)
    better, worse = (float(dot.get("cx")) for dot in root.iter("circle"))
    assert zero < float(interval.get("x1")) < better < float(interval.get("x2")) and worse < zero
    assert re.search(r"c &lt;script", drawing)
