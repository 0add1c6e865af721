"""Options that are chosen from the data where nothing is said: before a training, and to be looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.engine.parsing import Parser
from subquad.engine.plan import Plan, planned_in
from subquad.engine.progress import is_first_process
from subquad.engine.run_folder import is_resumable
from subquad.tasks import Task


def with_root(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with a path in front as what it is short for, `--data.root PATH`.

    Raises:
        FileNotFoundError: If there is nothing.
    """
    if arguments and not arguments[0].startswith("-"):
        if not Path(arguments[0]).exists():
            raise FileNotFoundError(f"there is no folder {arguments[0]}; correct the path of the data set.")
        return ["--data.root", *arguments]
    return list(arguments)


def planned(task: Task, p: Parser, options: Any, folder: Path) -> Any:
    """Return the options with what is chosen from the data in the place of defaults; say what that is.

    A run that goes on has the plan with which it began, since the memory that is free now is another; so
    have the processes that a first one started.

    Args:
        task: What is trained.
        p: The parser; what is chosen becomes its defaults.
        options: As they are without a plan.
        folder: Of the run; `plan.json` is written there.
    """
    if options.plan is False or not (options.plan or _is_open(p)):
        return options
    values = planned_in(folder) if is_resumable(folder) or not is_first_process() else {}
    if not values and not is_resumable(folder):
        plan = plan_of(task, p, options)
        if plan is None:
            return options
        values = plan.values()
        if is_first_process():
            sys.stdout.write(plan.text())
            plan.write(folder)
    return with_defaults(p, values, task)


def plan_of(task: Task, p: Parser, options: Any) -> Plan | None:
    """Return what a task chooses from the data; None if it leaves that to its defaults."""
    given = {name: options[name] for name in p.given() if name in options}
    return task.plan(p.instantiate(options), given)


def with_defaults(p: Parser, values: dict[str, Any], task: Task) -> Any:
    """Return the options anew, with other defaults."""
    p.set_defaults(values)
    options = p.parse_args()
    options.task = task.name
    return options


def _is_open(p: Parser) -> bool:
    """Say whether the user left it open which network is trained, and how."""
    return not p.recipes and not any(name.startswith("model.") for name in p.given())
