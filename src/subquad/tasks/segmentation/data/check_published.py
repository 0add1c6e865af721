"""Looking a published data set over: are all files there, and are the masks stored as they should be?"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.lonely_masks import lonely_masks
from subquad.tasks.segmentation.data.published import PublishedDataset
from subquad.tasks.segmentation.data.published_sets import open_published
from subquad.tasks.segmentation.data.report import SegmentationReport, SplitReport, summarise

QUOTED = 5


def check_published(
    name: str,
    root: str | Path | None,
    splits: Sequence[str] = ("train", "val"),
    *,
    most: int | None = 200,
) -> SegmentationReport:
    """Find all files of a published data set, and read some of them.

    Bad contents never raise: they are in the report, each with a remedy.

    Args:
        name: One of `PUBLISHED`.
        root: The folder of the data set, see `open_published`.
        splits: The splits to look at; the first tells the statistics.
        most: Read no more pictures of a split than this, evenly spread; None reads all.

    Raises:
        FileNotFoundError: If no split can be opened because files or folders are missing.
        ValueError: If the name is unknown, or `most` is not positive.
    """
    if most is not None and most < 1:
        raise ValueError(f"{most} pictures a split tell nothing; read at least 1.")
    opened: list[PublishedDataset] = []
    errors: list[OSError] = []
    for split in splits:
        try:
            opened.append(open_published(name, root, split))
        except OSError as error:
            errors.append(error)
    if not opened:
        reasons = [f"{split}: {error}" for split, error in zip(splits, errors, strict=True)]
        alike = len({str(error) for error in errors}) == 1
        raise FileNotFoundError(str(errors[0]) if alike else " And ".join(reasons))
    problems, notes, reports = [str(error) for error in errors], [], []
    for dataset in opened:
        report = _read(dataset, most)
        reports.append(report)
        problems += [f"{report.name}: {problem}" for problem in report.problems]
        notes += _counts(dataset, most)
    problems += [text for pair in combinations(opened, 2) for text in _shared_pictures(*pair)]
    problems += lonely_masks(opened)
    return summarise(Path(root or ""), opened[0].labels, reports, problems, tuple(notes))


def _read(dataset: PublishedDataset, most: int | None) -> SplitReport:
    report, wrong = SplitReport(dataset.split), []
    number = len(dataset) if most is None else min(most, len(dataset))
    for position in range(number):
        index = position * len(dataset) // number
        try:
            image, labels, _ = dataset[index]
        except (OSError, ValueError) as error:
            wrong.append(str(error))
            continue
        report.num_pairs += 1
        report.count_image(image, dataset.pairs[index].image.name)
        counts = torch.bincount(labels.flatten(), minlength=256)
        report.values.update({int(value): int(counts[value]) for value in counts.nonzero()})
    if report.values and not report.values.keys() - {IGNORE_INDEX}:
        report.problems.append(
            f"no pixel of the {report.num_pairs} pictures read is labelled; take the masks as they are "
            f"published, see {dataset.source.home}."
        )
    report.problems += wrong[:QUOTED]
    if len(wrong) > QUOTED:
        report.problems.append(f"{len(wrong) - QUOTED} more of the {number} pictures read are unusable.")
    return report


def _counts(dataset: PublishedDataset, most: int | None) -> list[str]:
    notes, published = [], dataset.source.sizes.get(dataset.split)
    if most is not None and most < len(dataset):
        notes.append(f"{dataset.split}: read {most} of {len(dataset)} pictures, evenly spread.")
    if published not in (None, len(dataset)):
        notes.append(
            f"{dataset.split} has {len(dataset)} pictures here, but {published} as published; scores of "
            "another set of pictures are not comparable."
        )
    return notes


def _shared_pictures(split: PublishedDataset, other: PublishedDataset) -> list[str]:
    first, second = ({pair.image for pair in dataset.pairs} for dataset in (split, other))
    if not (same := first & second):
        return []
    names = quote(sorted(path.name for path in same))
    return [
        f"{split.split} and {other.split} share {len(same)} of their pictures ({names}), so scores would be "
        "too good; keep each picture in one of the lists."
    ]
