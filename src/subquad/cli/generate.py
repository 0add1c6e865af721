"""`subquad generate`: what the networks of a task make."""

from __future__ import annotations

from collections.abc import Callable

from subquad.base.plugins import load
from subquad.tasks.choice import task_to_generate


def main(arguments: list[str]) -> None:
    """Let the task of the checkpoint do it."""
    command: Callable[[list[str]], None] = load(task_to_generate(arguments).generates)
    command(arguments)
