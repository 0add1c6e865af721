"""One mixing product: the original's way in plain PyTorch against `link_mix`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.bench.checks import check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.result import Chart, Dots, Table
from subquad.bench.timing import Tell, Timing, side_by_side
from subquad.ops import chord_offsets, link_mix

Mix = Callable[[Tensor, Tensor], Tensor]

MOST_LINKS = 64  # of CHORD, whose last offset is then 2**62; the next but one would be beyond 64 bits
ORIGINAL = "gather, multiply, scatter-add"


@dataclass(frozen=True)
class Row:
    """One way of mixing.

    Attributes:
        way: Its name.
        forward: Without recording a graph.
        both: Forward and backward, for the values and the links.
        kept: Bytes kept from the forward to the backward pass, the arguments among them.
        error: Largest difference to the original's way in float64, relative to its largest entry.
    """

    way: str
    forward: Timing
    both: Timing
    kept: int
    error: float


@dataclass(frozen=True)
class MixingBench:
    """What `bench_mixing` measured; the first row is the original's way."""

    environment: Environment
    batch: int
    length: int
    dim: int
    links: int
    repeats: int
    rows: tuple[Row, ...]

    def times_faster(self, row: Row) -> tuple[float, float]:
        """Return by how much a way is faster than the original's, forward and both."""
        first = self.rows[0]
        return first.forward.p50 / row.forward.p50, first.both.p50 / row.both.p50

    def tables(self) -> list[Table]:
        """Return a row for each way."""
        rows = []
        for row in self.rows:
            forward, both = self.times_faster(row)
            timings = (str(row.forward), f"{forward:.1f}", str(row.both), f"{both:.1f}")
            rows.append((row.way, *timings, f"{row.kept / 2**20:.1f}", f"{row.error:.0e}"))
        title = (
            f"batch {self.batch}, {self.length:,} positions, dim {self.dim}, {self.links} links, "
            f"{self.repeats} rounds"
        )
        columns = ("way", "forward, ms", "times", "with backward, ms", "times", "kept, MiB", "error")
        return [Table(title, columns, rows)]

    def charts(self) -> list[Chart]:
        """Return the times of each way."""
        series = {
            "forward": [row.forward for row in self.rows],
            "with backward": [row.both for row in self.rows],
        }
        return [Dots("mixing by links", "ms", [row.way for row in self.rows], series)]


def bench_mixing(
    *,
    batch: int = 4,
    length: int = 16384,
    dim: int = 32,
    links: int = 15,
    repeats: int = 20,
    compile: bool = True,
    device: str = "cpu",
    tell: Tell | None = None,
) -> MixingBench:
    """Time one product by CHORD links, and count what it keeps for the backward pass.

    Args:
        batch: Sequences.
        length: Positions n of each.
        dim: Channels.
        links: Links of a row, 2 to 64.
        repeats: Rounds; each runs every way once.
        compile: Also time `link_mix` under `torch.compile`, which needs a C++ compiler.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.
    """
    check_numbers({"batch": batch, "length": length, "dim": dim, "repeats": repeats})
    if not 2 <= links <= MOST_LINKS:
        raise ValueError(f"links must be 2 to {MOST_LINKS}, got {links}: their offsets are powers of two.")
    place = torch.device(device)
    offsets = chord_offsets(links - 1)
    generator = torch.Generator().manual_seed(0)
    values, weights, grad = (
        torch.randn(batch, length, size, generator=generator).to(place) for size in (dim, links, dim)
    )
    values.requires_grad_()
    weights.requires_grad_()

    def mix(values: Tensor, links: Tensor) -> Tensor:
        return link_mix(values, links, offsets)

    ways: dict[str, Mix] = {ORIGINAL: gather_scatter(length, offsets, place), "link_mix": mix}
    if place.type == "cuda" and importlib.util.find_spec("triton") is not None:
        ways["link_mix, Triton"] = lambda values, links: link_mix(values, links, offsets, impl="triton")
    if compile:
        ways["link_mix, compiled"] = torch.compile(mix, fullgraph=True)
    watch = Watch(place)
    with torch.no_grad():
        exact = ways[ORIGINAL](values.double(), weights.double())
        errors = {name: _error(way(values, weights), exact) for name, way in ways.items()}
        forward = side_by_side(
            {name: lambda way=way: way(values, weights) for name, way in ways.items()},
            repeats=repeats,
            device=place,
            tell=tell,
        )
    both = side_by_side(
        {
            name: lambda way=way: torch.autograd.grad(way(values, weights), (values, weights), grad)
            for name, way in ways.items()
        },
        repeats=repeats,
        device=place,
        tell=tell,
    )
    rows = tuple(
        Row(name, forward[name], both[name], bytes_kept(way, values, weights), errors[name])
        for name, way in ways.items()
    )
    timings = {f"{name}, forward": timing for name, timing in forward.items()}
    timings |= {f"{name}, with backward": timing for name, timing in both.items()}
    return MixingBench(watch.environment(timings), batch, length, dim, links, repeats, rows)


def gather_scatter(length: int, offsets: tuple[int, ...], device: torch.device) -> Mix:
    """Return the original's way: one index per link, gathered rows, a sum by scattering."""
    start = torch.arange(length, device=device)
    columns = (start.unsqueeze(1) + torch.tensor(offsets, device=device)).remainder(length).flatten()
    rows = start.repeat_interleave(len(offsets))

    def mix(values: Tensor, links: Tensor) -> Tensor:
        products = values.index_select(1, columns) * links.flatten(1).unsqueeze(-1)
        index = rows[None, :, None].expand_as(products)
        return torch.zeros_like(values).scatter_add(1, index, products)

    return mix


def bytes_kept(way: Mix, values: Tensor, links: Tensor) -> int:
    """Return how many bytes a way keeps for the backward pass; shared memory counts once."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = way(values, links)
    del result
    return sum(storages.values())


def _error(actual: Tensor, exact: Tensor) -> float:
    return float((actual.double() - exact).abs().max() / exact.abs().max())
