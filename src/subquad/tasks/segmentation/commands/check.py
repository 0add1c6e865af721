"""`subquad data check` of images with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subquad.base.limits import PICTURE_PIXELS
from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.check_exports import check_export
from subquad.tasks.segmentation.data.check_published import check_published
from subquad.tasks.segmentation.data.layouts import published_at
from subquad.tasks.segmentation.data.report import SegmentationReport
from subquad.tasks.segmentation.data.sources import OWN, format_of


def check(options: Any) -> SegmentationReport:
    """Look over a folder, or a published data set."""
    if options.format in OWN:
        return _own(options)
    if options.classes is not None or options.num_classes is not None:
        raise ValueError(f"the classes of {options.format} are known; leave --classes and --num_classes out.")
    if (options.images, options.masks, options.max_pixels) != ("images", None, PICTURE_PIXELS):
        raise ValueError(
            f"the folders and sizes of {options.format} are known; leave --images, --masks and "
            "--max_pixels out."
        )
    return check_published(options.format, options.path, options.splits, most=options.samples)


def _own(options: Any) -> SegmentationReport:
    root = Path(options.path)
    name = options.format
    if name == "folder" and root.is_dir():
        name = format_of(root, options.images, options.masks)
    if name == "folder":
        return _folder(options)
    report = check_export(
        root, name, classes=options.classes, num_classes=options.num_classes, max_pixels=options.max_pixels
    )
    published = published_at(root)
    if name == "voc_style" and published:
        note = f"its folders are those of {published}: --format {published} reads it as it is published."
        report.notes = (*report.notes, note)
    return report


def _folder(options: Any) -> SegmentationReport:
    published = published_at(options.path)
    hint = f" Its folders are those of {published}: give --format {published}." if published else ""
    try:
        report = check_folder(
            options.path,
            classes=options.classes,
            num_classes=options.num_classes,
            images=options.images,
            masks=options.masks,
            max_pixels=options.max_pixels,
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{hint}") from error
    if report.problems:
        report.problems[0] += hint
    return report
