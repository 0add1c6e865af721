"""`subquad bench solvers`: the decompositions, ours against the plain way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Result
    from subquad.bench.timing import Tell

DESCRIPTION = (
    "Time NMF, VQ and CD, inference and a training step, side by side with the plain way of writing them in "
    "PyTorch."
)


def add_options(p: Parser) -> None:
    """Add the options of this measurement."""
    p.add_argument("--batch", type=int, default=1, help="Feature maps.")
    p.add_argument("--dim", type=int, default=512, help="Channels.")
    p.add_argument("--positions", type=int, default=16384, help="Of each map.")
    p.add_argument("--rank", type=int, default=64, help="Columns of the dictionary.")
    p.add_argument("--steps", type=int, default=6, help="Iterations.")
    p.add_argument("--repeats", type=int, default=10, help="Rounds; each runs every way once.")


def measure(options: Any, tell: Tell) -> Result:
    """Measure all ways."""
    from subquad.bench import bench_solvers

    return bench_solvers(
        batch=options.batch,
        dim=options.dim,
        positions=options.positions,
        rank=options.rank,
        steps=options.steps,
        repeats=options.repeats,
        device=options.device,
        tell=tell,
    )
