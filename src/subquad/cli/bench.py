"""`subquad bench mixing`: how fast mixing is, next to the original's way and to attention."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from subquad.base.suggest import did_you_mean
from subquad.engine.options import add_device, add_json
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Curve, Environment, LongForward, MixingBench

WRITES = "subquad bench"


def parser() -> Parser:
    """Return the options of `subquad bench mixing`."""
    p = Parser(
        prog="subquad bench mixing",
        description="Time mixing by links, side by side with the original's way; with --curve, a block "
        "next to attention from length to length. Medians, with the 20 % and 80 % quantiles in brackets.",
    )
    p.add_argument("--batch", type=int, default=4, help="Sequences.")
    p.add_argument("--length", type=int, default=16384, help="Positions of each.")
    p.add_argument("--dim", type=int, default=32, help="Channels, of every measurement.")
    p.add_argument("--links", type=int, default=15, help="Links of a row.")
    p.add_argument("--repeats", type=int, default=20, help="Rounds; each runs every way once.")
    p.add_argument("--compile", type=bool, default=True, help="Also compiled; needs a C++ compiler.")
    add_device(p)
    p.add_argument("--curve", action="store_true", help="Time over length, next to attention.")
    p.add_argument("--smallest", type=int, default=10, help="Power of two of the first length of the curve.")
    p.add_argument("--largest", type=int, default=20, help="Power of two of its last length.")
    p.add_argument("--protocol", type=str, default="chord", help='Of the curve: "chord" or "cdil".')
    p.add_argument("--budget", type=float, default=20.0, help="Seconds one run of attention may take.")
    p.add_argument(
        "--tokens",
        type=int,
        default=0,
        help="Instead: one forward pass over so many tokens, such as 1048576, with its peak memory.",
    )
    add_json(p, "the numbers")
    return p


def main(arguments: list[str]) -> None:
    """Measure, print the table, write the file."""
    from subquad.bench import bench_mixing, long_forward, mixing_curve

    what, *rest = arguments or [""]
    if what in ("-h", "--help"):
        rest = ["--help"]
    elif what != "mixing":
        raise ValueError(f"`subquad bench` knows `mixing`, got {what!r}.{did_you_mean(what, ['mixing'])}")
    options = parser().parse_args(rest)
    check_scores(options.json, WRITES)
    if options.tokens:
        result = long_forward(options.tokens, dim=options.dim)
        _print_long(result)
    elif options.curve:
        result = mixing_curve(
            smallest=options.smallest,
            largest=options.largest,
            dim=options.dim,
            protocol=options.protocol,
            repeats=options.repeats,
            budget=options.budget,
            device=options.device,
        )
        _print_curve(result)
    else:
        result = bench_mixing(
            batch=options.batch,
            length=options.length,
            dim=options.dim,
            links=options.links,
            repeats=options.repeats,
            compile=options.compile,
            device=options.device,
        )
        _print_mixing(result)
    command = f"subquad bench {' '.join(arguments)}"
    write_scores(options.json, WRITES, {"command": command, **dataclasses.asdict(result)})


def _print_mixing(result: MixingBench) -> None:
    from subquad.engine.tables import print_table

    rows = []
    for row in result.rows:
        forward, both = result.times_faster(row)
        kept = f"{row.kept / 2**20:.1f}"
        timings = (str(row.forward), f"{forward:.1f}", str(row.both), f"{both:.1f}")
        rows.append((row.way, *timings, kept, f"{row.error:.0e}"))
    print_table(
        f"batch {result.batch}, {result.length:,} positions, dim {result.dim}, {result.links} links, "
        f"{result.repeats} rounds",
        ("way", "forward, ms", "times", "with backward, ms", "times", "kept, MiB", "error"),
        rows,
    )
    _print_environment(result.environment)


def _print_curve(result: Curve) -> None:
    from subquad.engine.tables import print_table

    crossover = result.crossover
    rows = [
        (
            f"{point.length:,}" + (" <- faster from here" if point.length == crossover else ""),
            str(point.paramixer),
            "over the budget" if point.attention is None else str(point.attention),
        )
        for point in result.points
    ]
    print_table(
        f"forward pass of one sequence, dim {result.dim}, {result.protocol}",
        ("length", "Paramixer, ms", "attention, ms"),
        rows,
    )
    _print_environment(result.environment)


def _print_long(result: LongForward) -> None:
    sys.stdout.write(
        f"{result.tokens:,} tokens, dim {result.dim}: {result.seconds:.2f} s, at most "
        f"{result.peak / 2**30:.2f} GiB in the whole process\n"
    )
    _print_environment(result.environment)


def _print_environment(environment: Environment) -> None:
    parts = [
        f"{name} {value}" for name, value in dataclasses.asdict(environment).items() if value is not None
    ]
    sys.stdout.write(", ".join(parts) + "\n")
    if environment.load is not None and environment.load > 0.5:
        sys.stdout.write("the machine was busy at the start; for numbers to publish, run on a quiet one\n")
