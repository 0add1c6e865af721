"""Time over the number of positions: where attention wins, and from where on it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from subquad.bench.checks import check_budget, check_numbers
from subquad.bench.curve import Curve, first_faster, mixing_curve
from subquad.bench.environment import Environment, Watch
from subquad.bench.modules import LinearAttention, SoftmaxAttention
from subquad.bench.result import Chart, Curves, Table
from subquad.bench.timing import Tell, Timing, side_by_side, within
from subquad.nn import Hamburger

OURS, RIVAL = "Hamburger", "attention"
LAYERS: dict[str, Callable[[int], nn.Module]] = {
    OURS: lambda dim: Hamburger(dim, version="v1", dim=dim),
    RIVAL: SoftmaxAttention,
    "linear attention": LinearAttention,
    "3 x 3 convolution": lambda dim: nn.Conv2d(dim, dim, 3, padding=1),
}


@dataclass(frozen=True)
class MapPoint:
    """One size of feature maps.

    Attributes:
        height: Of the map.
        width: Of the map.
        times: Of a forward pass, by layer; those that would take longer than the budget are missing.
    """

    height: int
    width: int
    times: Mapping[str, Timing]

    @property
    def positions(self) -> int:
        """Of the map."""
        return self.height * self.width


@dataclass(frozen=True)
class ScalingBench:
    """What `bench_scaling` measured.

    Attributes:
        dim: Channels of the maps.
        maps: Feature maps.
        sequences: Sequences, with fewer channels.
    """

    environment: Environment
    dim: int
    repeats: int
    maps: tuple[MapPoint, ...]
    sequences: Curve

    def faster_from(self, rival: str) -> int | None:
        """Return from how many positions on the Hamburger was faster than a rival; None if it never was."""
        return first_faster(
            (point.positions, point.times[OURS], point.times.get(rival)) for point in self.maps
        )

    def tables(self) -> list[Table]:
        """Return maps, and sequences."""
        rows = [
            (
                f"{point.positions:,}",
                *(str(point.times[name]) if name in point.times else "over the budget" for name in LAYERS),
            )
            for point in self.maps
        ]
        title = f"forward pass of one map of {self.dim} channels"
        columns = ("positions", *(f"{name}, ms" for name in LAYERS))
        return [Table(title, columns, rows), *self._crossovers(), *self.sequences.tables()]

    def _crossovers(self) -> list[Table]:
        """Return a sentence for each rival."""
        found = []
        for rival in (name for name in LAYERS if name != OURS):
            start = self.faster_from(rival)
            told = (
                f"{OURS} is not faster than {rival} at the largest size"
                if start is None
                else f"{OURS} is faster than {rival} from {start:,} positions on"
            )
            found.append(Table(told))
        return found

    def charts(self) -> list[Chart]:
        """Return maps, and sequences."""
        lines = {
            name: [(point.positions, point.times[name]) for point in self.maps if name in point.times]
            for name in LAYERS
        }
        start = self.faster_from(RIVAL)
        marks = {} if start is None else {start: f"faster than attention from {start:,}"}
        title = f"one map of {self.dim} channels"
        return [Curves(title, "positions", "ms", lines, marks), *self.sequences.charts()]


@torch.no_grad()
def bench_scaling(
    *,
    smallest: int = 6,
    largest: int = 16,
    dim: int = 512,
    shortest: int = 10,
    longest: int = 20,
    sequence_dim: int = 32,
    repeats: int = 5,
    budget: float = 10.0,
    device: str = "cpu",
    tell: Tell | None = None,
) -> ScalingBench:
    """Time the forward pass of feature maps, and of sequences by `mixing_curve`, from size to size.

    Args:
        smallest: Power of two of the positions of the first map.
        largest: Power of two of the positions of the last map.
        dim: Channels of the maps.
        shortest: Power of two of the first length.
        longest: Power of two of the last length.
        sequence_dim: Channels of the sequences.
        repeats: Rounds at each size; what took a second in all of them is timed no more there.
        budget: Seconds that one run of a rival may take. Twice the positions take attention four times as
            long, so the first run that would not fit is left out, and all after it.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.
    """
    check_numbers({"dim": dim, "sequence_dim": sequence_dim, "repeats": repeats})
    check_budget(budget)
    if not 0 <= smallest <= largest:
        raise ValueError(f"smallest must be 0 to largest, got {smallest} and {largest}.")
    if not 0 <= shortest <= longest:
        raise ValueError(f"shortest must be 0 to longest, got {shortest} and {longest}.")
    place = torch.device(device)
    watch = Watch(place)
    layers = {name: make(dim).eval().to(place) for name, make in LAYERS.items()}
    expected = dict.fromkeys(layers, 0.0)
    points: list[MapPoint] = []
    for power in range(smallest, largest + 1):
        height, width = 2 ** (power // 2), 2 ** (power - power // 2)
        x = torch.randn(1, dim, height, width, generator=torch.Generator().manual_seed(0)).to(place)
        ways = {name: partial(layer, x) for name, layer in layers.items() if expected[name] <= budget}
        told = within(tell, f"{height} x {width}")
        times = side_by_side(ways, repeats=repeats, device=place, budget=1.0, tell=told)
        for name in layers:
            expected[name] = 4e-3 * times[name].p50 if name in times else math.inf
        expected[OURS] = 0.0
        points.append(MapPoint(height, width, times))
    sequences = mixing_curve(
        smallest=shortest,
        largest=longest,
        dim=sequence_dim,
        repeats=repeats,
        budget=budget,
        device=device,
        tell=tell,
    )
    spreads = {f"{OURS}, {point.positions:,} positions": point.times[OURS] for point in points}
    return ScalingBench(watch.environment(spreads), dim, repeats, tuple(points), sequences)
