"""Cases of a test that run at night alone, since others stand for them by day."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def some_by_day(cases: Iterable[Any], by_day: Callable[[Any], bool]) -> list[Any]:
    """Return the parameters of a test: those for which `by_day` is false are marked `slow`."""
    return [case if by_day(case) else pytest.param(case, marks=pytest.mark.slow) for case in cases]
