"""`subquad plan`: which network, start, crop, batch and length of training suit the data, and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from subquad.base.files import write_whole
from subquad.engine.options import add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.tasks import Task
from subquad.tasks.choice import task_to_fit
from subquad.tasks.fitting import add_training_options
from subquad.tasks.planning import plan_of, with_root


def parser(task: Task, arguments: Sequence[str] = ()) -> Parser:
    """Return the options of `subquad plan` of a task: those of `fit`, to be kept, and the recipe."""
    p = Parser(
        arguments,
        prog="subquad plan",
        description="Choose network, pretrained start, crop, batch and length of training from the data, say "
        "why, and write it as a recipe: `subquad plan PATH`. What is given stays as it is.",
    )
    p.add_argument("--output", type=str, default="plan.yaml", help="The recipe to write.")
    add_overwrite(p)
    p.add_argument("--seed", type=int, default=0, help="Of the split, where the data have none.")
    add_training_options(p, task)
    p.usual += ["output", "overwrite", "seed", "data.root", "data.classes", "data.num_classes"]
    p.usual += ["data.batch_size", "data.crop", "model.pretrained", "model.backbone", "trainer.max_epochs"]
    return p


def main(arguments: list[str]) -> None:
    """Print the plan, and write it."""
    arguments = with_root(arguments)
    task = task_to_fit(arguments)
    p = parser(task, arguments)
    options = p.parse_args()
    output = Path(options.output)
    plan = plan_of(task, p, options)
    if plan is None:
        raise ValueError(
            f"there is no plan for these data of the task {task.name}: published sets have recipes "
            f"(recipes/, docs/training.md), and pictures of one's own are given as `subquad plan PATH`."
        )
    sys.stdout.write(plan.text())  # to be read, even if it is not to be kept
    check_outputs([output], [options.data.root or ""], overwrite=options.overwrite)
    write_whole(output, plan.recipe().encode())
    sys.stdout.write(f"wrote {output}; train with it: subquad fit --config {output}\n")
