"""Charts of measurements as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from subquad.base.files import write_whole
from subquad.bench.result import Chart, Curves, Dots
from subquad.bench.timing import Timing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_COLORS = ("#00798c", "#d1495b", "#edae49", "#5f5aa2", "#66a182", "#2e4057", "#9b9b9b")


def draw(charts: Sequence[Chart], path: str | Path, below: str) -> None:
    """Write charts side by side.

    Args:
        charts: At least one.
        path: Its end says the format: .png, .svg or .pdf.
        below: Said below them in small letters, such as what it was measured on.

    Raises:
        ValueError: If there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not charts:
        raise ValueError("this measurement is one number, which needs no picture; leave out --plot.")
    rows = max((len(chart.names) for chart in charts if isinstance(chart, Dots)), default=0)
    figure = Figure(figsize=(6.4 * len(charts), max(4.2, 1.5 + 0.5 * rows)), layout="constrained")
    panels = figure.subplots(1, len(charts), squeeze=False)[0]
    for panel, chart in zip(panels, charts, strict=True):
        _curves(panel, chart) if isinstance(chart, Curves) else _dots(panel, chart)
        panel.set_title(chart.title, fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    if len({tuple(chart.series) for chart in charts}) == 1:  # above all panels it hides nothing
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=8
        )
    else:
        for panel in panels:
            panel.legend(frameon=False, fontsize=8)
    figure.supxlabel(below, fontsize=7, color="#666666")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:].lower(), dpi=150)
    write_whole(path, buffer.getvalue())


def _curves(panel: Axes, chart: Curves) -> None:
    for (name, points), color in zip(chart.series.items(), cycle(_COLORS), strict=False):
        places = [place for place, _ in points]
        panel.plot(
            places, [_middle(value) for _, value in points], "o-", color=color, label=name, markersize=4
        )
        low, high = zip(*(_ends(value) for _, value in points), strict=True) if points else ((), ())
        panel.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    _plain_ticks(panel.yaxis)
    low, high = panel.get_xlim()
    for place, told in chart.marks.items():
        panel.axvline(place, color="#666666", linewidth=1, linestyle="--")
        side, shift = ("left", 4) if place**2 < low * high else ("right", -4)
        panel.annotate(
            told, (place, 0.02), (shift, 0), ("data", "axes fraction"), "offset points", ha=side, fontsize=8
        )
    panel.set_xlabel(chart.x)
    panel.set_ylabel(chart.y)
    panel.grid(alpha=0.25)


def _dots(panel: Axes, chart: Dots) -> None:
    for index, ((name, values), color) in enumerate(zip(chart.series.items(), cycle(_COLORS), strict=False)):
        shown = [(group, value) for group, value in enumerate(values) if value is not None]
        # Those of one group stand a little below each other, so that none hides another.
        places = [group + 0.5 * ((index + 0.5) / len(chart.series) - 0.5) for group, _ in shown]
        panel.plot([_middle(value) for _, value in shown], places, "o", color=color, label=name, markersize=6)
        for place, (_, value) in zip(places, shown, strict=True):
            panel.plot(_ends(value), (place, place), color=color, linewidth=2)
    panel.set_yticks(range(len(chart.names)), chart.names, fontsize=8)
    panel.set_ylim(len(chart.names) - 0.5, -0.5)
    panel.set_xscale("log")
    _plain_ticks(panel.xaxis)
    panel.set_xlabel(chart.unit)
    panel.grid(alpha=0.25)


def _plain_ticks(axis: Axis) -> None:
    """Write 1, 2, 5, 10 on a logarithmic axis, 3 and 7 too on a short one, and no powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    few = (1, 2, 3, 5, 7) if high < 15 * low else (1, 2, 5)
    axis.set_major_locator(LogLocator(subs=few if high < 300 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _middle(value: Timing | float) -> float:
    return value.p50 if isinstance(value, Timing) else value


def _ends(value: Timing | float) -> tuple[float, float]:
    return (value.p20, value.p80) if isinstance(value, Timing) else (value, value)
