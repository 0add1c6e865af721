"""`subquad reproduce`: run one of the experiments behind the results."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from subquad.base.interruption import raising
from subquad.base.suggest import did_you_mean
from subquad.engine.parsing import Parser


def parser() -> Parser:
    """Return the options of `subquad reproduce`."""
    p = Parser(
        prog="subquad reproduce",
        description="Run an experiment of the source: each training that has no line in its results yet adds "
        "one, then the table is printed. Without a name, list the experiments. What is running when this "
        "is killed is trained anew the next time.",
    )
    p.add_argument("name", type=str, nargs="?", help="Of the experiment, a folder of experiments/.")
    p.add_argument(
        "--quick",
        action="store_true",
        help="A small version that shows that all of it runs, mostly in a minute or two; its numbers say "
        "nothing and are not kept.",
    )
    p.add_argument("--table", action="store_true", help="Print the table of the results; train nothing.")
    p.add_argument("--cases", type=str, nargs="+", help="Only these, by their names in the table.")
    p.add_argument("--seeds", type=int, nargs="+", help="Only these, or others than those of the experiment.")
    p.add_argument("--experiments", type=str, help="Folder of experiments; that of the source by default.")
    p.add_argument("--output", type=str, help="File of results; that of the experiment by default.")
    return p


def main(arguments: list[str]) -> None:
    """Parse, run what is missing, print the table."""
    options = parser().parse_args(arguments)
    from subquad.engine.experiment import experiment_names, experiments_folder, read_experiment

    folder = experiments_folder(options.experiments)
    if options.name is None:
        for name in experiment_names(folder):
            sys.stdout.write(f"{name:19} {read_experiment(folder, name).question}\n")
        return
    experiment = read_experiment(folder, options.name)
    if experiment.script:
        for name in ("cases", "seeds", "output"):
            if getattr(options, name):
                raise ValueError(
                    f"experiment {experiment.name} is a script and takes no --{name}; give its own options "
                    f"to experiments/{experiment.name}/{experiment.script[0]}."
                )
    for name in ("seeds", "cases", "quick"):
        if options.table and getattr(options, name):
            raise ValueError(f"--table shows all that has results; leave --{name} out.")
    sys.stdout.write(f"{experiment.question}\n")
    sys.stdout.flush()
    from subquad.tasks.reproducing import reproduce

    cases = options.cases or list(experiment.cases)
    for case in cases:
        if case not in experiment.cases:
            hint = (
                did_you_mean(case, experiment.cases) or f" There are {', '.join(experiment.cases) or 'none'}."
            )
            raise ValueError(f"experiment {experiment.name} has no case {case!r}.{hint}")
    with raising(), tempfile.TemporaryDirectory() as scratch:
        output = Path(options.output) if options.output else experiment.results
        if options.quick and not options.output:
            output = Path(scratch) / "results.jsonl"
        table = reproduce(
            experiment, output, cases, options.seeds, quick=options.quick, run=not options.table
        )
    sys.stdout.write(f"{table}\n")
