"""`subquad test`: evaluate a checkpoint; which options there are depends on the kind of its network."""

from __future__ import annotations

from importlib import import_module

from subquad.cli.kinds import kind_of_checkpoint


def main(arguments: list[str]) -> None:
    """Evaluate a network of any kind."""
    import_module(f"subquad.tasks.{kind_of_checkpoint(arguments)}.commands.test").main(arguments)
