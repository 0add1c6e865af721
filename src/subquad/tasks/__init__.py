"""Kinds of work, one folder each: what a task tells the commands, and the table of all tasks.

The commands of `subquad` know no task: they iterate this table. A new task is a folder and a line at the
end of this file; of another package, an entry point of the group "subquad.tasks". This module imports
nothing of weight, so that `subquad --help` can read the table at once; docs/add_a_task.md shows how a
task is written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from subquad.base.plugins import announced, load, load_announced
from subquad.base.suggest import did_you_mean
from subquad.tasks.command import Command
from subquad.tasks.task import Task

if TYPE_CHECKING:
    from subquad.models import NetworkConfig

__all__ = [
    "Command",
    "Task",
    "commands",
    "register_task",
    "task_called",
    "task_names",
    "task_of",
]


_PLACES: dict[str, str] = {}
_OTHERS: dict[str, Task] = {}  # of entry points, once they are asked for
_COMMANDS: dict[str, Command] = {}
GROUP = "subquad.tasks"  # of entry points


def register_task(name: str, where: str, commands: Mapping[str, Command] | None = None) -> None:
    """Add a task to the table.

    Args:
        name: Of the task.
        where: Its `Task`, "package.module:NAME"; it is imported when it is needed.
        commands: Commands of its own, by name.

    Raises:
        ValueError: If there is a task or a command of that name.
    """
    for known, new in ((_PLACES, [name]), (_COMMANDS, list(commands or {}))):
        for taken in set(new) & known.keys():
            raise ValueError(f"{taken!r} is registered already, as {known[taken]}.")
    _PLACES[name] = where
    _COMMANDS.update(commands or {})


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks, those of other packages after ours."""
    return (*_PLACES, *(name for name in _announced(tuple(sys.path)) if name not in _PLACES))


def task_called(name: str) -> Task:
    """Return a task.

    Raises:
        ValueError: If there is none of that name, or the package that announces it cannot be imported, or
            announces something else.
    """
    where = _PLACES.get(name)
    if where is not None:
        return load(where)
    if name not in _OTHERS:
        load_announced(GROUP, name, "task", lambda task: _take(name, task))
    if name in _OTHERS:
        return _OTHERS[name]
    known = task_names()
    raise ValueError(f"unknown task {name!r}.{did_you_mean(name, known)} There are {', '.join(known)}.")


def tasks_that_load(note: Callable[[str], object]) -> list[Task]:
    """Return all tasks, but for those of other packages that cannot be had or whose names are ours.

    Args:
        note: Is given a sentence for each task that is left out.
    """
    found = []
    for name in task_names():
        try:
            found.append(task_called(name))
        except ValueError as error:
            if name in _PLACES:
                raise
            note(str(error))
    for name in _announced(tuple(sys.path)):
        if name in _PLACES:
            note(f"the task {name!r} of another package is left out: the name is taken.")
    return found


def task_of(config: NetworkConfig) -> Task:
    """Return the task of a network.

    Raises:
        ValueError: If its configuration names none, or one that is not there.
    """
    name = getattr(config, "task", None)
    if name is None:
        raise ValueError(f"a {type(config).__name__} does not say which task it is for; give it a `task`.")
    return task_called(name)


def commands() -> Mapping[str, Command]:
    """Return the commands that are of one task alone, by name."""
    return _COMMANDS


@cache
def _announced(path: tuple[str, ...]) -> tuple[str, ...]:
    """Keep the names: to read what all packages announce takes 10 ms, and a command asks several times."""
    return tuple(announced(GROUP))


def _take(name: str, task: Any) -> None:
    if not isinstance(task, Task) or task.name != name:
        told = f"the task {task.name!r}" if isinstance(task, Task) else f"{task!r:.60}, which is no Task"
        raise ValueError(f"it is {told}")
    _OTHERS[name] = task


register_task(
    "segmentation",
    "subquad.tasks.segmentation.task:TASK",
    {
        "demo": Command(
            "subquad.tasks.segmentation.commands.demo:main",
            "train on built-in scenes with and without global context, and write a report",
        ),
        "serve": Command(
            "subquad.tasks.segmentation.commands.serve:main", "show a network on a local page and over HTTP"
        ),
    },
)
register_task("sequences", "subquad.tasks.sequences.task:TASK")
register_task(
    "generation",
    "subquad.tasks.generation.task:TASK",
    {
        "features": Command(
            "subquad.tasks.generation.commands.features:main",
            "train the proxy features of a data set, for proxy-FID",
        ),
    },
)
register_task("classification", "subquad.tasks.classification.task:TASK")
register_task("language", "subquad.tasks.language.task:TASK")
