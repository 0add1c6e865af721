"""The losses and scores of a run by step, as Lightning's CSV logger left them, over all of its sessions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from subquad.base.files import read_file
from subquad.base.limits import LARGEST_LOG

RATE = "train/lr"  # the column of the learning rate


@dataclass(frozen=True)
class Point:
    """A value that was logged.

    Attributes:
        step: Optimiser steps before it.
        epoch: In which it was.
        value: Finite.
    """

    step: int
    epoch: int
    value: float


@dataclass(frozen=True)
class RunLog:
    """What a run logged.

    Attributes:
        columns: Points by the name of what was logged, in the order of their steps.
        problems: What could not be read, one sentence each.
    """

    columns: Mapping[str, list[Point]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, name: str) -> list[Point]:
        """Return the points of a column; none if there is no such column."""
        return self.columns.get(name, [])

    def at(self, step: int) -> dict[str, float]:
        """Return the values of the evaluation that was made after so many steps."""
        return {
            name: point.value
            for name, points in self.columns.items()
            if name.startswith("val/")
            for point in points
            if point.step + 1 == step  # Lightning counts the step that was made last, from 0 on
        }


def read_log(folder: Path) -> RunLog:
    """Read the logs of a run; what is damaged is left out, and said.

    A run that was interrupted has a file for each session. Where a later one repeats steps of one before,
    those of the later one count: they are what the weights come from.

    Args:
        folder: Of the run.
    """
    columns: dict[str, list[Point]] = {}
    problems = []
    files = sorted(folder.glob("logs/version_*/metrics.csv"), key=_number)
    for path in files:
        found: dict[str, list[Point]] = {}
        wrong = 0
        try:
            for values in _rows(path):
                if values is None:
                    wrong += 1
                    continue
                for name, point in values.items():
                    found.setdefault(name, []).append(point)
        except (OSError, ValueError, csv.Error) as error:
            problems.append(f"{path} cannot be read: {' '.join(str(error).split())}")
        if wrong:
            problems.append(f"{path}: {wrong:,} lines could not be understood and are left out.")
        if not found:
            continue
        first = min(points[0].step for points in found.values())
        for name in columns.keys() | found.keys():
            kept = [point for point in columns.get(name, []) if point.step < first]
            columns[name] = kept + found.get(name, [])
    if not files:
        problems.append(f"there are no logs in {folder / 'logs'}.")
    return RunLog(columns, tuple(problems))


def _number(path: Path) -> tuple[int, str]:
    """Sort version_10 behind version_9."""
    number = path.parent.name.removeprefix("version_")
    return (int(number) if number.isdecimal() and len(number) < 10 else -1, number)


def _rows(path: Path) -> Iterator[dict[str, Point] | None]:
    """Yield what each line holds; None for one that cannot be understood."""
    text = read_file(path, LARGEST_LOG, "a log has").decode("utf-8", errors="replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if not {"epoch", "step"} <= set(reader.fieldnames or ()):
        raise ValueError("it has no columns `epoch` and `step`")
    for row in reader:
        try:
            step, epoch = int(row.pop("step")), int(row.pop("epoch"))
            values = {name: float(cell) for name, cell in row.items() if name is not None and cell}
        except (ValueError, TypeError):  # cut off, or no numbers
            yield None
            continue
        yield {name: Point(step, epoch, x) for name, x in values.items() if math.isfinite(x)}
