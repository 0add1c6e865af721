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
