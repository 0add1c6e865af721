"""From labels as they are written to classes and numbers."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from subquad.base.limits import MOST_DIGITS
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.tables import Complain, refuse
from subquad.tasks.sequences.data.values import COMMA, NO_FLOAT32, has_comma, in_float32

SHOWN = 4
MISSING = frozenset({"nan", "NaN", "NA", "N/A", "#N/A", "null", "NULL"})


def find_classes(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the labels that occur, sorted: by value if all are whole numbers."""
    labels = {record.label for record in records}
    if all(len(label) < MOST_DIGITS and label.removeprefix("-").isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def class_doubts(names: tuple[str, ...]) -> list[str]:
    """Say which classes no user may have meant: one alone, two ways to write the same, missing values.

    Args:
        names: The classes of training.
    """
    if len(names) == 1:
        return [f"all sequences of training have the label {names[0]!r}; add those of another class."]
    ways: dict[str, list[str]] = {}
    for name in names:
        ways.setdefault(_as_meant(name), []).append(name)
    doubts = [
        f"the classes {', '.join(map(repr, same[:SHOWN]))} differ only in case, blanks, or how a letter or a "
        "number is written; if they are one, write it in one way."
        for same in ways.values()
        if len(same) > 1
    ]
    doubts += [
        f"the class {name!r} is how tables write a missing value; if so, fill it in, or take its rows out."
        for name in names
        if name in MISSING
    ]
    return doubts


def _as_meant(name: str) -> str:
    """Return what two ways to write a label have in common."""
    number = _real(name)
    return (
        str(number)
        if math.isfinite(number)
        else unicodedata.normalize("NFKC", name).casefold().replace(" ", "")
    )


def class_targets(
    records: Sequence[Record], names: tuple[str, ...], split: str, problem: Complain = refuse
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


def real_targets(records: Sequence[Record], problem: Complain = refuse) -> list[float]:
    """Return each label as a number.

    Args:
        records: With the labels.
        problem: What is done about one that is none; it gets NaN.
    """
    targets = []
    for record in records:
        target, label = _real(record.label), record.label
        wrong = ""
        if not math.isfinite(target):
            comma = f" ({COMMA})" if has_comma(label) else ""
            remedy = "correct it, or take task=classification (--data.task classification)."
            wrong = f"is no finite number{comma}; {remedy}"
        elif not in_float32(target):
            wrong = f"is a number {NO_FLOAT32}"
        if wrong:
            problem(f"{record.where}: the label {label[:40]!r} {wrong}")
        targets.append(math.nan if wrong else target)
    return targets


def _real(label: str) -> float:
    """Return a label as a number; NaN if it is none."""
    try:
        return math.nan if "_" in label else float(label)  # Python would group digits with it
    except ValueError:
        return math.nan
