"""A training run of any task, from its options to its best weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import read_yaml
from subquad.engine.progress import doing, is_first_process
from subquad.engine.run import (
    add_run_options,
    check_seed,
    quiet_lightning,
)
from subquad.engine.run_folder import is_resumable
from subquad.engine.run_record import RunOptions
from subquad.engine.start import load_start, settle_start
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import model_config
from subquad.tasks import Task, task_names

if TYPE_CHECKING:
    from subquad.engine.learner import Learner

WEIGHTS = "best.safetensors"
USUAL = (  # what `--help` shows of any task; a task adds its own
    *("config", "output", "resume", "task", "seed", "model.name", "model.weights", "model.num_classes"),
    *("data.name", "data.root", "data.batch_size", "data.workers", "optimizer.lr", "optimizer.warmup_steps"),
    *("trainer.max_epochs", "trainer.max_steps", "trainer.accelerator", "trainer.devices"),
    "trainer.precision",
)


def fit_parser(task: Task, arguments: Sequence[str] = ()) -> Parser:
    """Return the options of `subquad fit` of a task."""
    p = Parser(
        arguments,
        prog="subquad fit",
        description=f"Train a network; these are the options of the task {task.name}. Which task it is, "
        f"--model.name tells, or --task.",
    )
    add_run_options(p, task.name, task_names())
    add_training_options(p, task)
    p.usual += USUAL
    return p


def add_training_options(p: Parser, task: Task) -> None:
    """Add what decides a training of a task: network, data, optimiser, trainer; with the task's defaults."""
    task.add_fit_options(p)
    add_trainer_options(p)
    p.set_defaults(dict(task.fit_defaults))
    p.checks.append(partial(settle_start, p))


def fit(
    task: Task,
    options: Any,
    folder: Path,
    given: RunOptions | None = None,
    *,
    alter: Callable[[Any], object] | None = None,
) -> Learner:
    """Train as the options say; go on if the folder holds a run.

    Args:
        task: What is trained.
        options: Of `fit_parser`, with its groups instantiated.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt` and `logs`.
        given: All options as they are saved; None does not save or compare them.
        alter: Changes the network before it is trained, in what no option says. Its weights are not
            written, as the configuration alone could not load them.

    Returns:
        The learner, which knows the scores of the last evaluation and which one was the best.
    """
    check_seed(options.seed)
    with doing("reading data"):
        data = task.open_data(options)
    torch.manual_seed(options.seed)
    with doing("building network"):
        config = task.configure(options, data)
        network = config.build()
    if not is_resumable(folder):
        tell_other_steps(config, options.model)
    if alter is not None:
        alter(network)
    load_start(network, options.model, folder)
    with doing("preparing training", beats=not sys.stderr.isatty()) as progress:  # a terminal has a bar
        from subquad.engine.training_run import train  # Lightning takes seconds

        quiet_lightning()
        learner = task.learner(network, data, options)
        train(learner, data, options, folder, progress, given, saves=alter is None)
    return learner


def tell_other_steps(config: Any, given: Any) -> None:
    """Say on stderr if a ham was given other iterations for training alone: evaluation keeps its own number.

    Args:
        config: Of the network that is built.
        given: The options of the network.
    """
    steps, eval_steps = getattr(config, "steps", None), getattr(config, "eval_steps", None)
    if eval_steps in (None, steps) or getattr(given, "eval_steps", None) is not None:
        return
    if getattr(config, "context", "hamburger") != "hamburger":  # nothing iterates
        return
    usual = None
    with suppress(ValueError):  # a network of the task's own, by another name
        usual = getattr(model_config(given.name), "steps", None)
    if getattr(given, "steps", None) in (None, usual):
        return
    if is_first_process():
        sys.stderr.write(
            f"note: --model.steps {steps}, but evaluation takes {eval_steps} steps, the default of "
            f"{given.name}; --model.eval_steps {steps} evaluates it as it is trained.\n"
        )


def take_older_defaults(task: Task, p: Parser, options: Any, folder: Path) -> None:
    """Set what a run of an earlier version, if such a one goes on, does not name as it was then."""
    if not is_resumable(folder):
        return
    try:
        saved = p.by_new_names(read_yaml(folder / "config.yaml"), note=False)
    except (OSError, ValueError):  # it is compared later, and told
        return
    older = task.older_defaults(saved, options)
    for name, value in older.items():
        options[name] = value
    p.set_defaults(older)
