"""`subquad predict`: what a network says of new data; which, depends on the kind of the network."""

from __future__ import annotations

from importlib import import_module

from subquad.cli.kinds import kind_of_checkpoint


def main(arguments: list[str]) -> None:
    """Segment pictures, or classify sequences."""
    kind = kind_of_checkpoint(arguments)
    if kind == "generation":
        raise ValueError("a HamGAN makes images rather than reads them; use `subquad generate`.")
    import_module(f"subquad.tasks.{kind}.commands.predict").main(arguments)
