"""Looking over what an annotation tool wrote: what is in it, what is left out, what is wrong."""

from __future__ import annotations

from pathlib import Path

import torch

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.bands import count_bands
from subquad.tasks.segmentation.data.annotations.classes import label_set
from subquad.tasks.segmentation.data.annotations.dataset import AnnotatedPictures
from subquad.tasks.segmentation.data.annotations.items import Export
from subquad.tasks.segmentation.data.annotations.recognise import open_export
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.oddities import Oddities
from subquad.tasks.segmentation.data.report import SegmentationReport, SplitReport, summarise
from subquad.tasks.segmentation.data.sources import in_words
from subquad.tasks.segmentation.data.split_problems import few_labelled_in, missing_classes, shared_images


def check_export(
    root: str | Path,
    name: str,
    *,
    classes: LabelSet | str | Path | None = None,
    num_classes: int | None = None,
    max_pixels: int = PICTURE_PIXELS,
) -> SegmentationReport:
    """Read and paint every picture of an export.

    Bad contents never raise: they are in the report, each with a remedy.

    Args:
        root: The folder of the data.
        name: One of `ANNOTATIONS`.
        classes: A label set or the file of one; what the tool names if not given.
        num_classes: How many are expected.
        max_pixels: Refuse pictures and masks of more.

    Raises:
        FileNotFoundError: If there is no such folder, or nothing of that format in it.
        ValueError: If what all files depend on cannot be understood, such as the classes.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; correct the path.")
    wanted = LabelSet.from_file(classes) if isinstance(classes, str | Path) else classes
    export = open_export(root, name, wanted)
    problems = [*export.problems]
    if not export.items and not problems:
        problems.append(f"{root} is read as {export.tool}, but no picture is annotated in it; add some.")
    notes = [f"read as {export.tool}: {in_words(export)}.", *export.notes]
    if not export.items:  # where a file could not be read, nothing is known of the pictures
        told = () if export.problems else tuple(notes)
        return summarise(root, wanted, [SplitReport("all")], problems, told)
    labels = label_set(export, wanted, num_classes)
    oddities, splits = Oddities(), []
    for split in export.splits:
        report = _read(export, split, labels, oddities, max_pixels)
        splits.append(report)
        problems += [f"{report.name}: {problem}" for problem in report.problems]
    if export.splits in ([None], ["train"]):
        notes.append(
            "there is no split for evaluation: `subquad fit` draws a fifth of the pictures by its seed."
        )
    problems += [*shared_images(splits), *oddities.problems()]
    problems += [*missing_classes(splits[0], labels), *few_labelled_in(splits, labels)]
    return summarise(root, labels, splits, problems, (*notes, *oddities.notes()))


def _read(
    export: Export, split: str | None, labels: LabelSet, oddities: Oddities, max_pixels: int
) -> SplitReport:
    report = SplitReport(split or "all")
    data = AnnotatedPictures(export, split, labels, max_pixels=max_pixels)
    source = data.items[0].picture
    data.bands = count_bands(source) if isinstance(source, Path) else data.bands
    for index, name in enumerate(data.names):
        try:
            pixels, mask, picture = data.read(index)
        except (OSError, ValueError) as error:
            report.problems.append(str(error))
            continue
        report.num_pairs += 1
        report.count_image(pixels, name)
        oddities.count_picture(picture, name)
        counts = torch.bincount(mask.flatten(), minlength=256)
        report.values.update({int(value): int(counts[value]) for value in counts.nonzero()})
    return report
