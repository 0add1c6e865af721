"""Kinds of work, one folder each: what a task tells the commands, and the table of all tasks.

The commands of `subquad` know no task: they iterate this table. A new task is a folder and a line at the
end of this file; of another package, an entry point of the group "subquad.tasks". This module imports
nothing of weight, so that `subquad --help` can read the table at once; docs/add_a_task.md shows how a
task is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from subquad.base.plugins import announced, load, load_announced
from subquad.base.suggest import did_you_mean
from subquad.tasks.command import Command

if TYPE_CHECKING:
    from subquad.engine.data import RunData
    from subquad.engine.learner import Learner
    from subquad.engine.parsing import Parser
    from subquad.engine.scores import Scores
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


class Task(ABC):
    """One kind of work: its data, its networks, their training and what is asked of them.

    `options` are the parsed options of a command by name: those that every run has (`options.seed`,
    `options.output`, ...) and those that the task added. What a task calls wrong is a ValueError or an
    OSError in one sentence, which quotes what came in and tells the remedy.

    Attributes:
        name: As `--task` and the attribute `task` of a network's configuration have it.
        default_model: The network that is trained if none is named.
        formats: What `subquad data check --format` can look over.
        kept_of_run: The options of `fit` (or groups of them) that `test` and `predict` of its run read.
        predicts_by_run: Whether `predict` asks how the run of a network read its data.
        fit_defaults: What options of training are if they are not given, where it is not as usual.
    """

    name: ClassVar[str]
    default_model: ClassVar[str]
    formats: ClassVar[tuple[str, ...]] = ()
    kept_of_run: ClassVar[tuple[str, ...]] = ("data", "model", "seed")
    predicts_by_run: ClassVar[bool] = False
    fit_defaults: ClassVar[Mapping[str, Any]] = {}

    # subquad fit, in this order

    @abstractmethod
    def add_fit_options(self, p: Parser) -> None:
        """Add the groups `model`, `data` and `optimizer`, and what else training is told.

        What is a path is named in `p.paths`; what is wrong with a value is for `p.checks` to say.
        """

    def older_defaults(self, saved: Mapping[str, Any], options: Any) -> dict[str, Any]:
        """Return what options were, by their full names, in a run of before that does not name them.

        Args:
            saved: What config.yaml of the run that goes on says, by the names of today.
            options: As they are now.
        """
        return {}

    @abstractmethod
    def open_data(self, options: Any, config: NetworkConfig | None = None) -> RunData:
        """Open the data, and say on stderr what in them a user should know.

        Args:
            options: With the group `data`.
            config: Of the network that is evaluated on them; None opens them for training.

        Raises:
            FileNotFoundError: If something is not there.
            ValueError: If it cannot be understood, or teaches nothing.
        """

    @abstractmethod
    def configure(self, options: Any, data: Any) -> NetworkConfig:
        """Return the configuration of the network that is asked for, with what the data decide.

        Raises:
            ValueError: If it is a network for another task, or the data contradict an option.
        """

    @abstractmethod
    def learner(self, network: Any, data: Any, options: Any) -> Learner:
        """Return the network in training: losses, optimiser and metrics."""

    @abstractmethod
    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> Learner:
        """Rebuild a learner from its `replay_options`.

        Raises:
            ValueError, TypeError, KeyError: If they are wrong.
        """

    # subquad test

    @abstractmethod
    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add the group `data`, and what else an evaluation is told.

        Args:
            p: The parser; `p.is_given(name)` tells whether an option is among the arguments.
            run: The options `kept_of_run` of the run whose folder is evaluated, to be the defaults; {} of
                a file.
        """

    @abstractmethod
    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network was trained for such data with these classes."""

    @abstractmethod
    def evaluate(self, network: Any, data: Any, options: Any) -> Scores:
        """Return the scores of a network on data."""

    # subquad convert

    def classes_of(self, source: str) -> dict[str, Any]:
        """Return options of a network that name its classes, `class_names` among them.

        Args:
            source: A file of class names, or the name of a published data set.
        """
        raise ValueError(f"networks of the task {self.name} take no file of classes; leave --classes out.")

    # subquad predict

    @abstractmethod
    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add what is predicted, `--output`, and what else a prediction is told; `run` as above."""

    @abstractmethod
    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Predict, write files, and return a sentence that says what was written.

        Args:
            network: On its device.
            options: As they were parsed.
            run: As above.
        """

    # subquad data check

    def format_of(self, path: Path) -> str | None:
        """Return in which of `formats` data are that are plainly of this task; None if that is not plain."""
        return None

    def add_check_options(self, p: Parser) -> None:
        """Add how the data at `path`, in `--format`, are to be read."""
        return

    def check_data(self, options: Any) -> Any:
        """Return a report of the data at `options.path`, as `subquad.engine.scores.DataReport`."""
        raise NotImplementedError

    # subquad data convert

    def convert_data(self, options: Any) -> str:
        """Write the data at `options.path` into the folder `options.output`, and say what was written.

        Args:
            options: Those of `add_check_options`, too.
        """
        raise ValueError(f"data of the task {self.name} are read as they are; there is nothing to convert.")


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
    return (*_PLACES, *(name for name in announced(GROUP) if name not in _PLACES))


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
    for name in announced(GROUP):
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
        )
    },
)
register_task("sequences", "subquad.tasks.sequences.task:TASK")
register_task(
    "generation",
    "subquad.tasks.generation.task:TASK",
    {
        "generate": Command("subquad.tasks.generation.commands.generate:main", "make images of a class"),
        "features": Command(
            "subquad.tasks.generation.commands.features:main",
            "train the proxy features of a data set, for proxy-FID",
        ),
    },
)
register_task("classification", "subquad.tasks.classification.task:TASK")
