"""`subquad generate`: what the networks of a task make."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from subquad.base.plugins import load
from subquad.tasks.choice import task_to_generate


def main(arguments: list[str]) -> None:
    """Let the task of the checkpoint do it."""
    command: Callable[[list[str]], None] = load(task_to_generate(arguments).generates)
    try:
        command(arguments)
    except BrokenPipeError:  # as `head` does when it has seen enough
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # Python writes the rest at its end, and would complain again
        os.close(nowhere)
