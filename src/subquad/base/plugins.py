"""What installed packages announce as entry points; looked up by name, when something asks for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def load_announced(group: str, name: str, what: str, take: Callable[[Any], object]) -> None:
    """Load what installed packages announce under a name, and hand it on.

    The name is compared with those of the entry points and nothing else: a file that holds it chooses
    among what is installed, and imports nothing.

    Args:
        group: Of entry points, such as "subquad.families".
        name: Of the entry point.
        what: What the group holds, for the message, such as "family".
        take: Is given what was loaded.

    Raises:
        ValueError: If the package cannot be imported, or `take` does not want what it announces.
    """
    for point in entry_points(group=group, name=name):
        try:
            take(point.load())
        except Exception as error:  # whatever a foreign module raises
            why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise ValueError(
                f"the {what} {name!r} of {point.value} cannot be had: {why}; mend or remove the package that "
                f"announces it."
            ) from error


def announced(group: str) -> list[str]:
    """Return the names that installed packages announce, in a group of entry points; nothing is imported."""
    return sorted({point.name for point in entry_points(group=group)})


def load(where: str) -> Any:
    """Return what stands at "package.module:NAME", a place that our code names, never a file."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def place_of(owner: type[Any]) -> str:
    """Return where a class is defined: the same for one that a reload has made anew."""
    return f"{owner.__module__}.{owner.__qualname__}"
