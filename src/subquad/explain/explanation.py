"""What `subquad explain` tells, whatever was explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from subquad.base.table import Table
from subquad.explain.report import HtmlReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Explanation:
    """What is printed, and what is written into files.

    Attributes:
        tables: Printed on the terminal.
        page: Written as HTML.
        draw: Returns the same as one figure, if that is asked for.
        content: What `--json` writes; no number in it is not finite.
    """

    tables: Sequence[Table]
    page: HtmlReport
    draw: Callable[[], Figure]
    content: dict[str, Any]
