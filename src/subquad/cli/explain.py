"""`subquad explain`: what a network makes of one input, and why."""

from __future__ import annotations

from subquad.engine.progress import doing


def main(arguments: list[str]) -> None:
    """Explain one input; which options there are depends on the task of the network."""
    if {"-h", "--help"} & set(arguments):
        from subquad.tasks.explaining import run_explain
    else:
        with doing("reading the network"):  # said before PyTorch is imported, which takes seconds
            from subquad.tasks.explaining import run_explain
    run_explain(arguments)
