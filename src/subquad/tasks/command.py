"""What the table of tasks says of a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command that is of one task alone.

    Attributes:
        where: Its function of the arguments, "package.module:function".
        help: What it does, in a few words.
    """

    where: str
    help: str
