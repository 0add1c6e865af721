"""A confusion matrix for readers: as a heat map, and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from subquad.explain.images import data_uri, enlarged, heat_picture
from subquad.explain.report import Cell, Picture, Section

MOST_CELLS = 24  # classes of a matrix with numbers; more are a picture
MOST_WORDS = 8  # confusions in words
LEAST_SHARE = 0.01  # of a class, that is worth a word


def add_matrix(section: Section, confusion: NDArray[np.integer], names: Sequence[str], of: str) -> None:
    """Add a matrix normalised by the truth: each row says where the samples of a true class went.

    Args:
        section: Of the report.
        confusion: Counts (classes, classes), rows are the truth.
        names: Of the classes.
        of: What was counted, such as "pixels".
    """
    shares = by_truth(confusion)
    section.text(
        f"A row is a true class, a column what the network said: each number is the percentage of the {of} "
        f"of the row. On the diagonal it was right; a perfect network has 100 there, and nothing elsewhere."
    )
    if len(names) <= MOST_CELLS:
        rows = [
            [Cell(name), *(_heat(share) for share in row)]
            for name, row in zip(names, shares.tolist(), strict=True)
        ]
        section.table(["true class", *names], rows, kind="matrix")
    else:
        picture = enlarged(heat_picture(np.nan_to_num(shares), 0, 1), 640)
        caption = f"rows: true class 0 to {len(names) - 1} from above; columns: what was said, from the left"
        section.row([Picture(data_uri(picture, "png", 4096), caption)])
    if worst := confusions(confusion, names, of):
        section.table(
            ("Most frequent confusions", f"share of its {of}", of), worst[:MOST_WORDS], kind="plain"
        )


def by_truth(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return each row as shares of its sum; NaN for a class that does not occur."""
    with np.errstate(invalid="ignore"):
        return confusion / confusion.sum(axis=1, keepdims=True)


def confusions(confusion: NDArray[np.integer], names: Sequence[str], of: str) -> list[tuple[str, str, str]]:
    """Return which class is taken for which, how often of its own, and how often; the largest share first."""
    shares = np.nan_to_num(by_truth(confusion)) * (1 - np.eye(len(names)))
    found = []
    for place in shares.ravel().argsort(kind="stable")[::-1][: 4 * MOST_WORDS].tolist():
        true, told = divmod(place, len(names))
        if shares[true, told] >= LEAST_SHARE:
            words = f"{names[true]} is taken for {names[told]}"
            found.append((words, f"{100 * shares[true, told]:.1f} %", f"{int(confusion[true, told]):,}"))
    return found


def _heat(share: float) -> Cell:
    if share != share:
        return Cell("n/a")
    return Cell("" if share < 0.005 else f"{100 * share:.0f}", share, "heat")
