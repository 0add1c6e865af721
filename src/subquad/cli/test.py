"""`subquad test`: evaluate a checkpoint of any task."""

from __future__ import annotations

from subquad.tasks.asking import run_test


def main(arguments: list[str]) -> None:
    """Evaluate a checkpoint; which options there are depends on its task."""
    run_test(arguments)
