"""The published data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from subquad.tasks.segmentation.data.ade20k import ADE20K
from subquad.tasks.segmentation.data.cityscapes import Cityscapes
from subquad.tasks.segmentation.data.coco_stuff import COCOStuff
from subquad.tasks.segmentation.data.pascal_context import PascalContext
from subquad.tasks.segmentation.data.published import PublishedDataset
from subquad.tasks.segmentation.data.voc import PascalVOC, voc_training_split


def _voc(root: str | Path | None, split: str) -> PascalVOC:
    return PascalVOC(root, voc_training_split(root) if split == "train" else split)


_OPEN: dict[str, Callable[[str | Path | None, str], PublishedDataset]] = {
    "ade20k": ADE20K,
    "voc": _voc,
    "pascal_context": PascalContext,
    "pascal_context_60": lambda root, split: PascalContext(root, split, 60),
    "cityscapes": Cityscapes,
    "coco_stuff": COCOStuff,
}

PUBLISHED = tuple(_OPEN)
"""The names that `open_published` knows."""


def open_published(name: str, root: str | Path | None, split: str = "train") -> PublishedDataset:
    """Open a split of a published data set.

    Args:
        name: One of `PUBLISHED`; `"pascal_context"` has 59 classes, `"pascal_context_60"` has
            background as well.
        root: The folder of the data set or one above it; see the class of the set.
        split: `"train"`, `"val"`, or one that only this set has. `"train"` of VOC is trainaug where
            the folder SegmentationClassAug is there.

    Raises:
        FileNotFoundError: If a file or folder is missing; says what was looked for, and where the
            set is had.
        ValueError: If the name or split is unknown, or `root` is None.
    """
    if name not in _OPEN:
        raise ValueError(f"unknown data set {name!r}; there are {', '.join(_OPEN)}.")
    return _OPEN[name](root, split)
