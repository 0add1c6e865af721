"""A run that goes on takes its own options where the command says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subquad.engine.plain_yaml import read_yaml
from subquad.engine.recipes import given_recipes
from subquad.engine.run import FOLDER
from subquad.engine.run_folder import is_resumable
from subquad.tasks.choice import Lenient


def with_options_of_run(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `fit`; with `--resume`, those of the run in `--output` come before them.

    Where the arguments name recipes, these are meant.
    """
    first = Lenient()
    first.add_argument("--output", default=FOLDER)
    first.add_argument("--resume", action="store_true")
    told, _ = first.known_of(arguments)
    if not getattr(told, "resume", False) or given_recipes(arguments):
        return list(arguments)
    own = Path(told.output) / "config.yaml"
    try:
        goes_on = is_resumable(own.parent) and bool(read_yaml(own))
    except (OSError, ValueError):  # the checkpoint is compared with it later, and what is wrong told
        goes_on = False
    return ["--config", str(own), *arguments] if goes_on else list(arguments)
