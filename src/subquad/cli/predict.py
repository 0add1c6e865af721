"""`subquad predict`: what a checkpoint says of new data."""

from __future__ import annotations

from subquad.tasks.asking import run_predict


def main(arguments: list[str]) -> None:
    """Predict with a checkpoint; which options there are depends on its task."""
    run_predict(arguments)
