"""The decompositions: ours against the plain way of writing them down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from subquad.bench.checks import check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.memory import Memory, memory_of
from subquad.bench.plain import PLAIN, plain_ham
from subquad.bench.result import Chart, Dots, Table
from subquad.bench.timing import Tell, Timing, side_by_side, within
from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ, Solver
from subquad.ops.precision import Precision

SOLVERS: dict[str, Solver] = {"NMF": NMF(), "VQ": VQ(), "CD": CD()}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
PLAIN_WAY, OURS, BFLOAT16 = "plain", "ours", "ours, bfloat16"

Way = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SolverRow:
    """One way of computing one decomposition of feature maps in one layout.

    Attributes:
        solver: "NMF", "VQ" or "CD".
        layout: Of the feature maps: "contiguous" or "channels_last".
        way: Who computes.
        inference: Without a graph.
        training: Forward and backward, with the one-step gradient.
        scratch: Most memory of inference beside input and output, in code-sized buffers: float32, one number
            for each position and each column of the dictionary.
        training_scratch: The same for forward and backward; the output and the gradient do not count.
        error: Of the reconstruction, to float64: `|Y - Y64| / |Y64|`.
    """

    solver: str
    layout: str
    way: str
    inference: Timing
    training: Timing
    scratch: float
    training_scratch: float
    error: float


@dataclass(frozen=True)
class SolverBench:
    """What `bench_solvers` measured; the plain way comes first in each group of rows.

    Attributes:
        refused: Why no way computes in bfloat16; "" if one does.
    """

    environment: Environment
    batch: int
    dim: int
    positions: int
    rank: int
    steps: int
    repeats: int
    rows: tuple[SolverRow, ...]
    refused: str

    def times_faster(self, row: SolverRow) -> tuple[float, float]:
        """Return by how much a way is faster than the plain one: inference, and a training step."""
        group = (row.solver, row.layout, PLAIN_WAY)
        first = next(other for other in self.rows if (other.solver, other.layout, other.way) == group)
        return first.inference.p50 / row.inference.p50, first.training.p50 / row.training.p50

    def tables(self) -> list[Table]:
        """Return inference and a training step, in both layouts."""
        told = (
            f"batch {self.batch}, dim {self.dim}, {self.positions:,} positions, rank {self.rank}, "
            f"{self.steps} steps, {self.repeats} rounds"
        )
        columns = ("way", "ms", "times faster", "scratch, codes", "error")
        tables = []
        for layout in LAYOUTS:
            inference, training = [], []
            for row in (row for row in self.rows if row.layout == layout):
                name, (faster, faster_step) = f"{row.solver}, {row.way}", self.times_faster(row)
                scratch, scratch_of_step = f"{row.scratch:.1f}", f"{row.training_scratch:.1f}"
                inference.append((name, str(row.inference), f"{faster:.2f}", scratch, f"{row.error:.0e}"))
                training.append((name, str(row.training), f"{faster_step:.2f}", scratch_of_step))
            tables.append(Table(f"inference, {layout}: {told}", columns, inference))
            tables.append(Table(f"training step, {layout}", columns[:4], training))
        return tables + [Table(f"bfloat16 was left out: {self.refused}")] * bool(self.refused)

    def charts(self) -> list[Chart]:
        """Return inference and training, a group for each decomposition and layout."""
        groups = list(dict.fromkeys((row.solver, row.layout) for row in self.rows))
        ways = list(dict.fromkeys(row.way for row in self.rows))
        found = {(row.solver, row.layout, row.way): row for row in self.rows}
        charts: list[Chart] = []
        for title in ("inference", "training"):
            series = {
                way: [
                    getattr(found[*group, way], title) if (*group, way) in found else None for group in groups
                ]
                for way in ways
            }
            charts.append(Dots(title, "ms", [", ".join(group) for group in groups], series))
        return charts


def bench_solvers(
    *,
    batch: int = 1,
    dim: int = 512,
    positions: int = 16384,
    rank: int = 64,
    steps: int = 6,
    repeats: int = 10,
    device: str = "cpu",
    tell: Tell | None = None,
) -> SolverBench:
    """Time each decomposition, plain and ours, for feature maps in both layouts.

    Args:
        batch: Feature maps.
        dim: Channels.
        positions: Of each.
        rank: Columns of the dictionary.
        steps: Iterations.
        repeats: Rounds; each runs every way once.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.
    """
    sizes = {"batch": batch, "dim": dim, "positions": positions, "rank": rank, "steps": steps}
    check_numbers(sizes | {"repeats": repeats})
    place = torch.device(device)
    watch = Watch(place)
    shape = (batch, dim, *_sides(positions))
    refused = _bfloat16_refused(place)
    rows: list[SolverRow] = []
    timings: dict[str, Timing] = {}
    for name, solver in SOLVERS.items():
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        x = (x.relu() if name == "NMF" else x).to(place)
        ways = _ways(name, solver, rank, steps, x, refused)
        exact = ways[PLAIN_WAY](x.double())
        for layout, memory_format in LAYOUTS.items():
            measured = _measure(
                ways, x.contiguous(memory_format=memory_format), repeats, within(tell, name, layout)
            )
            for way, (inference, training, memory, memory_of_step, result) in measured.items():
                error = float((result.double() - exact).norm() / exact.norm())
                codes = 4 * batch * positions * rank
                scratch = memory.scratch / codes, memory_of_step.scratch / codes
                rows.append(SolverRow(name, layout, way, inference, training, *scratch, error))
                timings[f"inference of {name}, {layout}, {way}"] = inference
                timings[f"a training step of {name}, {layout}, {way}"] = training
    return SolverBench(
        watch.environment(timings), batch, dim, positions, rank, steps, repeats, tuple(rows), refused
    )


def _ways(name: str, solver: Solver, rank: int, steps: int, x: Tensor, refused: str) -> dict[str, Way]:
    """Return all ways, from one start dictionary."""

    def ham(precision: Precision = "float32") -> Ham:
        module = Ham(
            x.shape[1], rank, solver, steps=steps, grad_steps=0, start="fixed", precision=precision
        )  # the one-step gradient, as the plain way has it
        return module.to(x.device)

    def plain(x: Tensor) -> Tensor:
        bases = ours.dictionary.to(x.dtype).expand(x.shape[0], -1, -1)
        return plain_ham(x, bases, PLAIN[name], steps)

    ours = ham()
    ways: dict[str, Way] = {PLAIN_WAY: plain, OURS: ours}
    return ways if refused else ways | {BFLOAT16: ham("bfloat16")}


def _bfloat16_refused(place: torch.device) -> str:
    """Return why a ham does not compute in bfloat16 here; "" if it does."""
    try:
        Ham(8, 2, precision="bfloat16").to(place)(torch.ones(1, 8, 4, 4, device=place))
    except ValueError as error:
        return str(error)
    return ""


def _measure(
    ways: dict[str, Way], x: Tensor, repeats: int, tell: Tell | None
) -> dict[str, tuple[Timing, Timing, Memory, Memory, Tensor]]:
    """Return for each way inference, training step, the memory of both, and the result."""
    grad, given = torch.ones_like(x), x.detach().clone().requires_grad_()

    def infer(way: Way) -> Tensor:
        with torch.no_grad():
            return way(x)

    def train(way: Way) -> tuple[Tensor, Tensor]:
        result = way(given)
        return result.detach(), torch.autograd.grad(result, given, grad)[0]

    timed: list[dict[str, Timing]] = [
        side_by_side(
            {name: partial(run, way) for name, way in ways.items()},
            repeats=repeats,
            device=x.device,
            tell=tell,
        )
        for run in (infer, train)
    ]
    return {
        name: (
            timed[0][name],
            timed[1][name],
            memory_of(partial(infer, way), x.device),
            memory_of(partial(train, way), x.device),
            infer(way),
        )
        for name, way in ways.items()
    }


def _sides(positions: int) -> tuple[int, int]:
    """Return height and width of a map of so many positions, as near to a square as can be."""
    height = next(side for side in range(math.isqrt(positions), 0, -1) if positions % side == 0)
    return height, positions // height
