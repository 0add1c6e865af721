"""The curves of one run or several: losses, score and learning rate by step."""

from __future__ import annotations

from collections.abc import Mapping

from subquad.engine.run_log import RATE
from subquad.explain.charts import Line, color, line_chart, smoothed
from subquad.explain.report import Section
from subquad.tasks.runs import Run

MOST_DOTS = 200  # of a line; more would hide it
FEWEST_SMOOTHED = 10


def curves(runs: Mapping[str, Run]) -> Section:
    """Return the curves of runs, laid over each other; of a single one the losses share a chart.

    Args:
        runs: By the names that are shown.
    """
    section = Section("Curves")
    drawn = []
    for title, columns, is_share in _charts(next(iter(runs.values())), alone=len(runs) == 1):
        lines = _lines(columns, runs)
        if any(line.values for line in lines):
            drawing = line_chart(lines, f"{title} by step", shown=_percent if is_share else None)
            drawn.append((f"{title[0].upper()}{title[1:]}", drawing))
    if drawn:
        names = ["while training", "evaluations"] if len(runs) == 1 else list(runs)
        section.key((name, color(number)) for number, name in enumerate(names))
        section.charts(drawn)
        section.note(
            "The training loss is drawn pale as it was logged, and smoothed. Each dot is an evaluation, the "
            "large one that which chose the best weights; the pointer on it shows its value."
        )
    else:
        section.text("There is nothing to draw: no losses were logged.")
    for run in runs.values():
        for problem in run.log.problems:
            section.note(problem)
    return section


def _charts(run: Run, *, alone: bool) -> list[tuple[str, list[str], bool]]:
    """Return of each chart its title, its columns, and whether they are shares of 1."""
    score, words = run.score or ("", "score")
    losses = [name for name in run.log.columns if "loss" in name]
    charts = [("Loss", losses, False)]
    if not alone:
        charts = [("Training loss", ["train/loss"], False), ("Loss of evaluations", ["val/loss"], False)]
    return [
        *charts,
        (f"{words} of evaluations", [run.score_column], score.endswith("%")),
        ("Learning rate", [RATE], False),
    ]


def _lines(columns: list[str], runs: Mapping[str, Run]) -> list[Line]:
    """Return columns of runs as lines; what was logged while training also smoothed."""
    found = []
    for number, (name, run) in enumerate(runs.items()):
        for column in columns:
            points = run.log.of(column)
            steps, values = [point.step + 1 for point in points], [point.value for point in points]
            is_evaluation = column.startswith("val/")
            hue, told = (int(is_evaluation), column) if len(runs) == 1 else (number, f"{name}, {column}")
            if is_evaluation:
                dots = len(values) <= MOST_DOTS
                found.append(Line(told, steps, values, hue, has_dots=dots, mark=run.best_step))
            elif column == RATE or len(values) < FEWEST_SMOOTHED:
                found.append(Line(told, steps, values, hue))
            else:
                found.append(Line(told, steps, values, hue, is_faint=True))
                found.append(Line(told, steps, smoothed(values), hue))
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
