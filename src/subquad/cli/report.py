"""`subquad report`: write report.html of a run anew."""

from __future__ import annotations

import sys
from pathlib import Path

from subquad.base.interruption import raising
from subquad.engine.options import add_device
from subquad.engine.parsing import Parser
from subquad.engine.run import add_samples


def parser() -> Parser:
    """Return the options of `subquad report`."""
    p = Parser(
        prog="subquad report",
        description="Write report.html into the folder of a run anew: what it came to, by what choices, "
        "classes and pictures, time and memory, and how to go on.",
    )
    p.add_argument("run", type=str, help="A folder that `fit` wrote.")
    add_samples(p, "Of the evaluation set that are looked at once more, at most.")
    add_device(p)
    return p


def main(arguments: list[str]) -> None:
    """Parse, write, say where."""
    options = parser().parse_args(arguments)
    from subquad.tasks.reporting import write_report

    with raising():
        path = write_report(Path(options.run), options.samples, options.device)
    sys.stdout.write(f"report: {path}\n")
