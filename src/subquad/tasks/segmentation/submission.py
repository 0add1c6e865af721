"""The folder and the archive that the PASCAL VOC evaluation server takes."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

VOC_FOLDER = Path("results/VOC2012/Segmentation/comp6_test_cls")
VOC_ARCHIVE = "results.tar"
VOC_CLASSES = 21


def check_voc(num_classes: int) -> None:
    """Raise ValueError unless a network has VOC's classes."""
    if num_classes != VOC_CLASSES:
        raise ValueError(
            f"--submission voc needs the {VOC_CLASSES} classes of PASCAL VOC, but this network has "
            f"{num_classes}."
        )


def pack(folder: Path, masks: Sequence[Path]) -> Path:
    """Pack masks below a folder into its archive, by their names below it; return the archive."""
    archive = folder / VOC_ARCHIVE
    unfinished = archive.with_suffix(".tmp")
    with tarfile.open(unfinished, "w") as tar:
        for mask in sorted(masks):
            tar.add(mask, mask.relative_to(folder))
    return unfinished.replace(archive)
