"""The picture of an experiment: its cases with their means, or a dot for each line."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.engine.experiment import Experiment
from subquad.engine.experiment_results import Line, case_names, of_case

BLUE, GREY = "#2563ab", "#9aa3ad"
COLORS = (BLUE, "#e07b28", "#3a9a5b", GREY)  # of as many values of a hue
NARROWEST = 4.0  # points that a picture of shares spans: a small difference shall look small


def plot_cases(experiment: Experiment, lines: Sequence[Line], path: Path) -> bool:
    """Draw the scores of all cases that have results.

    Args:
        experiment: Whose cases, in its order from above.
        lines: Of its results.
        path: Of the picture, by whose suffix matplotlib knows the format.

    Returns:
        Whether there was something to draw.
    """
    from matplotlib.figure import Figure

    factor = 100 if experiment.percent else 1
    found = {
        case: [factor * line[experiment.score] for line in of]
        for case in case_names(experiment, lines)
        if (of := of_case(experiment, lines, case))
    }
    if not found:
        return False
    figure = Figure(figsize=(7, 0.9 + 0.27 * len(found)), layout="constrained")
    axes = figure.subplots()
    for row, scores in enumerate(found.values()):
        mean = statistics.fmean(scores)
        axes.plot([mean, mean], [row - 0.32, row + 0.32], color=BLUE, linewidth=2.5)
        axes.plot(scores, [row] * len(scores), "o", color=GREY, markersize=5, alpha=0.8, zorder=1)
    every = [score for scores in found.values() for score in scores]
    if experiment.percent and (missing := NARROWEST - (max(every) - min(every))) > 0:
        axes.set_xlim(min(every) - missing / 2, max(every) + missing / 2)
    name = _words(experiment.score)
    _finish(axes, list(found), f"{name}, %" if experiment.percent else name)
    figure.savefig(path, dpi=110)
    return True


def plot_lines(experiment: Experiment, lines: Sequence[Line], path: Path) -> bool:
    """Draw what `experiment.picture` names: a row for each value of one name, a picture for each of another.

    Args:
        experiment: With a `picture`.
        lines: Of its results.
        path: Of the picture, by whose suffix matplotlib knows the format.

    Returns:
        Whether there was something to draw.
    """
    from matplotlib.figure import Figure

    score, row, panel, hue = (experiment.picture.get(name, "") for name in ("score", "row", "panel", "hue"))
    shown = [line for line in lines if line.get(score) is not None and row in line]
    if not shown:
        return False
    rows, panels = ([*dict.fromkeys(str(line.get(name, "")) for line in shown)] for name in (row, panel))
    hues = [*dict.fromkeys(line.get(hue) for line in shown)]
    if len(hues) > len(COLORS):
        raise ValueError(f"{hue} has {len(hues)} values, and a picture has {len(COLORS)} colors.")
    figure = Figure(figsize=(3.5 + 3.5 * len(panels), 1.1 + 0.27 * len(rows)), layout="constrained")
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, title in zip(every, panels, strict=True):
        of = [line for line in shown if str(line.get(panel, "")) == title]
        for color, value in zip(COLORS, hues, strict=False):
            found = [line for line in of if line.get(hue) == value]
            places = [rows.index(str(line[row])) for line in found]
            label = f"{_words(hue)} {'none' if value is None else value}"
            axes.plot([line[score] for line in found], places, "o", color=color, markersize=6, label=label)
        scores = [line[score] for line in of]
        axes.set_xlim(min(0, 1.05 * min(scores)), 1.05 * max(0, *scores) or 1)
        axes.set_title(f"{_words(panel)}: {title}" if panel else "", fontsize=10)
        _finish(axes, rows, _words(score))
    if hue:
        every[-1].legend(loc="best", fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    return True


def _finish(axes: Any, rows: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("iou", "IoU")
