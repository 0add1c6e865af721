"""`subquad fit`: train a network of any task."""

from __future__ import annotations

from subquad.base.interruption import raising
from subquad.engine.run_folder import releasing
from subquad.tasks.choice import task_to_fit
from subquad.tasks.going_on import with_options_of_run
from subquad.tasks.planning import with_root
from subquad.tasks.running import run_fit


def main(arguments: list[str]) -> None:
    """Train a network of the task that `--model.name`, `--task`, the recipe or the data tell."""
    arguments = with_options_of_run(with_root(arguments))
    with raising(), releasing():
        run_fit(task_to_fit(arguments), arguments)
