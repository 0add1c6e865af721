"""Time over length: a Paramixer block next to softmax attention."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch

from subquad.bench.checks import check_budget, check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.result import Chart, Curves, Table
from subquad.bench.timing import Tell, Timing, side_by_side, within
from subquad.nn import Paramixer, SelfAttention


@dataclass(frozen=True)
class Point:
    """One length. `attention` is None from where it would take longer than the budget."""

    length: int
    paramixer: Timing
    attention: Timing | None


@dataclass(frozen=True)
class Curve:
    """What `mixing_curve` measured."""

    environment: Environment
    dim: int
    protocol: str
    repeats: int
    points: tuple[Point, ...]

    @property
    def crossover(self) -> int | None:
        """The length from which on Paramixer was faster at every length; None if there is none."""
        return first_faster((point.length, point.paramixer, point.attention) for point in self.points)

    def tables(self) -> list[Table]:
        """Return a row for each length."""
        rows = [
            (
                f"{point.length:,}" + (" <- faster from here" if point.length == self.crossover else ""),
                str(point.paramixer),
                "over the budget" if point.attention is None else str(point.attention),
            )
            for point in self.points
        ]
        title = f"forward pass of one sequence, dim {self.dim}, {self.protocol}"
        return [Table(title, ("length", "Paramixer, ms", "attention, ms"), rows)]

    def charts(self) -> list[Chart]:
        """Return both times over the length."""
        ours = [(point.length, point.paramixer) for point in self.points]
        rival = [(point.length, point.attention) for point in self.points if point.attention is not None]
        marks = {} if self.crossover is None else {self.crossover: f"faster from {self.crossover:,}"}
        title = f"one sequence, dim {self.dim}, {self.protocol}"
        return [Curves(title, "positions", "ms", {"Paramixer": ours, "attention": rival}, marks)]


def first_faster(points: Iterable[tuple[int, Timing, Timing | None]]) -> int | None:
    """Return the size from which on the first way was faster at every size; None if there is none.

    Args:
        points: Size, the first way, and the second, None where it was left out.
    """
    start = None
    for size, ours, rival in reversed(list(points)):
        if rival is not None and rival.p50 <= ours.p50:
            break
        if rival is not None:
            start = size
    return start


@torch.no_grad()
def mixing_curve(
    *,
    smallest: int = 10,
    largest: int = 20,
    dim: int = 32,
    protocol: str = "chord",
    repeats: int = 5,
    budget: float = 20.0,
    device: str = "cpu",
    tell: Tell | None = None,
) -> Curve:
    """Time the forward pass of one sequence of 2**smallest to 2**largest positions.

    Both blocks map (1, n, dim) to the same. Paramixer has as many factors as the length needs and
    `hidden = dim`; attention has one head and PyTorch's fused kernel.

    Args:
        smallest: Power of two of the first length.
        largest: Power of two of the last length.
        dim: Channels.
        protocol: "chord" or "cdil".
        repeats: Rounds at each length; what took a second in all of them is timed no more there.
        budget: Seconds that one run of attention may take. Each length takes it four times as long
            as the one before, so the first run that would not fit is left out, and all after it.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.
    """
    check_numbers({"dim": dim, "repeats": repeats})
    check_budget(budget)
    if not 0 <= smallest <= largest:
        raise ValueError(f"smallest must be 0 to largest, got {smallest} and {largest}.")
    if protocol not in ("chord", "cdil"):
        raise ValueError(f'protocol must be "chord" or "cdil", got {protocol!r}.')
    place = torch.device(device)
    watch = Watch(place)
    attention = SelfAttention(dim).eval().to(place)
    expected = 0.0
    points = []
    for power in range(smallest, largest + 1):
        length = 2**power
        x = torch.randn(1, length, dim, generator=torch.Generator().manual_seed(0)).to(place)
        rows = x.mT.contiguous()  # attention takes (batch, dim, positions)
        mixer = Paramixer(dim, dim, protocol=protocol, length=length).eval().to(place)
        ways: dict[str, Callable[[], object]] = {"paramixer": partial(mixer, x)}
        if expected <= budget:
            ways["attention"] = partial(attention, rows)
        told = within(tell, f"{length:,} positions")
        timings = side_by_side(ways, repeats=repeats, device=place, budget=1.0, tell=told)
        points.append(Point(length, timings["paramixer"], timings.get("attention")))
        if "attention" in timings:
            expected = 4e-3 * timings["attention"].p50
    spreads = {f"Paramixer, {point.length:,} positions": point.paramixer for point in points}
    return Curve(watch.environment(spreads), dim, protocol, repeats, tuple(points))
