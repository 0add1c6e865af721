"""Modules for global context side by side: parameters, multiply-adds, memory, and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from subquad.base.suggest import did_you_mean
from subquad.bench import modules
from subquad.bench.checks import check_budget, check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.memory import Memory, memory_of, mib
from subquad.bench.result import Chart, Dots, Table
from subquad.bench.timing import Tell, Timing, side_by_side, within
from subquad.nn import Hamburger
from subquad.ops import CD, NMF, VQ

MODULES: dict[str, Callable[[int], nn.Module]] = {
    "attention, n x n": modules.MatrixAttention,
    "attention, fused": modules.SoftmaxAttention,
    "DANet": modules.DualAttention,
    "A²": modules.DoubleAttention,
    "APC": modules.AdaptivePyramid,
    "DM": modules.DynamicFilters,
    "ACF": modules.ClassCenter,
    "attention, linear": modules.LinearAttention,
    "EMA": modules.ExpectationMaximisation,
    "Ham, CD": lambda dim: Hamburger(dim, version="v1", dim=dim, solver=CD(), grad_steps=0),
    "Ham, VQ": lambda dim: Hamburger(dim, version="v1", dim=dim, solver=VQ(), grad_steps=0),
    "Ham, NMF": lambda dim: Hamburger(dim, version="v1", dim=dim, solver=NMF(), grad_steps=0),
}


class Published(NamedTuple):
    """Of table 3 of the Hamburger paper (Geng et al., ICLR 2021), at 1 x 512 x 128 x 128.

    Attributes:
        parameters: In units of 2**20.
        multiply_adds: In units of 10**9.
    """

    parameters: float
    multiply_adds: float


# What our own count of the same module agrees with; times and memory there are those of a GPU.
PUBLISHED = {
    "attention, n x n": Published(1.00, 292),
    "A²": Published(1.01, 25.7),
    "APC": Published(2.03, 17.6),
    "DM": Published(3.00, 35.1),
    "Ham, CD": Published(0.50, 16.2),
    "Ham, NMF": Published(0.50, 17.6),
}
PUBLISHED_SHAPE = (512, 128, 128)


@dataclass(frozen=True)
class ModuleRow:
    """One module.

    Attributes:
        module: Its name.
        parameters: Their number.
        multiply_adds: Of one pass in evaluation: convolutions and matrix products count.
        training: Forward and backward, for the input and all weights.
        inference: Without a graph.
        training_memory: Most bytes at a time of a training step, without input and weights.
        inference_memory: The same for inference.
        published: What the paper says, where it says it of this shape.
    """

    module: str
    parameters: int
    multiply_adds: int
    training: Timing
    inference: Timing
    training_memory: int
    inference_memory: int
    published: Published | None


@dataclass(frozen=True)
class ModuleBench:
    """What `bench_modules` measured."""

    environment: Environment
    batch: int
    dim: int
    height: int
    width: int
    repeats: int
    rows: tuple[ModuleRow, ...]

    def tables(self) -> list[Table]:
        """Return what each module costs, and what it takes here."""
        said = any(row.published for row in self.rows)
        costs, measured = [], []
        for row in self.rows:
            counted = f"{row.parameters / 2**20:.3g}", f"{row.multiply_adds / 1e9:.3g}"
            published = row.published or ("", "") if said else ()
            costs.append((row.module, *counted, *(str(value) for value in published)))
            memory = mib(row.training_memory), mib(row.inference_memory)
            measured.append((row.module, str(row.training), str(row.inference), *memory))
        title = f"batch {self.batch}, {self.dim} x {self.height} x {self.width}, {self.repeats} rounds"
        columns = ("module", "parameters, 2^20", "multiply-adds, 10^9", *("published", "published") * said)
        timed = ("module", "training step, ms", "inference, ms", "training, MiB", "inference, MiB")
        return [Table(title, columns, costs), Table("measured here", timed, measured)]

    def charts(self) -> list[Chart]:
        """Return time and memory."""
        names = [row.module for row in self.rows]
        times = {
            "training step": [row.training for row in self.rows],
            "inference": [row.inference for row in self.rows],
        }
        memory = {
            "training step": [row.training_memory / 2**20 for row in self.rows],
            "inference": [row.inference_memory / 2**20 for row in self.rows],
        }
        return [Dots("time", "ms", names, times), Dots("memory", "MiB", names, memory)]


def bench_modules(
    *,
    only: Sequence[str] = (),
    batch: int = 1,
    dim: int = 512,
    height: int = 128,
    width: int = 128,
    repeats: int = 10,
    budget: float = 10.0,
    device: str = "cpu",
    tell: Tell | None = None,
) -> ModuleBench:
    """Count and time each module.

    Args:
        only: Names of `MODULES`; none for all of them.
        batch: Feature maps.
        dim: Channels.
        height: Of the maps.
        width: Of the maps.
        repeats: Rounds; each runs every module once.
        budget: Seconds; a module that took so many in all of its rounds takes part in no more of them.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.

    Raises:
        ValueError: If a number is out of range, or there is no module of a name.
    """
    check_numbers({"batch": batch, "dim": dim, "height": height, "width": width, "repeats": repeats})
    check_budget(budget)
    if batch * height * width < 2:
        raise ValueError(
            "one map of one position has no other to hear of and no variance to norm it by; give a height or "
            f"a width of at least 2, got {height} and {width}."
        )
    for name in only:
        if name not in MODULES:
            hint = did_you_mean(name, MODULES)
            raise ValueError(f"there is no module {name!r}.{hint} There are {'; '.join(MODULES)}.")
    place = torch.device(device)
    watch = Watch(place)
    x = torch.randn(batch, dim, height, width, generator=torch.Generator().manual_seed(0)).to(place)
    built = {name: make(dim).to(place) for name, make in MODULES.items() if name in only or not only}
    inference, memory = _measured(
        built, partial(_infer, x), repeats, budget, place, within(tell, "inference")
    )
    training, more = _measured(
        built, partial(_train, x), repeats, budget, place, within(tell, "training step")
    )
    is_published = batch == 1 and (dim, height, width) == PUBLISHED_SHAPE
    rows = tuple(
        ModuleRow(
            name,
            sum(weight.numel() for weight in module.parameters()),
            _multiply_adds(MODULES[name], dim, x.shape),
            training[name],
            inference[name],
            more[name].peak,
            memory[name].peak,
            PUBLISHED.get(name) if is_published else None,
        )
        for name, module in built.items()
    )
    timings = {f"inference of {name}": timing for name, timing in inference.items()}
    timings |= {f"a training step of {name}": timing for name, timing in training.items()}
    return ModuleBench(watch.environment(timings), batch, dim, height, width, repeats, rows)


def _measured(
    built: dict[str, nn.Module],
    run: Callable[[nn.Module], object],
    repeats: int,
    budget: float,
    place: torch.device,
    tell: Tell | None,
) -> tuple[dict[str, Timing], dict[str, Memory]]:
    """Return the time and the memory of each; what counts the memory has run each once before."""
    ways = {name: partial(run, module) for name, module in built.items()}
    memory = {}
    for name, way in ways.items():
        if tell is not None:
            tell(f"{name}, memory")
        memory[name] = memory_of(way, place)
    timings = side_by_side(ways, repeats=repeats, device=place, budget=budget, warm_up=False, tell=tell)
    return timings, memory


@torch.no_grad()
def _infer(x: Tensor, module: nn.Module) -> Tensor:
    return module.eval()(x)


def _train(x: Tensor, module: nn.Module) -> tuple[Tensor, ...]:
    given = x.detach().requires_grad_()
    result = module.train()(given)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    return torch.autograd.grad(result, [given, *weights], torch.ones_like(result))


def _multiply_adds(make: Callable[[int], nn.Module], dim: int, shape: Sequence[int]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        module, x = make(dim).eval(), torch.empty(tuple(shape))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops() // 2
