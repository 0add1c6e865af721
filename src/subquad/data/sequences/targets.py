"""From labels as they are written to classes and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from subquad.data.sequences.samples import Record
from subquad.data.sequences.tables import Problem, refuse


def find_classes(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the labels that occur, sorted: by value if all are whole numbers."""
    labels = {record.label for record in records}
    if all(label.removeprefix("-").isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def class_targets(
    records: Sequence[Record], names: tuple[str, ...], split: str, problem: Problem = refuse
) -> list[int]:
    """Return the number of each label.

    Args:
        records: With the labels.
        names: The classes of training.
        split: Which split this is, for messages.
        problem: What is done about an unknown label; it gets -1.
    """
    numbers = {name: number for number, name in enumerate(names)}
    for record in {record.label: record for record in reversed(records)}.values():
        if record.label not in numbers:
            shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            where = (
                "is none of the classes" if split == "train" else f"occurs in {split}, but not in training"
            )
            problem(
                f"{record.where}: the class {record.label!r} {where} ({shown}); "
                "correct the label, or add samples of the class to training."
            )
    return [numbers.get(record.label, -1) for record in records]


def real_targets(records: Sequence[Record], problem: Problem = refuse) -> list[float]:
    """Return each label as a number.

    Args:
        records: With the labels.
        problem: What is done about one that is none; it gets NaN.
    """
    targets = []
    for record in records:
        try:
            target = float(record.label)
        except ValueError:
            target = math.nan
        if not math.isfinite(target):
            problem(
                f"{record.where}: the label {record.label!r} is no finite number; "
                "correct it, or take task=classification (--data.task classification)."
            )
            target = math.nan
        targets.append(target)
    return targets
