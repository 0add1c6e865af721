"""`subquad bench scaling`: time over the number of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Result
    from subquad.bench.timing import Tell

DESCRIPTION = (
    "Time the forward pass of feature maps and of sequences from size to size, next to attention: who wins "
    "at how many positions."
)


def add_options(p: Parser) -> None:
    """Add the options of this measurement."""
    p.add_argument("--smallest", type=int, default=6, help="Power of two of the positions of the first map.")
    p.add_argument("--largest", type=int, default=16, help="Power of two of the positions of the last map.")
    p.add_argument("--dim", type=int, default=512, help="Channels of the maps.")
    p.add_argument("--shortest", type=int, default=10, help="Power of two of the first length of sequences.")
    p.add_argument("--longest", type=int, default=20, help="Power of two of their last length.")
    p.add_argument("--sequence_dim", type=int, default=32, help="Channels of the sequences.")
    p.add_argument("--repeats", type=int, default=5, help="Rounds at each size.")
    p.add_argument("--budget", type=float, default=10.0, help="Seconds one run of a rival may take, above 0.")


def measure(options: Any, tell: Tell) -> Result:
    """Measure all sizes."""
    from subquad.bench import bench_scaling

    return bench_scaling(
        smallest=options.smallest,
        largest=options.largest,
        dim=options.dim,
        shortest=options.shortest,
        longest=options.longest,
        sequence_dim=options.sequence_dim,
        repeats=options.repeats,
        budget=options.budget,
        device=options.device,
        tell=tell,
    )
