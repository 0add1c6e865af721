"""Charts as SVG: lines over steps, and intervals around zero. A few kilobytes each, in the page's colours."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_POINTS = 300  # of a line; more are averaged in groups, as no screen shows them
WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40  # margins
COLORS = 6  # in the style of a report


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Of the line; shown where the pointer rests.
        steps: In growing order.
        values: As many, finite.
        color: Number of a colour of the style.
        is_faint: Whether it stands behind the others, such as values before they are smoothed.
        has_dots: Whether single values are marked.
        mark: Step of the value that is marked; None for none.
    """

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    color: int = 0
    is_faint: bool = False
    has_dots: bool = False
    mark: float | None = None


def color(number: int) -> str:
    """Return a colour of the style, for CSS."""
    return f"var(--c{number % COLORS})"


def line_chart(
    lines: Sequence[Line],
    described: str,
    *,
    shown: Callable[[float], str] | None = None,
    along: str = "step",
) -> str:
    """Draw lines over steps.

    Args:
        lines: At least one with a value.
        described: What the chart shows, for those who do not see it.
        shown: A value as text; None for few digits.
        along: What is counted from left to right.
    """
    shown = shown or short
    values = [value for line in lines for value in line.values]
    steps = [step for line in lines for step in line.steps]
    ticks, x_ticks = nice_ticks(min(values), max(values)), nice_ticks(min(steps), max(steps), whole=True)
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    first, last = min(x_ticks[0], *steps), max(steps)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((step - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * ((high - value) / (high - low) if high > low else 0.5)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text x="{LEFT - 7}" y="{y(t) + 4:.1f}" text-anchor="end">{html.escape(shown(t))}</text>'
        for t in ticks
    ]
    parts += [
        f'<text x="{x(t):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{t:,.0f}</text>'
        for t in x_ticks
        if first <= t <= last
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{html.escape(along)}</text>')
    parts += [_drawn(line, x, y, shown, along) for line in lines if line.values]
    return _svg(parts, HEIGHT, described)


def interval_chart(rows: Sequence[tuple[str, float, float, float]], described: str) -> str:
    """Draw intervals around zero, one below the other.

    Args:
        rows: Name, value, and the two ends of its interval.
        described: What the chart shows, for those who do not see it.
    """
    ends = [end for row in rows for end in row[1:] if math.isfinite(end)]
    ticks = nice_ticks(min(0.0, *ends), max(0.0, *ends))
    low, high, left = ticks[0], ticks[-1], 150
    bottom = TOP + 34 * len(rows)

    def x(value: float) -> float:
        return left + (WIDTH - left - 30) * ((value - low) / (high - low) if high > low else 0.5)

    parts = [
        f'<line class="{"grid" if t else "zero"}" '
        f'x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{html.escape(short(t))}</text>'
        for t in ticks
    ]
    for index, (name, value, lower, upper) in enumerate(rows):
        middle = TOP + 34 * index + 17
        told = name if len(name) <= 22 else f"{name[:21]}…"
        parts.append(f'<text x="0" y="{middle + 4}">{html.escape(told)}</text>')
        if math.isfinite(lower) and math.isfinite(upper):
            parts.append(
                f'<line x1="{x(lower):.1f}" x2="{x(upper):.1f}" y1="{middle}" y2="{middle}" '
                f'style="stroke:{color(0)};stroke-width:3;stroke-linecap:round"/>'
            )
        parts.append(f'<circle cx="{x(value):.1f}" cy="{middle}" r="5.5" style="fill:{color(0)}"/>')
    return _svg(parts, bottom + 26, described)


def smoothed(values: Sequence[float], share: float = 0.05) -> list[float]:
    """Return means over the values around each, of a share of all of them at most."""
    reach = int(len(values) * share)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    spans = [(max(0, place - reach), min(len(values), place + reach + 1)) for place in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in spans]


def thinned(
    steps: Sequence[float], values: Sequence[float], most: int = MOST_POINTS
) -> tuple[list[float], list[float]]:
    """Return at most so many points: means of groups of neighbours."""
    if len(values) <= most:
        return list(steps), list(values)
    cuts = [group * len(values) // most for group in range(most + 1)]
    groups = [slice(start, end) for start, end in pairwise(cuts)]
    return [_mean(steps[group]) for group in groups], [_mean(values[group]) for group in groups]


def nice_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return four to seven round numbers that hold a range between them."""
    if not high > low:
        spread = abs(low) / 2 or 1.0
        low, high = (low, high + 1) if whole else (low - spread, high + spread)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    step = max(1.0, float(round(step))) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def short(value: float) -> str:
    """Return a number of few digits, such as 0.0008 or 1.2e-05."""
    return f"{value:.3g}"


def _drawn(
    line: Line,
    x: Callable[[float], float],
    y: Callable[[float], float],
    shown: Callable[[float], str],
    along: str,
) -> str:
    steps, values = thinned(line.steps, line.values)
    places = [(x(step), y(value)) for step, value in zip(steps, values, strict=True)]
    points = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
    stroke = f'style="stroke:{color(line.color)}"'
    found = [f'<polyline class="line{" faint" if line.is_faint else ""}" points="{points}" {stroke}/>']
    if line.has_dots or len(values) == 1:
        for step, value, (left, top) in zip(steps, values, places, strict=True):
            is_best = line.mark is not None and round(step) == line.mark
            told = f"{line.name}: {shown(value)} at {along} {step:,.0f}{' (best)' if is_best else ''}"
            found.append(
                f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{6 if is_best else 3}" '
                f'style="fill:{color(line.color)}"><title>{html.escape(told)}</title></circle>'
            )
    return "".join(found)


def _svg(parts: Sequence[str], height: float, described: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(described)}">'
        f"{''.join(parts)}</svg>"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
