"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subquad.tasks.sequences.scores import TOLERANCE

if TYPE_CHECKING:
    from subquad.engine.learner import Task
    from subquad.tasks.segmentation.confusion import SegmentationScores
    from subquad.tasks.sequences.scores import SequenceScores


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: the first column to the left, numbers to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: names may hold brackets
    console = Console()
    console.print(Text(title), soft_wrap=True)
    console.print(table)


def print_scores(scores: SegmentationScores, names: Sequence[str]) -> None:
    """Print the scores of each class and of all."""
    title = f"mean IoU {100 * scores.mean_iou:.2f} %, pixel accuracy {100 * scores.pixel_accuracy:.2f} %"
    print_table(title, ("class", "IoU %", "accuracy %", "pixels"), scores.rows(names))


def best_sentence(task: Task, path: str | Path) -> str:
    """Return which evaluation chose the weights in a file, and by which score."""
    if task.best is None:  # a run that an earlier version began
        return f"weights with the best {task.score_words} of all evaluations: {path}"
    step = f"at step {task.best.step:,}"
    if task.best.value is None:
        return f"weights of the newest evaluation, {step}, as none could be scored: {path}"
    return f"weights with the best {task.score_words} of all evaluations, {task.best.value} {step}: {path}"


def print_sequence_scores(scores: SequenceScores) -> None:
    """Print what an evaluation of a sequence network found."""
    title = f"{scores.count:,} sequences"
    print_table(title, ("score", "value"), sequence_rows(scores))
    if scores.classes:
        columns = ("class", "precision %", "recall %", "F1 %", "sequences")
        rows = [
            (c.name, *map(_percent, (c.precision, c.recall, c.f1)), f"{c.count:,}") for c in scores.classes
        ]
        print_table("classes", columns, rows)


def sequence_rows(scores: SequenceScores) -> list[tuple[str, str]]:
    """Return each score of an evaluation as (name, value)."""
    if scores.is_classification:
        rows = [
            ("accuracy", f"{_percent(scores.accuracy)} %"),
            ("F1, mean of classes", f"{_percent(scores.f1)} %"),
        ]
        if scores.roc_auc is not None:
            rows.append(("area under the ROC curve", f"{_percent(scores.roc_auc)} %"))
    else:
        errors = {"mean absolute error": scores.mae, "root mean squared error": scores.rmse, "R²": scores.r2}
        rows = [(name, "n/a" if value is None else f"{value:.6g}") for name, value in errors.items()]
        rows.append((f"nearer than {TOLERANCE}", f"{_percent(scores.accuracy)} %"))
    return [*rows, ("loss", f"{scores.loss:.5f}")]


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.2f}"
