"""`subquad test` and `subquad predict` of any task: a checkpoint, and what the run says that it is of."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from subquad.base.suggest import and_more
from subquad.data.picture_files import SUFFIXES, image_files
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_checkpoint, add_device, add_json, add_overwrite
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import read_yaml
from subquad.engine.progress import doing, is_first_process
from subquad.engine.tables import print_scores
from subquad.models import load_model
from subquad.models.checkpoint import read_config
from subquad.models.ready import READY
from subquad.tasks import Task, task_of
from subquad.tasks.choice import default_task, task_to_ask
from subquad.tasks.fitting import fit_parser

WRITES = "subquad test"
USUAL = (  # what `--help` shows of any task; a task adds its own
    *("json", "seed", "output", "overwrite", "device", "batch_size", "data.name", "data.root"),
    *("data.evaluation", "data.eval_batch_size", "data.workers", "trainer.accelerator", "trainer.devices"),
    "trainer.precision",
)


def run_test(arguments: Sequence[str]) -> None:
    """Parse, evaluate, print the scores, and write them if asked to."""
    task, p, options, _ = _asked("test", arguments)
    path = checkpoint_path(options.checkpoint)
    check_scores(options.json, WRITES, [path])
    given: Any = p.instantiate(options)
    with doing("reading network and data"):
        network: Any = load_model(path)
        data = task.open_data(given, network.config)
        task.check_fits(network.config, data, options.checkpoint)
    with doing("evaluating"):
        scores = task.evaluate(network, data, given)
    if is_first_process():
        print_scores(scores)
        write_scores(options.json, WRITES, {"task": task.name, **scores.to_json()})


def run_predict(arguments: Sequence[str]) -> None:
    """Parse, load the network, let its task predict, print what it says."""
    arguments = with_ready(arguments)
    task, p, options, run = _asked("predict", arguments)
    with doing("predicting"):
        network = load_model(checkpoint_path(options.checkpoint))
        told = task.predict(move(network, options.device), p.instantiate(options), run)
    sys.stdout.write(f"{told}\n")


def with_ready(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `predict`; pictures in the checkpoint's place ask for the ready network.

    Raises:
        ValueError: If several pictures are given, as a shell makes them of `*.jpg`.
    """
    first = [*takewhile(lambda argument: not argument.startswith("-"), arguments)]
    first = first or _positionals(ask_parser("predict", default_task()), arguments)
    pictures = [argument for argument in first if Path(argument).suffix.lower() in SUFFIXES]
    if len(pictures) > 1:
        raise ValueError(
            f"{len(pictures)} pictures are given ({and_more(pictures, 2)}); give one, or the folder that "
            "they are in."
        )
    if len(first) == 1 and (first[0] in pictures or _holds_pictures_alone(Path(first[0]))):
        sys.stderr.write(f"note: no checkpoint is given, so {READY[0]} is taken, which comes with subquad.\n")
        return [READY[0], *arguments]
    return list(arguments)


def _positionals(p: Parser, arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are neither an option nor its value."""
    flags = {option for action in p._actions if action.nargs == 0 for option in action.option_strings}
    found, rest = [], iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            found.append(argument)
        elif "=" not in argument and argument not in flags:
            next(rest, None)
    return found


def _holds_pictures_alone(path: Path) -> bool:
    """Say whether a path is a folder of pictures and of no run."""
    if not path.is_dir() or not image_files(path):
        return False
    return not any(each.suffix in (".safetensors", ".ckpt") for each in path.iterdir())


def ask_parser(
    command: Literal["test", "predict"],
    task: Task,
    run: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
) -> Parser:
    """Return the options of `subquad test` or `subquad predict` of a task.

    Args:
        command: Which of the two.
        task: Of the checkpoint.
        run: What is kept of the run that it is of.
        arguments: Of the command.
    """
    what = "Evaluate a checkpoint." if command == "test" else "Predict with a checkpoint."
    p = Parser(arguments, prog=f"subquad {command}", description=f"{what} The task: {task.name}.")
    add_checkpoint(p, ", which tells which data")
    if command == "test":
        add_json(p, "the scores")
        task.add_test_options(p, run or {})
    else:
        add_device(p)
        add_overwrite(p)
        task.add_predict_options(p, run or {})
    p.usual += USUAL
    return p


def _asked(
    command: Literal["test", "predict"], arguments: Sequence[str]
) -> tuple[Task, Parser, Any, Mapping[str, Any]]:
    """Return the task, its parser, what it parsed, and what is kept of the run."""
    task, found = task_to_ask(arguments)
    while True:
        # A folder is tested on the data of its run, weights alone on the data that are given; but how
        # sequences are read is that of the run in either case.
        is_read = found is not None and (command == "test" or task.predicts_by_run)
        run = run_of(task, found, or_file=command == "predict") if found is not None and is_read else {}
        p = ask_parser(command, task, run, arguments)
        options = p.parse_args()
        meant = Path(options.checkpoint)
        if meant == found:
            return task, p, options, run
        # The first pass took the value of an option for the checkpoint, or found none.
        task, found = task_of(read_config(checkpoint_path(options.checkpoint))), meant


def run_of(task: Task, checkpoint: Path, *, or_file: bool = False) -> dict[str, Any]:
    """Return what config.yaml tells of the run that a checkpoint is of; {} without one.

    Only what an evaluation asks for is read: a trainer of another version changes nothing.

    Args:
        task: Of the run.
        checkpoint: The folder of a run, or weights.
        or_file: Whether a run may be given by the file of its weights, too.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no YAML of plain values, has no section `data`, or holds what is no option.
    """
    is_file = or_file and checkpoint.suffix == ".safetensors"
    config = (checkpoint.parent if is_file else checkpoint) / "config.yaml"
    if not config.is_file():
        return {}
    content = read_yaml(config)
    if not isinstance(content.get("data"), dict):
        if is_file:  # it only lies beside the weights
            return {}
        raise ValueError(f"{config} has no section `data`; it is not of `subquad fit`.")
    p = fit_parser(task)
    p.recipes = [str(config)]
    return p.parse_content({name: content[name] for name in task.kept_of_run if name in content})
