"""Telling the exports of annotation tools by their files, and what to do about those that are not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from subquad.base.hidden import visible
from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.pairs import MASK_FOLDERS, masks_beside

LABELMAP = "labelmap.txt"  # of CVAT, in the folders of VOC
_HEAD = 1 << 16  # characters of a file that tell its tool
_FOLDERS, _FILES = 100, 20  # that are looked at, of each folder

# What the head of a JSON file must contain, all of one row.
_JSON: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("labelme", ('"shapes"', '"version"')),
    ("labelme", ('"shapes"', '"imagePath"')),
    ("labelme", ('"shapes"', '"flags"')),
    ("Supervisely", ('"classTitle"',)),
    ("Supervisely", ('"objects"', '"size"')),
    ("Label Studio", ('"from_name"', '"to_name"')),
    ("Label Studio", ('"annotations"', '"result"')),
    ("Label Studio", ('"original_width"', 'labels"')),
    ("Label Studio", ('"brushlabels"',)),
    ("Label Studio", ('"/data/upload/',)),
    ("Label Studio", ('"/data/local-files/',)),
    ("VGG Image Annotator", ('"regions"', '"filename"')),
    ("COCO panoptic", ('"segments_info"',)),
    ("COCO", ('"images"', '"annotations"')),
    ("COCO", ('"images"', '"file_name"')),
    ("COCO", ('"image_id"', '"category_id"')),
    ("COCO", ('"images"', '"categories"')),
    ("COCO", ('"images"', '"licenses"')),
)
_BRUSHED = re.compile(r"task-\d+-annotation-.*\.png")
READ = ("COCO", "COCO panoptic", "CVAT", "Label Studio", "labelme", "YOLO")
UNREAD = ("Supervisely", "VGG Image Annotator", "Pascal VOC (boxes)")
_NUMBERS = re.compile(r"\d+( -?\d*\.?\d+){4,}\s*")


def layout_hint(root: Path) -> str:
    """Say in one sentence what to do about what a tool exported; "" if it is none.

    Args:
        root: The folder of a data set that is not laid out as `SegmentationFolder` wants it.
    """
    for folder in islice(_folders(root), _FOLDERS):
        if (folder / LABELMAP).is_file():
            return _is_read(folder / LABELMAP, "CVAT")
        if brushed := next((path for path in visible(folder) if _BRUSHED.fullmatch(path.name)), None):
            return _is_read(brushed, "Label Studio")
        if folder.name not in MASK_FOLDERS and (beside := masks_beside(folder)):
            return (
                f"{folder} holds masks beside their pictures ({quote([path.name for path in beside])}), as "
                "Roboflow and others export them; put the pictures into a folder images and the masks into a "
                "folder masks beside it."
            )
        for path in islice((path for path in visible(folder) if path.is_file()), _FILES):
            tool = tool_of(path)
            if tool in READ:
                return _is_read(path, tool)
            if tool in UNREAD:
                return (
                    f"{path} holds outlines or boxes as {tool} exports them, which are not read; let the "
                    "tool "
                    "export COCO, or masks: one PNG of class indices a picture with the name of the "
                    "picture, in "
                    "a folder masks beside the folder images."
                )
    return ""


def _is_read(path: Path, tool: str) -> str:
    return (
        f"{path} is of {tool}, which the commands read as it is: leave the names of folders out "
        "(--data.images "
        "and --data.masks, of `data check` --images and --masks), or in Python open the folder with "
        "`subquad.tasks.segmentation.data.open_source`."
    )


def _folders(root: Path) -> Iterator[Path]:
    """Yield a folder, those in it, and those in these."""
    level = [root]
    for _ in range(3):
        yield from level
        level = [path for folder in level for path in islice(visible(folder), _FOLDERS) if path.is_dir()]


def tool_of(path: Path) -> str:
    """Return the tool or format of a file by what it begins and ends with; "" if it is none that is known."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".xml", ".txt") or not path.is_file():  # a pipe would block for ever
        return ""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            end = file.seek(0, 2)
            file.seek(max(end - _HEAD, len(head)))
            text = (head + file.read(_HEAD)).decode("utf-8", "replace")
    except OSError:
        return ""
    if suffix == ".json":
        return next((tool for tool, words in _JSON if all(word in text for word in words)), "")
    if suffix == ".xml":
        return "CVAT" if "<annotations" in text else "Pascal VOC (boxes)" if "<annotation" in text else ""
    return "YOLO" if _NUMBERS.fullmatch(text.split("\n", 1)[0].strip()) else ""
