"""Results of an experiment: a JSON line for each run, and the table that is made of them."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from subquad.engine.experiment import Experiment

Line = Mapping[str, Any]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of results; none if it is not there.

    Raises:
        ValueError: If a line is no JSON object.
    """
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is no JSON: {error}.") from error
        if not isinstance(line, dict):
            raise ValueError(f"line {number} of {path} is no result, but {text:.40}.")
        lines.append(line)
    return lines


def add_line(path: Path, line: Line) -> None:
    """Add a result to a file, whole or not at all, whoever else adds to it at the same time.

    Raises:
        ValueError: If a number of it is not finite: that is no result.
    """
    try:
        text = json.dumps(line, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"a result that is not finite is none: {line!r:.200}.") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, f"{text}\n".encode())  # one write: lines of two processes do not mix
    finally:
        os.close(file)


def of_case(lines: Iterable[Line], case: str) -> list[Line]:
    """Return the lines of a case, by seed."""
    return sorted((line for line in lines if line.get("case") == case), key=lambda line: line["seed"])


def case_names(experiment: Experiment, lines: Iterable[Line]) -> list[str]:
    """Return the cases of an experiment; of a script those that its lines name, in their order."""
    return list(experiment.cases or dict.fromkeys(line["case"] for line in lines if "case" in line))


def mean_and_deviation(values: Sequence[float], digits: int = 1) -> str:
    """Return "88.8 ± 0.4"; of one number the number alone, of none nothing."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def case_table(experiment: Experiment, lines: Sequence[Line]) -> list[list[str]]:
    """Return the table of the cases that have results: a heading, then a row each.

    A row has the mean and the standard deviation over the seeds, and each seed's number.
    """
    unit, factor = (", %", 100) if experiment.percent else ("", 1)
    name = experiment.score.replace("_", " ").replace("iou", "IoU")
    table = [["case", f"{name}{unit}", "seeds", *experiment.columns.values()]]
    for case in case_names(experiment, lines):
        of = of_case(lines, case)
        if not of:
            continue
        scores = [factor * line[experiment.score] for line in of]
        digits = 1 if experiment.percent else 3
        seeds = ", ".join(f"{score:.{digits}f}" for score in scores)
        more = [[number_of(line, key) for line in of] for key in experiment.columns]
        told = [_column([number for number in numbers if number is not None]) for numbers in more]
        table.append([case, mean_and_deviation(scores, digits), seeds, *told])
    return table


def number_of(line: Line, key: str) -> float | None:
    """Return a number of a result, or the mean IoU, %, of the classes with a word; None if there is none."""
    name, _, word = key.partition(" ")
    if not word:
        return line.get(name)
    of = [iou for told, iou in line.get(name, {}).items() if word in told and iou is not None]
    return 100 * statistics.fmean(of) if of else None


def _column(values: Sequence[float]) -> str:
    """Return mean and deviation with three digits that count; of numbers that are equal the number."""
    if not values:
        return ""
    if len(set(values)) == 1 and isinstance(values[0], int):
        return f"{values[0]:,}"
    largest = max(map(abs, values))
    digits = 0 if largest >= 100 else 2 - math.floor(math.log10(largest)) if largest > 0 else 0
    return mean_and_deviation(values, max(0, digits))


def own_table(experiment: Experiment) -> str:
    """Return what the `tables.py` that an experiment names prints."""
    script, *arguments = experiment.tables
    command = [sys.executable, str(experiment.folder / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return a table as markdown: words in the first column, numbers in the others."""
    heading, *rows = table
    lines = [heading, ["---", *["--:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_text(experiment: Experiment, lines: Sequence[Line]) -> str:
    """Return the tables of an experiment in markdown: its own, or that of its cases; "" without results."""
    if experiment.tables:
        has_results = any(experiment.folder.rglob("*.json*"))
        return own_table(experiment) if has_results else ""
    table = case_table(experiment, lines)
    return markdown(table) if len(table) > 1 else ""
