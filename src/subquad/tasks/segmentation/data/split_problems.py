"""What is wrong with the splits of a data set, as far as what was counted tells."""

from __future__ import annotations

from itertools import combinations

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.labels import LabelSet, few_labelled
from subquad.tasks.segmentation.data.report import SplitReport


def shared_images(splits: list[SplitReport]) -> list[str]:
    """Say which splits have images in common, by what these show."""
    problems = []
    for split, other in combinations(splits, 2):
        if same := split.checksums.keys() & other.checksums.keys():
            names = quote(sorted(other.checksums[key] for key in same))
            problems.append(
                f"{split.name} and {other.name} share {len(same)} of their images ({names}), so "
                "scores would be too good; keep each image in one split."
            )
    return problems


def few_labelled_in(splits: list[SplitReport], labels: LabelSet) -> list[str]:
    """Say which splits have labels of one class only."""
    said = {split.name: few_labelled(_indices(split), labels) for split in splits if split.num_pairs}
    return [f"{name}: {few}" for name, few in said.items() if few]


def missing_classes(split: SplitReport, labels: LabelSet | None) -> list[str]:
    """Say which classes have no pixel in a split."""
    return [
        f"class {index} {name!r} has no pixel in {split.name}, so it cannot be learnt; add images "
        "that show it, or remove it."
        for index, name in enumerate(labels.names if labels and split.num_pairs else ())
        if not split.values[index]
    ]


def _indices(split: SplitReport) -> set[int]:
    return {value for value in split.values if isinstance(value, int) and value != IGNORE_INDEX}
