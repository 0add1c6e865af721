"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subquad.engine.learner import Learner
    from subquad.engine.scores import Scores


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: the first column to the left, numbers to the right; without columns, its title."""
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
    if columns:
        console.print(table)


def count_text(count: int) -> str:
    """Return a number of multiply-adds as text, such as "6.3 G" or "19.8 M"."""
    return f"{count / 1e9:.1f} G" if count >= 5e8 else f"{count / 1e6:.1f} M"


def print_scores(scores: Scores) -> None:
    """Print what an evaluation found."""
    for table in scores.tables():
        print_table(table.title, table.columns, table.rows)


def best_sentence(learner: Learner, path: str | Path) -> str:
    """Return which evaluation chose the weights in a file, and by which score."""
    if learner.best is None:  # a run that an earlier version began
        return f"weights with the best {learner.score_words} of all evaluations: {path}"
    step = f"at step {learner.best.step:,}"
    if learner.best.value is None:
        return f"weights of the newest evaluation, {step}, as none could be scored: {path}"
    best = f"weights with the best {learner.score_words} of all evaluations"
    return f"{best}, {learner.best.value} {step}: {path}"


def percent(share: float | None) -> str:
    """Return a share as "61.20", or "n/a"."""
    return "n/a" if share is None or share != share else f"{100 * share:.2f}"
