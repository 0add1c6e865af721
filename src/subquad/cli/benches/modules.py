"""`subquad bench modules`: modules for global context, ours and others'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Result
    from subquad.bench.timing import Tell

DESCRIPTION = (
    "Count parameters and multiply-adds of modules for global context, and measure memory and time of "
    "inference and of a training step: table 3 of the Hamburger paper, on your machine."
)


def add_options(p: Parser) -> None:
    """Add the options of this measurement."""
    p.add_argument("--only", type=str, nargs="+", default=[], help="Names of modules; all if none.")
    p.add_argument("--batch", type=int, default=1, help="Feature maps.")
    p.add_argument("--dim", type=int, default=512, help="Channels.")
    p.add_argument("--height", type=int, default=128, help="Of the maps.")
    p.add_argument("--width", type=int, default=128, help="Of the maps.")
    p.add_argument("--repeats", type=int, default=10, help="Rounds; each runs every module once.")
    p.add_argument(
        "--budget",
        type=float,
        default=10.0,
        help="Seconds, above 0, of all rounds of a module, after which it is left out.",
    )


def measure(options: Any, tell: Tell) -> Result:
    """Measure all modules, or those that are named."""
    from subquad.bench import bench_modules

    return bench_modules(
        only=options.only,
        batch=options.batch,
        dim=options.dim,
        height=options.height,
        width=options.width,
        repeats=options.repeats,
        budget=options.budget,
        device=options.device,
        tell=tell,
    )
