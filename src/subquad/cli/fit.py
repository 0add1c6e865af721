"""`subquad fit`: train a network; which options there are depends on its kind."""

from __future__ import annotations

from importlib import import_module

from subquad.base.interruption import raising
from subquad.cli.kinds import kind_of_arguments


def main(arguments: list[str]) -> None:
    """Train a network of the kind that `--model.name` or the recipe names."""
    with raising():
        import_module(f"subquad.tasks.{kind_of_arguments(arguments)}.commands.fit").main(arguments)
