"""`subquad data check`: what is in a data set, and what to mend."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from subquad.base.suggest import did_you_mean
from subquad.engine.options import add_json
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing
from subquad.tasks import Task
from subquad.tasks.choice import task_to_check

WRITES = "subquad data check"


def parser(task: Task, format: str, formats: Sequence[str] = (), arguments: Sequence[str] = ()) -> Parser:
    """Return the options of `subquad data check` of a task.

    Args:
        task: Of the data.
        format: The default.
        formats: All that there are, of all tasks.
        arguments: Of the command.
    """
    p = Parser(
        arguments,
        prog="subquad data check",
        description=f"Report what is in a data set, and what to mend. The task: {task.name}.",
    )
    p.add_argument("path", type=str, help="A folder, or a file.")
    p.add_argument("--format", type=str, default=format, help=f"One of {', '.join(formats)}.")
    add_json(p, "problems and notes")
    task.add_check_options(p)
    return p


def main(arguments: list[str]) -> None:
    """Print the report; a data set with problems is an error."""
    action, *rest = arguments or [""]
    if action in ("-h", "--help"):
        rest = ["--help"]
    elif action != "check":
        raise ValueError(
            f"`subquad data` knows `check PATH`, got {action!r}.{did_you_mean(action, ['check'])}"
        )
    task, format, formats = task_to_check(rest)
    options = parser(task, format, formats, rest).parse_args()
    check_scores(options.json, WRITES, [options.path])
    with doing(f"checking {options.path}"):
        report = task.check_data(options)
    sys.stdout.write(f"{report}\n")
    told = {"task": task.name, "format": options.format, "ok": report.ok, "problems": report.problems}
    write_scores(options.json, WRITES, {"data": options.path, **told, "notes": list(report.notes)})
    if not report.ok:
        raise ValueError(
            f"{options.path} has {len(report.problems)} problem(s), see above; the first: "
            f"{report.problems[0]}"
        )
