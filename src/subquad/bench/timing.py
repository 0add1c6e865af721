"""Time several ways of doing one thing in turn, so that all meet the same machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from subquad.bench.checks import check_budget, check_numbers

Clock = Callable[[], float]
Tell = Callable[[str], object]  # is told how far a measurement is


@dataclass(frozen=True)
class Timing:
    """Quantiles of repeated runs in milliseconds: 20 %, the median, 80 %."""

    p20: float
    p50: float
    p80: float

    def __str__(self) -> str:
        p20, p50, p80 = (f"{ms:,.0f}" if ms >= 1000 else f"{ms:.4g}" for ms in (self.p20, self.p50, self.p80))
        return f"{p50} (once)" if self.p20 == self.p80 else f"{p50} ({p20} to {p80})"

    @property
    def spread(self) -> float:
        """The quantiles' distance as a share of the median."""
        return (self.p80 - self.p20) / self.p50 if self.p50 else 0.0


def side_by_side(
    ways: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    device: torch.device,
    budget: float = math.inf,
    total: float = math.inf,
    warm_up: bool = True,
    tell: Tell | None = None,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Time each way `repeats` times, one after the other in every round, after one run to warm up.

    The order changes from round to round (`turns`): who runs behind a way that leaves the caches full and
    the processor hot would else always pay for it.

    Args:
        ways: What to time, by name.
        repeats: Rounds, at least 1.
        device: What to wait for before the clock stops.
        budget: Seconds; a way that took so many in all of its rounds takes part in no more of them.
        total: Seconds of all rounds, after which none begins.
        warm_up: Whether each way runs once before; False where it did already.
        tell: Is told how far it is.
        clock: Seconds.
    """
    check_numbers({"repeats": repeats})
    check_budget(min(budget, total))
    names = list(ways)
    for name, way in ways.items() if warm_up else ():
        if tell is not None:
            tell(f"{name}, warming up")
        way()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        if sum(map(sum, seconds.values())) >= total:
            break
        for place in turns(turn, len(names)):
            name = names[place]
            if sum(seconds[name]) >= budget:
                continue
            if tell is not None:
                tell(f"{name}, round {turn + 1} of {repeats}")
            seconds[name].append(seconds_of(ways[name], device, clock))
    return {name: quantiles(times) for name, times in seconds.items()}


def turns(turn: int, count: int) -> list[int]:
    """Return in which order `count` ways run in a round.

    A balanced design (Williams, 1949): in `count` successive rounds, twice as many for an odd number, each
    way runs behind each other one equally often, and equally often in each place.
    """
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    order = [(place + turn) % count for place in zigzag]
    return order[::-1] if count % 2 and turn // count % 2 else order


def seconds_of(way: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Run once and return the seconds it took."""
    _wait(device)
    started = clock()
    way()
    _wait(device)
    return clock() - started


def quantiles(seconds: Sequence[float]) -> Timing:
    """Return the quantiles of repeated runs."""
    levels = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    p20, p50, p80 = (1e3 * torch.tensor(seconds, dtype=torch.float64)).quantile(levels).tolist()
    return Timing(p20, p50, p80)


def within(tell: Tell | None, *places: str) -> Tell | None:
    """Return a `tell` that says where first."""
    return None if tell is None else lambda told: tell(", ".join((*places, told)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
