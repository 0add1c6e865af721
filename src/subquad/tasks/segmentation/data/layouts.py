"""Telling a published data set by its folders."""

from pathlib import Path

from subquad.tasks.segmentation.data.exports import LABELMAP

_VOC = (".", "VOC2012", "VOCdevkit/VOC2012")
# The name, the places below the root where the set may begin, and the folders that must all be there.
_LAYOUTS = (
    ("ade20k", (".", "ADEChallengeData2016"), ("images/training", "annotations/training")),
    ("voc", _VOC, ("JPEGImages", "SegmentationClassAug")),
    ("voc", _VOC, ("JPEGImages", "SegmentationClass")),
    ("pascal_context", (".", "VOC2010", "VOCdevkit/VOC2010"), ("JPEGImages", "SegmentationClassContext")),
    ("cityscapes", (".", "cityscapes"), ("leftImg8bit", "gtFine")),
    ("coco_stuff", (".",), ("images/train2017",)),
)


def published_at(root: str | Path) -> str | None:
    """Return the name of the published data set whose folders are at a path, or None."""
    if (Path(root) / LABELMAP).is_file():  # an annotation tool's, in the folders of VOC
        return None
    for name, places, folders in _LAYOUTS:
        for place in places:
            if all((Path(root) / place / folder).is_dir() for folder in folders):
                return name
    return None
