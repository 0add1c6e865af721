"""What was measured of the gradients of a network's hams: as a table, as JSON, as a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from subquad.base.table import Table
from subquad.explain.gradient_plot import draw_gradients

_COLUMNS = (
    "gradient",
    "to BPTT",
    "of its length",
    "to the implicit one",
    "of its length",
    "error",
    "at the fixed point",
    "bound",
)


@dataclass(frozen=True)
class StepGradient:
    """The gradient of one `grad_steps` against BPTT and the implicit one; None is "not known".

    Attributes:
        grad_steps: Iterations in the graph, 0 to `steps` of the ham.
        bptt_angle: Between it and BPTT, the gradient through all steps of the ham, in degrees, 0 to 180; None
            if one of them is zero.
        bptt_length: Its length, in lengths of BPTT.
        angle: Between it and the implicit one, in degrees, 0 to 180.
        length: Its length, in lengths of the implicit gradient.
        error: Length of the difference, in lengths of the implicit gradient.
        limit_error: The same if the iterations had reached their fixed point before the last `grad_steps`.
        bound: `NeumannSeries.bound`, in lengths of the implicit gradient: at least `limit_error`.
    """

    grad_steps: int
    bptt_angle: float | None = None
    bptt_length: float | None = None
    angle: float | None = None
    length: float | None = None
    error: float | None = None
    limit_error: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class HamGradients:
    """The gradients of one call of a ham, by its input; None is "not known".

    Attributes:
        name: Of the ham in the network, with `#2` and so on where it is called again.
        solver: Of the ham, as text.
        shape: Of what is decomposed: (batch * heads, columns' length, columns).
        rank: Columns of the dictionary.
        steps: Iterations of the ham in training.
        found: Whether the iterations reached their fixed point within the tolerance.
        iterations: How many were made.
        summed: Whether the series of the implicit gradient reached its sum.
        terms: How many terms were computed after the one-step gradient.
        rate: By what these terms shrink: the contraction rate that counts for the gradient.
        output_rate: By what the changes of the output shrink from iteration to iteration; None if nothing
            changed any more, or they did not shrink.
        distance: Of the output after `steps` iterations from the converged one, relative to the latter.
        cotangent: Length of the gradient by the output.
        implicit: Length of the implicit gradient.
        gradients: In the order of `grad_steps`.
    """

    name: str
    solver: str
    shape: tuple[int, int, int]
    rank: int
    steps: int
    found: bool
    iterations: int
    summed: bool
    terms: int
    rate: float | None
    output_rate: float | None
    distance: float | None
    cotangent: float
    implicit: float | None
    gradients: tuple[StepGradient, ...]

    @property
    def converged(self) -> bool:
        """Whether there is an implicit gradient to compare with."""
        return self.found and self.summed

    def __str__(self) -> str:
        """Return what was found in a sentence or three."""
        samples, length, columns = self.shape
        name = self.name or "ham"
        told = [
            f"{name}: {self.solver}, {samples} x {length} x {columns}, rank {self.rank}, {self.steps} steps."
        ]
        if not self.found:
            told.append(
                f"The iterations did not converge in {self.iterations:,}: there is no limit to compare with."
            )
        else:
            told.append(f"Converged after {self.iterations:,} iterations, rate {_rate(self.output_rate)}.")
        if self.found and not self.summed:
            told.append(f"The series was not summed after {self.terms:,} terms, rate {_rate(self.rate)}.")
        elif self.found:
            told.append(f"Implicit gradient: {self.terms:,} terms, rate {_rate(self.rate)}.")
        if self.distance is not None:
            told.append(f"After {self.steps} steps the output is {100 * self.distance:.2g} % away.")
        return " ".join(told)

    def table(self) -> Table:
        """Return a row for each gradient, below what `str` says."""
        rows = [
            (
                _name(one.grad_steps, self.steps),
                _degrees(one.bptt_angle),
                _share(one.bptt_length),
                _degrees(one.angle),
                *map(_share, (one.length, one.error, one.limit_error, one.bound)),
            )
            for one in self.gradients
        ]
        return Table(str(self), _COLUMNS, rows)


@dataclass(frozen=True)
class GradientReport:
    """The gradients of all hams of a network against the implicit one; of `gradients`.

    Attributes:
        hams: One entry for each call of a ham, in the order of the calls.
    """

    hams: tuple[HamGradients, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `rows` tells."""
        return ("ham", *_COLUMNS)

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each gradient of each ham."""
        return [(ham.name or "ham", *row) for ham in self.hams for row in ham.table().rows]

    def tables(self) -> list[Table]:
        """Return a table for each ham."""
        return [ham.table() for ham in self.hams]

    def __str__(self) -> str:
        """Return the tables as text."""
        return "\n\n".join(_as_text(table) for table in self.tables())

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values; null stands for "not known", and every number is finite."""
        return {"hams": [asdict(ham) | {"shape": list(ham.shape)} for ham in self.hams]}

    def plot(self, path: str | Path) -> None:
        """Draw errors with their bound, angles and lengths over `grad_steps`; needs matplotlib.

        Args:
            path: Of the picture; its end says the format: .png, .svg or .pdf.

        Raises:
            ValueError: If all gradients are zero, so that there is nothing to draw.
        """
        draw_gradients(self.hams, path)


def _name(grad_steps: int, steps: int) -> str:
    if grad_steps == 0:
        return "one-step"
    return f"BPTT, {steps} steps" if grad_steps == steps else f"grad_steps={grad_steps}"


def _degrees(angle: float | None) -> str:
    return "n/a" if angle is None else f"{angle:.2f}°"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "not known"
    return f"{rate:.3g}" if rate < 0.99 else f"1 - {1 - rate:.2g}"


def _as_text(table: Table) -> str:
    cells = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    lines = []
    for name, *numbers in cells:
        shown = [f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *shown]).rstrip())
    return "\n".join([table.title, *lines])
