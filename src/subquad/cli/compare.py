"""`subquad compare`: runs side by side, and whether their differences are real."""

from __future__ import annotations

import sys
from pathlib import Path

from subquad.base.interruption import raising
from subquad.engine.options import add_device, add_json
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.run import add_samples

WRITES = "subquad compare"


def parser() -> Parser:
    """Return the options of `subquad compare`."""
    p = Parser(
        prog="subquad compare",
        description="Compare runs with the first of them: scores, curves, options, classes, and whether a "
        "difference is more than the chance of which samples were evaluated.",
    )
    p.add_argument("runs", type=str, nargs="+", help="Folders that `fit` wrote, two or more.")
    p.add_argument(
        "--output",
        type=str,
        default="compare.html",
        help="Page to write; an earlier page of ours is replaced.",
    )
    add_samples(p, "Of the evaluation set that are looked at of runs that have no such counts yet, at most.")
    add_device(p)
    add_json(p, "the same")
    return p


def main(arguments: list[str]) -> None:
    """Parse, compare, print tables and sentences, write the page."""
    options = parser().parse_args(arguments)
    from subquad.base.files import check_writable
    from subquad.engine.tables import percent, print_table
    from subquad.explain.report import refuse_foreign_page
    from subquad.tasks.comparing import compare
    from subquad.tasks.comparison_page import CAUTION, comparison_page

    check_scores(options.json, WRITES, options.runs)
    check_writable(options.output)
    refuse_foreign_page(options.output, "give another --output")
    with raising():
        found = compare([Path(run) for run in options.runs], options.samples, options.device)
    print_table("runs", ("", *found.runs), found.overview())
    if found.counts:
        count = len(found.runs)
        rows = [(name, *map(percent, numbers[:count])) for name, *numbers in found.classes()]
        print_table("classes, %", ("class", *found.runs), rows)
    for sentence in found.sentences():
        sys.stdout.write(f"{sentence}\n")
    if found.differences:
        sys.stdout.write(f"{CAUTION}\n")
    else:
        sys.stdout.write(
            "evaluations of this task are not told sample by sample: curves and options alone.\n"
        )
    comparison_page(found).save(options.output)
    write_scores(options.json, WRITES, found.to_json())
    sys.stdout.write(f"comparison: {options.output}\n")
