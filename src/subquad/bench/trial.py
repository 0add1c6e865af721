"""Mixers measured in one place within so many seconds: what would take too long is predicted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from subquad.bench.memory import peak_memory
from subquad.bench.mixers import Mixer
from subquad.bench.recommendation import MixerRow, gib
from subquad.bench.timing import Tell, Timing, seconds_of, side_by_side

FEWEST = 256  # positions, of all samples, that are worth a run before all of them are
SHORTEST = 16  # of one sample
MOST_REPEATS = 20
FEWER = ", a fourth"  # behind the name of what is timed with so many of the positions


class Run(NamedTuple):
    """What a pass with so many positions takes."""

    positions: int
    seconds: float
    memory: int


class Sketch(NamedTuple):
    """What is known of a mixer before it is timed.

    Attributes:
        mixer: Which.
        parameters: Of the block.
        fewer: A pass with a fourth of the positions, measured or predicted; zeros if those are too few.
        expected: A pass with all of them, predicted; measured if a fourth of them are too few.
    """

    mixer: Mixer
    parameters: int
    fewer: Run
    expected: Run


@dataclass(frozen=True)
class Trial:
    """The place in which mixers are measured.

    Attributes:
        batch: Samples.
        channels: Of each position.
        spatial: (height, width), or (length,).
        training: Whether a pass is forward and backward; else inference.
        seconds: To spend, about.
        device: Where.
        memory: Bytes that may be held.
    """

    batch: int
    channels: int
    spatial: tuple[int, ...]
    training: bool
    seconds: float
    device: torch.device
    memory: int

    def measure(self, mixers: Sequence[Mixer], tell: Tell | None) -> tuple[tuple[MixerRow, ...], int]:
        """Return a row for each mixer, and the rounds that they were timed in."""
        share = self.seconds / 2 / len(mixers)  # one half for fewer positions, one for all
        sketches = []
        for mixer in mixers:
            if tell is not None:
                tell(f"{mixer.name}, fewer positions")
            sketches.append(self._sketch(mixer, share))
        skipped = {sketch.mixer.name: self._why_not(sketch.expected, share) for sketch in sketches}
        running = [sketch for sketch in sketches if not skipped[sketch.mixer.name]]
        whole = {sketch.mixer.name: self._way(sketch.mixer, self.spatial) for sketch in running}
        ways = dict(whole)
        if fewer_positions(self.spatial, self.batch):
            ways |= {
                f"{one.mixer.name}{FEWER}": self._way(one.mixer, fourth(self.spatial)) for one in running
            }
        expected = sum(sketch.expected.seconds + sketch.fewer.seconds for sketch in running)
        # Besides the rounds, each runs to warm up and for its memory.
        repeats = int(min(MOST_REPEATS, max(1.0, self.seconds / 2 / max(expected, 1e-6) - 2)))
        total = self.seconds / 2  # where the prediction was too low
        timings = side_by_side(ways, repeats=repeats, device=self.device, total=total, tell=tell)
        memory = {name: peak_memory(way, self.device) for name, way in whole.items()}
        rows = (
            _row(one, timings, memory, skipped[one.mixer.name], self._takes(one.mixer)) for one in sketches
        )
        return tuple(rows), repeats

    def _sketch(self, mixer: Mixer, share: float) -> Sketch:
        """Run a mixer with few positions, then with four times as many, as long as its share lasts."""
        runs: list[Run] = []
        sizes = fewer_positions(self.spatial, self.batch)
        for spatial in sizes or [self.spatial]:
            if self._why_not(predicted(mixer, runs, prod(spatial)), share):
                break
            runs.append(self._run(mixer, spatial, share))
        parameters = sum(p.numel() for p in mixer.build(prod(self.spatial)).parameters())
        fewer = predicted(mixer, runs if sizes else [], prod(fourth(self.spatial)))
        return Sketch(mixer, parameters, fewer, predicted(mixer, runs, prod(self.spatial)))

    def _run(self, mixer: Mixer, spatial: tuple[int, ...], share: float) -> Run:
        """Return the quickest of a few passes: it is to tell what one takes, not what disturbs it."""
        way = self._way(mixer, spatial)
        seconds = [seconds_of(way, self.device)]
        while len(seconds) < 4 and sum(seconds) < (share if len(seconds) < 2 else share / 4):
            seconds.append(seconds_of(way, self.device))
        return Run(prod(spatial), min(seconds), peak_memory(way, self.device))

    def _why_not(self, run: Run, share: float) -> str:
        """Return why a pass would be too much; "" if it is not."""
        if run.memory > self.memory:
            return f"it would hold about {gib(run.memory)} of the {gib(self.memory)} there are"
        if 3 * run.seconds > share:  # to warm up, for the time, for the memory
            needed = math.ceil(self.seconds * 3 * run.seconds / share)
            return f"a pass would take about {run.seconds:.3g} s; --seconds {needed} leaves time for it"
        return ""

    def _takes(self, mixer: Mixer) -> str:
        """Return the axes of a mixer's input."""
        if len(self.spatial) == 2:
            return "(batch, channels, height, width)"
        return "(batch, length, channels)" if mixer.channels_last else "(batch, channels, length)"

    def _way(self, mixer: Mixer, spatial: tuple[int, ...]) -> Callable[[], object]:
        """Return what runs a mixer once with so many positions."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            block = mixer.build(prod(spatial)).train(self.training).to(self.device)
        shape = (self.batch, *spatial, self.channels) if mixer.channels_last else (
            self.batch, self.channels, *spatial,
        )  # fmt: skip
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        if not self.training:

            @torch.inference_mode()
            def infer() -> Tensor:
                return block(x)

            return infer
        x.requires_grad_()
        wanted = [x, *(p for p in block.parameters() if p.requires_grad)]

        def step() -> object:
            y = block(x)
            return torch.autograd.grad(y, wanted, torch.ones_like(y))

        return step


def fewer_positions(spatial: tuple[int, ...], batch: int = 1) -> list[tuple[int, ...]]:
    """Return sizes with a fourth of the positions, a fourth of that, ..., the smallest first.

    Args:
        spatial: (height, width), or (length,).
        batch: Samples: of many, few positions each are work enough to tell what a pass takes.
    """
    sizes: list[tuple[int, ...]] = []
    size = fourth(spatial)
    while batch * prod(size) >= FEWEST and prod(size) >= SHORTEST:
        sizes.insert(0, size)
        size = fourth(size)
    return sizes


def fourth(spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Return a size with about a fourth of the positions: half of each side of a map."""
    return (spatial[0] // 4,) if len(spatial) == 1 else tuple(max(1, side // 2) for side in spatial)


def predicted(mixer: Mixer, runs: Sequence[Run], positions: int) -> Run:
    """Return what a pass would take, from passes with fewer positions; zeros from none.

    Time is what every pass costs, and what grows with the work; both are fitted to the last two passes.
    Memory grows as it did from one to the other, and with the positions at least: some kernels of attention
    hold a matrix of all pairs, others do not.
    """
    if not runs:
        return Run(positions, 0.0, 0)
    last, growth = runs[-1], 1.0
    rate = last.seconds / mixer.work(last.positions)
    if len(runs) > 1:
        before = runs[-2]
        more = (last.seconds - before.seconds) / (mixer.work(last.positions) - mixer.work(before.positions))
        rate = min(rate, max(more, rate / 4))  # a pass that was disturbed does not make more of them free
        times = last.positions / before.positions
        growth = max(growth, math.log(max(1, last.memory) / max(1, before.memory), times))
    seconds = last.seconds + rate * (mixer.work(positions) - mixer.work(last.positions))
    return Run(positions, seconds, int(last.memory * (positions / last.positions) ** growth))


def _row(
    sketch: Sketch, timings: dict[str, Timing], memory: dict[str, int], skipped: str, takes: str
) -> MixerRow:
    mixer, time = sketch.mixer, timings.get(sketch.mixer.name)
    fewer = timings.get(f"{mixer.name}{FEWER}")
    return MixerRow(
        name=mixer.name,
        gives=mixer.gives,
        is_global=mixer.is_global,
        parameters=sketch.parameters,
        write=mixer.write,
        time=time,
        ms=1e3 * sketch.expected.seconds if time is None else time.p50,
        fewer=1e3 * sketch.fewer.seconds if fewer is None else fewer.p50,
        memory=memory.get(mixer.name, sketch.expected.memory),
        skipped=skipped,
        takes=takes,
    )
