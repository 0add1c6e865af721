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

from subquad.base.files import read_file
from subquad.base.locks import take_lock
from subquad.base.table import markdown
from subquad.engine.experiment import Experiment

Line = Mapping[str, Any]
LARGEST_RESULTS = 2**26
_REMEDY = "remove that line, and what it was of is made anew"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of results; none if it is not there.

    Raises:
        ValueError: If it is no file of text, or a line is no JSON object with finite numbers.
    """
    if not path.exists():
        return []
    try:
        texts = read_file(path, LARGEST_RESULTS, "results are").decode().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8; results are JSON, a line each.") from error
    lines = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text, parse_constant=_refuse)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is no JSON ({error}); {_REMEDY}.") from error
        if not isinstance(line, dict):
            raise ValueError(f"line {number} of {path} is no result, but {text:.40}; {_REMEDY}.")
        lines.append(line)
    return lines


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no result")


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
        take_lock(file, wait=True)  # else the end that is seen may be amid a line of another process
        content = f"{'' if _ends_a_line(path) else chr(10)}{text}\n".encode()
        written = os.write(file, content)  # one write: whole lines where there are no locks, too
        if written < len(content):
            os.ftruncate(file, os.fstat(file).st_size - written)
            raise OSError(f"{path} could take {written} of {len(content)} bytes of a line: is the disk full?")
        os.fsync(file)
    finally:
        os.close(file)


def _ends_a_line(path: Path) -> bool:
    """Say whether a file is empty or ends as a line does: an editor may have left it otherwise."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def finite(values: Line) -> dict[str, Any]:
    """Return what was measured with None for what is not finite: such a number is no result."""
    known: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            known[name] = finite(value)
        elif isinstance(value, list | tuple):
            known[name] = list(finite({str(at): part for at, part in enumerate(value)}).values())
        else:
            known[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return known


def key_of(experiment: Experiment, case: str, seed: int, altered: bool = False) -> dict[str, Any]:
    """Return what makes two trainings the same: recipe, options, seed, and which weights are scored how.

    Args:
        experiment: Of the training.
        case: Of the experiment.
        seed: Of the training.
        altered: Whether the experiment changes the network by more than options; then no other has it.
    """
    options = [*experiment.options, *experiment.cases[case]]
    name = f"{experiment.name}: {case}" if altered else ""
    same = {"recipe": experiment.recipe, "options": options, "best": experiment.best}
    return {**same, "altered": name, "seed": seed}


def is_of(line: Line, key: Line) -> bool:
    """Say whether a line is of a training, whatever the order in which its options are written."""
    for name, value in key.items():
        known = line.get(name, {"best": False, "altered": ""}.get(name))
        if name == "options":
            known, value = last_values(known or []), last_values(value)
        if known != value and not (name == "settings" and known is None):
            return False
    return True


def last_values(options: Iterable[str]) -> dict[str, str]:
    """Return what options say by their names: of one that is given twice the last counts."""
    return {name: value for name, _, value in (option.partition("=") for option in options)}


def of_case(experiment: Experiment, lines: Iterable[Line], case: str) -> list[Line]:
    """Return the lines of a case by seed, one for each: those with other options are of another training.

    Of two the first counts, but where the later one has other settings: a recipe or a default has changed, or
    what the experiment alters.
    """
    found: dict[int, Line] = {}
    for line in lines:
        if line.get("case") != case or not isinstance(line.get(experiment.score), int | float):
            continue
        seed = line.get("seed", 0)
        key = key_of(experiment, case, seed, bool(line.get("altered"))) if experiment.cases else {}
        if is_of(line, key):
            known = found.get(seed)
            if known is None or any(known.get(name) != line.get(name) for name in ("settings", "altered")):
                found[seed] = line
    return [found[seed] for seed in sorted(found, key=lambda seed: (seed is None, seed))]


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
    table = [["case", f"{name}{unit}", "each seed", *experiment.columns.values()]]
    for case in case_names(experiment, lines):
        of = of_case(experiment, lines, case)
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
        value = line.get(name)
        return value if isinstance(value, int | float) else None
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
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        last = (found.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ValueError(f"{experiment.folder / script} failed: {last}")
    return found.stdout.strip()


def table_text(experiment: Experiment, lines: Sequence[Line]) -> str:
    """Return the tables of an experiment in markdown: its own, or that of its cases; "" without results."""
    if experiment.tables:
        has_results = any(experiment.folder.rglob("*.json*"))
        return own_table(experiment) if has_results else ""
    table = case_table(experiment, lines)
    return markdown(table) if len(table) > 1 else ""
