"""`subquad explain` of any task: what a network makes of one picture, sequence or text."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subquad.base.files import check_writable, write_whole
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_device, add_json, add_optional
from subquad.engine.outputs import check_outputs, check_scores, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing, note
from subquad.engine.tables import print_table
from subquad.explain.report import MARK, refuse_foreign_page
from subquad.models import load_model
from subquad.models.checkpoint import read_config
from subquad.tasks import Task, task_of
from subquad.tasks.asking import run_of
from subquad.tasks.choice import Lenient, default_task, tasks_that_load

WRITES = "subquad explain"
SOFTWARE = b"subquad explain"  # in the PNG
USUAL = ("model", "output", "png", "json", "device")


def run_explain(arguments: Sequence[str]) -> None:
    """Parse, let the task of the network explain, print tables, write page, figure and numbers."""
    task, run = _task_and_run(arguments)
    p = explain_parser(task, run, arguments)
    options = p.parse_args()
    if options.model is None:
        raise ValueError("the network is missing: give --model, the folder of a run, weights, or nuclei.")
    if not task.explains:
        raise ValueError(_unexplained(options.model, task))
    path = checkpoint_path(options.model)
    _check_files(options, [path, options.input])
    given: Any = p.instantiate(options)
    with doing("explaining"):
        network: Any = move(load_model(path), options.device)
        found = task.explain(network, given, run)
        if options.png is not None:
            note("the figure")
            write_whole(options.png, _png(found.draw()))
    for table in found.tables:
        print_table(table.title, table.columns, table.rows)
    found.page.save(options.output)
    write_scores(options.json, WRITES, {"task": task.name, **found.content})
    written = (path for path in (options.output, options.png, options.json) if path is not None)
    sys.stdout.write(f"explanation: {', '.join(map(str, written))}\n")


def explain_parser(task: Task, run: Mapping[str, Any] | None = None, arguments: Sequence[str] = ()) -> Parser:
    """Return the options of `subquad explain` of a task.

    Args:
        task: Of the network.
        run: What is kept of the run that it is of.
        arguments: Of the command.
    """
    what = task.explains or "nothing"
    p = Parser(
        arguments,
        prog="subquad explain",
        description=f"Show what a network makes of one input, here {what}, and why. The task: {task.name}.",
    )
    p.add_argument("input", type=str, help=f"What is explained: {what}.")
    add_optional(p, "model", str, "A .safetensors file, a folder that `fit` wrote, or nuclei.")
    p.add_argument(
        "--output",
        type=str,
        default="explain.html",
        help="Page to write; an earlier page of ours is replaced.",
    )
    add_optional(p, "png", str, "Also write one figure; an earlier one of ours is replaced.")
    add_device(p)
    add_json(p, "the numbers")
    task.add_explain_options(p, run or {})
    p.usual += USUAL
    return p


def _task_and_run(arguments: Sequence[str]) -> tuple[Task, Mapping[str, Any]]:
    """Return the task of the network that `--model` names, and what is kept of its run."""
    first = Lenient()
    first.add_argument("--model")
    model = getattr(first.known_of(arguments)[0], "model", None)
    if model is None:  # the parser complains, or helps
        return default_task(), {}
    task = task_of(read_config(checkpoint_path(model)))
    return task, run_of(task, Path(model), or_file=True) if task.predicts_by_run else {}


def _unexplained(model: str, task: Task) -> str:
    others = [one.name for one in tasks_that_load(lambda sentence: None) if one.explains]
    return (
        f"{model} is a network for {task.name}, which is not explained; give one for "
        f"{', '.join(others[:-1])} or {others[-1]}."
    )


def _check_files(options: Any, inputs: Sequence[str | Path]) -> None:
    """Raise ValueError for files that cannot be written, or are not to be replaced."""
    written = [Path(path) for path in (options.output, options.png, options.json) if path is not None]
    if len({path.resolve() for path in written}) < len(written):
        raise ValueError("--output, --png and --json must be different files.")
    check_scores(options.json, WRITES, inputs)
    for name, path, mark in (("output", options.output, MARK.encode()), ("png", options.png, SOFTWARE)):
        if path is not None:
            check_writable(path)
            check_outputs([Path(path)], inputs, overwrite=True, option=f"--{name}")
            refuse_foreign_page(path, f"give another --{name}", mark)


def _png(figure: Any) -> bytes:
    """Return the content of a figure's file, always the same."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing", category=UserWarning
        )  # then it is a box
        figure.savefig(content, format="png", dpi=110, metadata={"Software": SOFTWARE.decode()})
    return content.getvalue()
