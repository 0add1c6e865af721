"""Which task the arguments of a command mean: the first of two passes over them."""

from __future__ import annotations

import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from subquad.base.suggest import did_you_mean
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.plain_yaml import read_yaml
from subquad.models import model_config
from subquad.models.checkpoint import read_config
from subquad.models.ready import ready_path
from subquad.tasks import Task, task_called, task_names, task_of, tasks_that_load

RECIPE_TASK = "task of a recipe"
# Of `test`, `predict` and `generate`.
_TAKE_A_VALUE = (
    "--json",
    "--output",
    "--device",
    "--format",
    "--batch_size",
    "--prompt",
    "--stop",
    "--class",
)


def task_to_fit(arguments: Sequence[str]) -> Task:
    """Return the task that `--task`, `--model.name` or the recipes ask for; what comes last counts.

    Where nothing does, what lies at `--data.root` may plainly be of one.

    Raises:
        ValueError: If there is no such task or network, or the two contradict each other.
    """
    first = Lenient()
    first.add_argument("--config", action=_Told)
    first.add_argument("--model.name", action=_Told)
    first.add_argument("--task", action=_Told)
    first.add_argument("--data.root", action=_Told)
    told = getattr(first.known_of(arguments)[0], "told", {})
    task, model = told.get("task", told.get(RECIPE_TASK)), told.get("model.name")
    asked = None if task is None else task_called(task)  # first: its package may name the network
    if model is None:
        return asked or _task_of_data(told.get("data.root")) or default_task()
    found = task_of(model_config(model))
    if asked is not None and asked.name != found.name:
        raise ValueError(
            f"--task {task}, but --model.name {model} is of the task {found.name}; leave --task out, or name "
            f"another network."
        )
    return found


def task_to_ask(arguments: Sequence[str]) -> tuple[Task, Path | None]:
    """Return the task of the checkpoint among the arguments of a command, and where it is.

    Without one that is None, and it is for the parser to complain.

    Raises:
        FileNotFoundError: If the first argument should be a checkpoint and is not there.
    """
    if arguments and not arguments[0].startswith("-"):
        checkpoint_path(arguments[0])
    first = Lenient()
    for option in _TAKE_A_VALUE:
        first.add_argument(option)
    for argument in first.known_of(arguments)[1]:
        if not argument.startswith("-") and (Path(argument).exists() or ready_path(argument)):
            try:
                config = read_config(checkpoint_path(argument))
            except (OSError, ValueError):  # a value of an option that this pass does not know
                continue
            return task_of(config), Path(argument)
    return default_task(), None


def task_to_generate(arguments: Sequence[str]) -> Task:
    """Return the task of the checkpoint among the arguments; without one, the first that makes something.

    Raises:
        FileNotFoundError: If the first argument should be a checkpoint and is not there.
        ValueError: If that is damaged, or a network that makes nothing.
    """
    first = None if not arguments or arguments[0].startswith("-") else arguments[0]
    task = task_to_ask(arguments)[0] if first is None else task_of(read_config(checkpoint_path(first)))
    if task.generates:
        return task
    makers = [one for one in tasks_that_load(lambda sentence: None) if one.generates]
    if first is not None:
        raise ValueError(
            f"{first} is a network for {task.name}, which makes nothing; give one for "
            f"{' or '.join(one.name for one in makers)}."
        )
    return makers[0]


def task_to_check(arguments: Sequence[str]) -> tuple[Task, str, list[str]]:
    """Return the task that `--format` or what lies at the path names, the format, and all formats.

    Raises:
        ValueError: If no task has such a format.
    """
    first = Lenient()
    first.add_argument("--format")
    first.add_argument("--json")
    known, others = first.known_of(arguments)
    tasks = tasks_that_load(lambda sentence: sys.stderr.write(f"note: {sentence}\n"))
    formats = [name for task in tasks for name in task.formats]
    asked = getattr(known, "format", None)
    if asked is not None:
        for task in tasks:
            if asked in task.formats:
                return task, asked, formats
        raise ValueError(
            f"unknown format {asked!r}.{did_you_mean(asked, formats)} There are {', '.join(formats)}."
        )
    # Later words may be values of options that this pass does not know.
    path = Path(others[0]) if others and not others[0].startswith("-") else None
    for task in tasks:
        name = None if path is None else task.format_of(path)
        if name is not None:
            return task, name, formats
    return default_task(), formats[0], formats


def _task_of_data(root: str | None) -> Task | None:
    """Return the task that data are plainly of."""
    tasks = [] if root is None else tasks_that_load(lambda sentence: None)
    return next((task for task in tasks if task.format_of(Path(root or "")) is not None), None)


def default_task() -> Task:
    """Return the task that is meant where nothing says which: the first of the table."""
    return task_called(task_names()[0])


class Lenient(ArgumentParser):
    """A parser of the few options that it knows; what is wrong is for the second pass to say."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def known_of(self, arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
        """Return what is known, and the rest; none of it if something cannot be understood."""
        found = Namespace()
        try:
            return self.parse_known_args(arguments, found)
        except ValueError:
            return found, []

    def error(self, message: str) -> NoReturn:
        """Raise ValueError rather than leave."""
        raise ValueError(message)


class _Told(Action):
    """Keeps what options and recipes say of task and network; what comes later takes the place.

    The task of a recipe, which each config.yaml holds, goes with the network that it names.
    """

    def __call__(
        self, parser: Any, namespace: Namespace, value: Any, option_string: str | None = None
    ) -> None:
        told = dict(getattr(namespace, "told", {}))
        new = _in_recipe(Path(value)) if self.dest == "config" else {self.dest: value}
        if "model.name" in new:
            told.pop(RECIPE_TASK, None)
        namespace.told = told | new


def _in_recipe(path: Path) -> dict[str, str]:
    """Return task and network of a recipe; what is wrong with the file is for the second pass to say."""
    try:
        content = read_yaml(path)
    except (OSError, ValueError):
        return {}
    model = content.get("model")
    name = model.get("name") if isinstance(model, dict) else content.get("model.name")
    told = {RECIPE_TASK: content.get("task"), "model.name": name}
    return {name: value for name, value in told.items() if isinstance(value, str)}
