"""`subquad bench WHAT`: measurements that anyone can repeat, each with what it was measured on."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from subquad.base.files import check_writable
from subquad.base.suggest import did_you_mean
from subquad.engine.options import add_device, add_json, add_optional
from subquad.engine.outputs import check_outputs, check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing, note

if TYPE_CHECKING:
    from subquad.bench import Environment, Result
    from subquad.bench.timing import Tell

WRITES = "subquad bench"


class Bench(NamedTuple):
    """One measurement.

    Attributes:
        help: What it measures.
        where: The module of its DESCRIPTION, `add_options(parser)` and `measure(options, tell)`.
    """

    help: str
    where: str

    def add_options(self, p: Parser) -> None:
        """Add the options of this measurement alone."""
        import_module(self.where).add_options(p)

    def measure(self, options: Any) -> Result:
        """Measure, telling what reports progress how far it is."""
        measure: Callable[[Any, Tell], Result] = import_module(self.where).measure
        return measure(options, note)


BENCHES = {
    name: Bench(help, f"subquad.cli.benches.{name}")
    for name, help in {
        "mixing": "mixing by links against the original's way, and a Paramixer block against attention",
        "solvers": "NMF, VQ and CD against the plain way of writing them",
        "modules": "modules for global context: attention of all kinds, and ours",
        "models": "our networks from an image to its class map, beside those of other packages",
        "scaling": "time over the number of positions, and where attention wins",
    }.items()
}


def parser(what: str = "mixing") -> Parser:
    """Return the options of `subquad bench WHAT`."""
    bench = BENCHES[what]
    p = Parser(
        prog=f"subquad bench {what}",
        description=f"{import_module(bench.where).DESCRIPTION} Medians, with the 20 % and 80 % quantiles in "
        "brackets.",
    )
    bench.add_options(p)
    add_device(p)
    add_json(p, "the numbers")
    add_optional(p, "plot", str, "Draw them in this file, such as FILE.png; it is replaced.")
    return p


def main(arguments: list[str]) -> None:
    """Measure, print the table, write the files."""
    what, *rest = arguments or ["--help"]
    if what in ("-h", "--help"):
        sys.stdout.write(_help())
        return
    if what not in BENCHES:
        known = ", ".join(f"`{name}`" for name in BENCHES)
        raise ValueError(f"`subquad bench` knows {known}, got {what!r}.{did_you_mean(what, BENCHES)}")
    options = parser(what).parse_args(rest)
    check_scores(options.json, WRITES)
    _check_plot(options.plot)
    with doing(f"measuring {what}"):
        result = BENCHES[what].measure(options)
    print_result(result)
    command = f"subquad bench {' '.join(arguments)}"
    write_numbers(options.json, WRITES, command, result)
    if options.plot is not None:
        from subquad.bench.plot import draw

        draw(result.charts(), options.plot, _environment_line(result.environment))
        sys.stderr.write(f"wrote {options.plot}\n")


def write_numbers(path: str | None, writer: str, command: str, result: Result) -> None:
    """Write what a measurement found to the file of `--json`, if it is asked for, and say so.

    Args:
        path: Of the file; None: nothing is asked for.
        writer: See `write_scores`.
        command: As it was given.
        result: Of any measurement.
    """
    if path is not None:
        write_scores(path, writer, {"command": command, **dataclasses.asdict(result)})
        sys.stderr.write(f"wrote {path}\n")


def _check_plot(path: str | None) -> None:
    """Raise ValueError before anything is measured unless the picture can be written."""
    if path is None:
        return
    if Path(path).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--plot {path} must end with .png, .svg or .pdf; give such a name.")
    check_writable(path)
    if Path(path).exists():
        check_outputs([Path(path)], [], overwrite=True, option="--plot")


def print_result(result: Result) -> None:
    """Print what a measurement found, and whether the machine was quiet.

    Args:
        result: Of any measurement.
    """
    from subquad.engine.tables import print_table

    for table in result.tables():
        print_table(table.title, table.columns, table.rows)
    environment = result.environment
    sys.stdout.write(f"{_environment_line(environment)}\n")
    if not environment.quiet:
        sys.stdout.write(
            f"The machine was not quiet: {environment.reason}; for numbers to publish, run again on one that "
            "does nothing else.\n"
        )


def _environment_line(environment: Environment) -> str:
    load = "unknown" if environment.load is None else f"{environment.load} to {environment.load_after}"
    commit = "" if environment.commit is None else f", commit {environment.commit}"
    return (
        f"{environment.device}, {environment.threads} threads, Python {environment.python}, torch "
        f"{environment.torch}, subquad {environment.subquad}{commit}, load {load}"
    )


def _help() -> str:
    lines = "\n".join(f"  {name:8} {bench.help}" for name, bench in BENCHES.items())
    return (
        f"usage: subquad bench WHAT [options]\n\nMeasure, side by side in one process.\n\n{lines}\n\n"
        "`subquad bench WHAT --help` lists the options of one.\n"
    )
