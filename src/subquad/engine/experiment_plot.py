"""The picture of an experiment: a dot for each run, a line for the mean of each case."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from subquad.engine.experiment import Experiment
from subquad.engine.experiment_results import Line, case_names, of_case

BLUE, GREY = "#2563ab", "#9aa3ad"
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
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.4, -0.6)
    every = [score for scores in found.values() for score in scores]
    if experiment.percent and (missing := NARROWEST - (max(every) - min(every))) > 0:
        axes.set_xlim(min(every) - missing / 2, max(every) + missing / 2)
    name = experiment.score.replace("_", " ").replace("iou", "IoU")
    axes.set_xlabel(f"{name}, %" if experiment.percent else name)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=110)
    return True
