"""`subquad models`: the networks and what they cost."""

from __future__ import annotations

import csv
import sys
from fnmatch import fnmatch
from pathlib import Path

import subquad
from subquad.engine.options import add_json, add_optional
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing, note
from subquad.engine.tables import count_text, print_table

# Written by `subquad.models.cost`, which is not imported: listing what is known needs no PyTorch.
COSTS = Path(subquad.__file__).parent / "models" / "costs.csv"
Row = tuple[str, int, int, int]  # name, parameters, multiply-adds, size
WRITES = "subquad models"


def parser() -> Parser:
    """Return the options of `subquad models`."""
    p = Parser(prog="subquad models", description="List the networks.")
    p.add_argument("pattern", type=str, nargs="?", default="*", help='Such as "light_ham_*".')
    add_optional(
        p,
        "size",
        int,
        "Height and width of the image, or length of the sequence; what is usual for each if not given.",
    )
    add_json(p, "the same")
    return p


def main(arguments: list[str]) -> None:
    """Print name, parameters and multiply-adds of each network."""
    options = parser().parse_args(arguments)
    if options.size is not None and options.size < 1:
        raise ValueError(f"--size must be at least 1, got {options.size}.")
    check_scores(options.json, WRITES)
    rows = [row for row in known_costs() if fnmatch(row[0], options.pattern)]
    if not rows:
        raise ValueError(f"no model matches {options.pattern!r}; `subquad models` lists them all.")
    if options.size is not None:
        rows = counted([row[0] for row in rows], options.size)
    print_table(
        "multiply-adds of one square image, or of one sequence, in evaluation",
        ("model", "parameters", "multiply-adds", "size"),
        [(name, f"{weights:,}", count_text(work), str(size)) for name, weights, work, size in rows],
    )
    names = ("name", "parameters", "multiply_adds", "size")
    write_scores(options.json, WRITES, {"models": [dict(zip(names, row, strict=True)) for row in rows]})


def known_costs() -> list[Row]:
    """Return the costs at the usual sizes, as they are kept with the package."""
    with COSTS.open(newline="") as file:
        _, *rows = csv.reader(file)
    return [(name, int(weights), int(work), int(size)) for name, weights, work, size in rows]


def counted(names: list[str], size: int) -> list[Row]:
    """Count the costs at a size."""
    with doing(f"counting {len(names)} network{'s' if names[1:] else ''}", to=sys.stderr):
        from subquad.models.cost import cost

        rows = []
        for number, name in enumerate(names, start=1):
            note(f"{name}, {number} of {len(names)}")
            rows.append(cost(name, size))
    return rows
