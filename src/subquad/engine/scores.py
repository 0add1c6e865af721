"""What an evaluation or a look at data tells, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from subquad.base.table import Table


class Scores(Protocol):
    """What an evaluation found."""

    def tables(self) -> list[Table]:
        """Return what is printed; the first title says what matters most."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` writes; null stands for "not applicable", and no number is not finite."""
        ...


class DataReport(Protocol):
    """What a look at data found; `str()` of it is a text to read."""

    problems: list[str]

    @property
    def notes(self) -> Sequence[str]:
        """What is not wrong, but good to know."""
        ...

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        ...
