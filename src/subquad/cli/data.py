"""`subquad data check`: what is in a data set, and what to mend; `convert`: write it as masks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from subquad.base.suggest import did_you_mean
from subquad.engine.options import add_json
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing
from subquad.tasks import Task
from subquad.tasks.choice import task_to_check

WRITES = "subquad data check"
ACTIONS = ("check", "convert")


def parser(
    task: Task, format: str, formats: Sequence[str] = (), arguments: Sequence[str] = (), action: str = "check"
) -> Parser:
    """Return the options of `subquad data check` or `subquad data convert` of a task.

    Args:
        task: Of the data.
        format: The default.
        formats: All that there are, of all tasks.
        arguments: Of the command.
        action: Which of the two.
    """
    what = "Report what is in a data set, and what to mend." if action == "check" else "Write data as masks."
    p = Parser(arguments, prog=f"subquad data {action}", description=f"{what} The task: {task.name}.")
    p.add_argument("path", type=str, help="A folder, or a file.")
    if action == "convert":
        p.add_argument("output", type=str, help="Folder to write to; new, or empty.")
    p.add_argument("--format", type=str, default=format, help=f"One of {', '.join(formats)}.")
    if action == "check":
        add_json(p, "problems and notes")
    task.add_check_options(p)
    return p


def main(arguments: list[str]) -> None:
    """Print the report, and a data set with problems is an error; or convert."""
    action, *rest = arguments or [""]
    if action in ("-h", "--help"):
        action, rest = "check", ["--help"]
    elif action not in ACTIONS:
        raise ValueError(
            f"`subquad data` knows `check PATH` and `convert PATH OUT`, got {action!r}."
            f"{did_you_mean(action, ACTIONS)}"
        )
    task, format, formats = task_to_check(rest)
    options = parser(task, format, formats, rest, action).parse_args()
    if action == "convert":
        with doing(f"converting {options.path}"):
            told = task.convert_data(options)
        sys.stdout.write(f"{told}\n")
    else:
        _check(task, options)


def _check(task: Task, options: Any) -> None:
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
