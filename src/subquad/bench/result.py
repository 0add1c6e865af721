"""What every measurement hands to the command: where it was measured, tables, a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from subquad.bench.environment import Environment
from subquad.bench.timing import Timing


@dataclass(frozen=True)
class Table:
    """A table to print: the first column to the left, numbers to the right.

    Attributes:
        title: Above it, or alone if there are no columns.
        columns: Their names.
        rows: As many cells each.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Dots:
    """Values side by side on a logarithmic axis: a group for each name, a dot in it for each series.

    Attributes:
        title: What is measured.
        unit: Of the values, such as "ms".
        names: Of the groups.
        series: For each series one value a group; None where there is none. Of a timing the median is
            drawn, with its quantiles.
    """

    title: str
    unit: str
    names: Sequence[str]
    series: Mapping[str, Sequence[Timing | float | None]]


@dataclass(frozen=True)
class Curves:
    """Lines over a size, on logarithmic axes.

    Attributes:
        title: What is measured.
        x: What the horizontal axis shows.
        y: What the vertical axis shows.
        series: For each line its points.
        marks: What is said at a place of the horizontal axis, such as a crossover.
    """

    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[int, Timing | float]]]
    marks: Mapping[int, str] = field(default_factory=dict)


Chart = Dots | Curves


class Result(Protocol):
    """What a measurement found: a frozen dataclass, whose fields `--json` writes as they are."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def environment(self) -> Environment:
        """What it was measured on."""
        ...

    def tables(self) -> list[Table]:
        """Return what is printed."""
        ...

    def charts(self) -> list[Chart]:
        """Return what `--plot` draws, side by side; none if a picture says nothing more."""
        ...
