"""Which tool wrote what is in a folder, and its reader."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from subquad.base.hidden import visible
from subquad.tasks.segmentation.data.annotations.brush_files import brush_files, read_brush_files
from subquad.tasks.segmentation.data.annotations.coco import read_coco
from subquad.tasks.segmentation.data.annotations.cvat import read_cvat
from subquad.tasks.segmentation.data.annotations.items import Export
from subquad.tasks.segmentation.data.annotations.label_studio import read_label_studio
from subquad.tasks.segmentation.data.annotations.labelme import read_labelme
from subquad.tasks.segmentation.data.annotations.panoptic import read_panoptic
from subquad.tasks.segmentation.data.annotations.picture_index import folders_below
from subquad.tasks.segmentation.data.annotations.voc_style import base_of, read_voc_style
from subquad.tasks.segmentation.data.annotations.yolo import read_yolo, settings_at
from subquad.tasks.segmentation.data.exports import tool_of
from subquad.tasks.segmentation.data.labels import LabelSet

# By name, with the words that `tool_of` has for their files.
TOOLS = {
    "coco": "COCO",
    "coco_panoptic": "COCO panoptic",
    "cvat": "CVAT",
    "label_studio": "Label Studio",
    "labelme": "labelme",
    "yolo": "YOLO",
}
ANNOTATIONS = (*TOOLS, "voc_style")
_FOLDERS, _FILES = 100, 20  # that tell the tool, of each folder


def recognise(root: Path) -> str | None:
    """Return the name of the format in a folder, one of `ANNOTATIONS`; None if it is none of them."""
    if settings_at(root) is not None:
        return "yolo"
    if base_of(root) is not None:
        return "voc_style"
    found = {tool_of(path) for path in _samples(root)}
    for name, tool in TOOLS.items():
        if tool in found:
            return name
    return "label_studio" if next(brush_files(root), None) is not None else None


def open_export(root: Path, name: str, labels: LabelSet | None = None) -> Export:
    """Read all annotations of a folder.

    Args:
        root: The folder of the data.
        name: One of `ANNOTATIONS`.
        labels: The classes, if they were given.

    Raises:
        FileNotFoundError: If there is none of that format.
        ValueError: If what all files depend on cannot be understood.
    """
    if name == "voc_style" or (name == "cvat" and not any(_files(root, "CVAT")) and base_of(root)):
        return read_voc_style(root, labels)
    if name == "yolo":
        return read_yolo(root)
    if name == "labelme":
        return read_labelme(root)
    files = list(_files(root, TOOLS[name]))
    if name == "label_studio" and next(brush_files(root), None) is not None:
        export = read_label_studio(root, files) if files else None
        has_shapes = export is not None and any(item.shapes for item in export.items)
        return export if export is not None and has_shapes else read_brush_files(root, files)
    if not files:
        raise FileNotFoundError(
            f"{root} holds no file that {TOOLS[name]} wrote; correct the path or --data.name."
        )
    if name == "coco_panoptic":
        return read_panoptic(root, files)
    read = {"coco": read_coco, "cvat": read_cvat, "label_studio": read_label_studio}[name]
    return read(root, files)


def _samples(root: Path) -> Iterator[Path]:
    for folder in islice(folders_below(root), _FOLDERS):
        yield from islice((path for path in visible(folder) if path.is_file()), _FILES)
        yield from islice(folder.glob("*.json"), _FILES)
        yield from islice(folder.glob("*.xml"), _FILES)


def _files(root: Path, tool: str) -> Iterator[Path]:
    for folder in folders_below(root):
        for path in visible(folder):
            if path.suffix.lower() in (".json", ".xml") and path.is_file() and tool_of(path) == tool:
                yield path
