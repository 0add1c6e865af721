"""`subquad bench mixing`: how fast mixing by links is, next to the original's way and to attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Result
    from subquad.bench.timing import Tell

DESCRIPTION = (
    "Time mixing by links, side by side with the original's way; with --curve, a block next to attention "
    "from length to length."
)


def add_options(p: Parser) -> None:
    """Add the options of this measurement."""
    p.add_argument("--batch", type=int, default=4, help="Sequences.")
    p.add_argument("--length", type=int, default=16384, help="Positions of each.")
    p.add_argument("--dim", type=int, default=32, help="Channels, of every measurement.")
    p.add_argument("--links", type=int, default=15, help="Links of a row, 2 to 64.")
    p.add_argument("--repeats", type=int, default=20, help="Rounds; each runs every way once.")
    p.add_argument("--compile", type=bool, default=True, help="Also compiled; needs a C++ compiler.")
    p.add_argument("--curve", action="store_true", help="Time over length, next to attention.")
    p.add_argument("--smallest", type=int, default=10, help="Power of two of the first length of the curve.")
    p.add_argument("--largest", type=int, default=20, help="Power of two of its last length.")
    p.add_argument("--protocol", type=str, default="chord", help='Of the curve: "chord" or "cdil".')
    p.add_argument(
        "--budget", type=float, default=20.0, help="Seconds one run of attention may take, above 0."
    )
    p.add_argument(
        "--tokens",
        type=int,
        default=0,
        help="Instead: one forward pass over so many tokens, such as 1048576, with its peak memory.",
    )


def measure(options: Any, tell: Tell) -> Result:
    """Measure one product, the curve, or one long pass."""
    from subquad.bench import bench_mixing, long_forward, mixing_curve

    if options.tokens:
        return long_forward(options.tokens, dim=options.dim)
    if options.curve:
        return mixing_curve(
            smallest=options.smallest,
            largest=options.largest,
            dim=options.dim,
            protocol=options.protocol,
            repeats=options.repeats,
            budget=options.budget,
            device=options.device,
            tell=tell,
        )
    return bench_mixing(
        batch=options.batch,
        length=options.length,
        dim=options.dim,
        links=options.links,
        repeats=options.repeats,
        compile=options.compile,
        device=options.device,
        tell=tell,
    )
