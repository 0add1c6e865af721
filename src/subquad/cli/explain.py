"""`subquad explain`: what a network makes of one input, and why."""

from __future__ import annotations

from subquad.tasks.explaining import run_explain


def main(arguments: list[str]) -> None:
    """Explain one input; which options there are depends on the task of the network."""
    run_explain(arguments)
