"""`subquad test`: evaluate a checkpoint; which options there are depends on the kind of its network."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from subquad.cli.kinds import Kind, kind_of_config
from subquad.cli.options import checkpoint_path


def main(arguments: list[str]) -> None:
    """Evaluate a network of any kind."""
    import_module(f"subquad.cli.test_{_kind(arguments)}").main(arguments)


def _kind(arguments: list[str]) -> Kind:
    """Return the kind of the checkpoint among the arguments; without one, the parser will complain."""
    from subquad.models import read_config

    if arguments and not arguments[0].startswith("-"):
        checkpoint_path(arguments[0])  # raises if it is not there
    for argument in arguments:
        if not argument.startswith("-") and Path(argument).exists():
            try:
                return kind_of_config(read_config(checkpoint_path(argument)))
            except (OSError, ValueError):
                continue
    return "segmentation"
