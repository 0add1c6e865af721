"""Telling the exports of annotation tools: there are labels, but not yet masks as they are read here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from subquad.base.hidden import visible
from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.pairs import MASK_FOLDERS, masks_beside

LABELMAP = "labelmap.txt"
_HEAD = 1 << 16  # characters of a file that tell its tool
_FOLDERS, _FILES = 100, 20  # that are looked at, of each folder

# What the head of a JSON file must contain, all of one row.
_JSON: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("labelme", ('"shapes"', '"version"')),
    ("labelme", ('"shapes"', '"imagePath"')),
    ("Supervisely", ('"classTitle"',)),
    ("Supervisely", ('"objects"', '"size"')),
    ("Label Studio", ('"from_name"', '"to_name"')),
    ("Label Studio", ('"annotations"', '"result"')),
    ("VGG Image Annotator", ('"regions"', '"filename"')),
    ("COCO", ('"images"', '"annotations"')),
    ("COCO", ('"images"', '"categories"')),
    ("COCO", ('"images"', '"licenses"')),
)
_LABEL = re.compile(r"([^#:][^:]*):(\d{1,3}),(\d{1,3}),(\d{1,3})(?::|$)")
_BRUSHED = re.compile(r"task-\d+-annotation-.*\.png")
_NUMBERS = re.compile(r"\d+( -?\d*\.?\d+){4,}\s*")


def layout_hint(root: Path) -> str:
    """Say in one sentence how to lay out the export of an annotation tool; "" if it is none.

    Args:
        root: The folder of a data set that is not laid out as `SegmentationFolder` wants it.
    """
    for folder in islice(_folders(root), _FOLDERS):
        if (folder / LABELMAP).is_file():
            return _cvat(folder)
        if folder.name not in MASK_FOLDERS and (beside := masks_beside(folder)):
            return (
                f"{folder} holds masks beside their pictures ({quote([path.name for path in beside])}), as "
                "Roboflow and others export them; put the pictures into a folder images and the masks into a "
                "folder masks beside it."
            )
        if brushed := [path.name for path in visible(folder) if _BRUSHED.fullmatch(path.name)]:
            return (
                f"{folder} holds one mask for each class of each picture ({quote(brushed)}), as Label "
                "Studio exports them; join those of a picture into one PNG of class indices with the name "
                "of the picture, and put them into a folder masks beside the folder images."
            )
        for path in islice((path for path in visible(folder) if path.is_file()), _FILES):
            if tool := _tool(path):
                return (
                    f"{path} holds outlines or boxes as {tool} exports them, not masks; let the tool export "
                    "masks, one PNG of class indices a picture with the name of the picture, and put them "
                    "into a folder masks beside the folder images."
                )
    return ""


def _folders(root: Path) -> Iterator[Path]:
    """Yield a folder, those in it, and those in these."""
    level = [root]
    for _ in range(3):
        yield from level
        level = [path for folder in level for path in islice(visible(folder), _FOLDERS) if path.is_dir()]


def _tool(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".json", ".xml", ".txt"):
        return ""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    if suffix == ".json":
        return next((tool for tool, words in _JSON if all(word in head for word in words)), "")
    if suffix == ".xml":
        return "CVAT or Pascal VOC" if "<annotation" in head else ""
    return "YOLO" if _NUMBERS.fullmatch(head.split("\n", 1)[0]) else ""


def _cvat(folder: Path) -> str:
    """Describe CVAT's "Segmentation mask", and translate its labels: name:red,green,blue:parts:actions."""
    names, colors = [], []
    try:
        lines = (folder / LABELMAP).read_text(encoding="utf-8", errors="replace")[:_HEAD].splitlines()
    except OSError:
        lines = []
    for line in lines:
        if found := _LABEL.match(line):
            names.append(found[1])
            colors.append([int(level) for level in found.groups()[1:]])
    classes = json.dumps({"classes": names, "palette_rgb": colors}, ensure_ascii=False)
    return (
        f"{folder} holds masks of colours as CVAT exports them ({LABELMAP}); rename the folder of the "
        "pictures (JPEGImages) to images and SegmentationClass to masks, and write a classes.json beside "
        f"them: {classes}"
    )
