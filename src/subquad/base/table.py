"""A table to print, whoever makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table to print: the first column to the left, numbers to the right.

    Attributes:
        title: Above it, or alone if there are no rows.
        columns: Their names.
        rows: As many cells each.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def markdown(table: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """Return a table as markdown; bars in its cells stay bars.

    Args:
        table: A heading, then the rows, as many cells each.
        numbers: Whether all columns but the first are numbers, to the right.
    """
    heading, *rows = table
    marks = ["---", *["--:" if numbers else "---"] * (len(heading) - 1)]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (heading, marks, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
