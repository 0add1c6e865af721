"""How well each class is told, whatever it is told of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told, each in 0..1; None where there is nothing to divide by.

    Attributes:
        name: Of the class.
        count: Samples of it.
        precision: Share of the samples told to be of it that are.
        recall: Share of its samples that are told to be.
        f1: Harmonic mean of the two; None for a class that neither occurs nor is told.
    """

    name: str
    count: int
    precision: float | None
    recall: float | None
    f1: float | None


def scores_of_classes(rows: Iterable[tuple[str, int, int, int]]) -> tuple[tuple[ClassScores, ...], float]:
    """Return the scores of each class, and the mean F1 of those that occur or are told.

    Args:
        rows: Of each class its name, and how many samples are told and true, told, and true.
    """
    classes = tuple(
        ClassScores(name, true, *(_share(right, told), _share(right, true), _share(2 * right, told + true)))
        for name, right, told, true in rows
    )
    known = [scores.f1 for scores in classes if scores.f1 is not None]
    return classes, sum(known) / len(known)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
