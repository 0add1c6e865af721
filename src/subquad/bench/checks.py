"""What the numbers of a measurement must be, said by the name of the one that is not."""

from __future__ import annotations

from collections.abc import Mapping


def check_numbers(numbers: Mapping[str, int], least: int = 1) -> None:
    """Raise ValueError for the first number that is too small.

    Args:
        numbers: By the names that the user gives them.
        least: That each may be.
    """
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}.")


def check_budget(seconds: float) -> None:
    """Raise ValueError unless a budget lets a way run at all."""
    if not seconds > 0:
        raise ValueError(f"budget must be above 0 seconds, got {seconds:g}.")
