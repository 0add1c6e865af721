"""`subquad test` and `subquad predict` of any task: a checkpoint, and what the run says that it is of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_checkpoint, add_device, add_json, add_overwrite
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import read_yaml
from subquad.engine.run import is_first_process, quiet_lightning
from subquad.engine.tables import print_scores
from subquad.models import load_model
from subquad.tasks import Task
from subquad.tasks.choice import task_to_ask
from subquad.tasks.fitting import fit_parser

TASK_KEY = "task"  # in files of scores


def run_test(arguments: Sequence[str]) -> None:
    """Parse, evaluate, print the scores, and write them if asked to."""
    task, p, options, _ = _parsed("test", "Evaluate a checkpoint.", arguments)
    path = checkpoint_path(options.checkpoint)
    quiet_lightning()
    check_scores(options.json, TASK_KEY, [path])
    given: Any = p.instantiate(options)
    network: Any = load_model(path)
    data = task.open_data(given, network.config)
    task.check_fits(network.config, data, options.checkpoint)
    scores = task.evaluate(network, data, given)
    if is_first_process():
        print_scores(scores)
        write_scores(options.json, {TASK_KEY: task.name, **scores.to_json()})


def run_predict(arguments: Sequence[str]) -> None:
    """Parse, load the network, let its task predict, print what it says."""
    task, p, options, run = _parsed("predict", "Predict with a checkpoint.", arguments)
    network = load_model(checkpoint_path(options.checkpoint))
    sys.stdout.write(f"{task.predict(move(network, options.device), p.instantiate(options), run)}\n")


def _parsed(
    command: str, description: str, arguments: Sequence[str]
) -> tuple[Task, Parser, Any, dict[str, Any]]:
    """Return the task, its parser, what it parsed, and what is kept of the run."""
    task, file = task_to_ask(arguments)
    # The data of a run are those of its folder: its weights alone are tested on the data that are given.
    run_of_file = command == "predict" or str(file) not in arguments
    run = _kept_of_run(task, file) if file is not None and run_of_file else {}
    p = Parser(arguments, prog=f"subquad {command}", description=f"{description} The task: {task.name}.")
    add_checkpoint(p, ", which tells which data")
    if command == "test":
        add_json(p, "the scores")
        task.add_test_options(p, run)
    else:
        add_device(p)
        add_overwrite(p)
        task.add_predict_options(p, run)
    return task, p, p.parse_args(), run


def _kept_of_run(task: Task, file: Path) -> dict[str, Any]:
    """Return what config.yaml beside the weights of a run tells of it; {} without one.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no YAML of plain values, has no section `data`, or holds what is no option.
    """
    config = file.parent / "config.yaml"
    if not config.is_file():
        return {}
    content = read_yaml(config)
    if not isinstance(content.get("data"), dict):
        raise ValueError(f"{config} has no section `data`; it is not of `subquad fit`.")
    p = fit_parser(task)
    p.recipes = [str(config)]
    return p.parse_content({name: content[name] for name in task.kept_of_run if name in content})
