"""CVAT's "CVAT for images": one XML with all pictures and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from subquad.base.files import read_file
from subquad.base.limits import ANNOTATION_BYTES
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.outlines import (
    Outline,
    Polygons,
    RowRuns,
    box_ring,
    ellipse_ring,
    turned,
)
from subquad.tasks.segmentation.data.annotations.picture_index import split_called, split_of
from subquad.tasks.segmentation.data.annotations.reading import Reading, size_in

_AREAS = ("polygon", "box", "ellipse", "mask")
_NO_AREAS = ("polyline", "points", "cuboid", "skeleton")
_NO_AREA_LABELS = ("tag", "points", "polyline", "skeleton", "cuboid")


def read_cvat(root: Path, files: Sequence[Path]) -> Export:
    """Read "CVAT for images" 1.1 of tasks, jobs and projects.

    Args:
        root: The folder of the data.
        files: The XML files.
    """
    reading = Reading(root, "CVAT")
    for path in files:
        with reading.file(path):
            _read(reading, path, parse_xml(path))
    return reading.finish()


def parse_xml(path: Path) -> Any:
    """Return the root of an XML file of a limited size, in which nothing is declared.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or has a document type, which may expand without end.
    """
    content = read_file(path, ANNOTATION_BYTES, "a file of annotations has")
    parser = ElementTree.XMLParser(target=_Plain())
    try:
        parser.feed(content)
        return parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no XML ({error}); export it again.") from error


class _Plain(ElementTree.TreeBuilder):
    """Builds what needs no declarations."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse declarations."""
        raise ValueError(f"it declares a document type ({name}), which is not read; export it again")


def _read(reading: Reading, path: Path, content: Any) -> None:
    if content.tag != "annotations":
        raise ValueError(f"it holds <{content.tag}>, not the <annotations> of CVAT; export CVAT for images")
    if content.find("track") is not None:
        raise ValueError(
            "it holds tracks (CVAT for video); export CVAT for images, in which each frame has its shapes"
        )
    told = _labels(reading, content)
    for image in content.iter("image"):
        name = str(image.get("name") or "")
        size = size_in({key: _number(image, key) for key in ("height", "width")})
        subset = image.get("subset") or ""
        plain = re.sub(r"[^\w-]", "_", subset)  # it becomes the name of a folder
        split = split_called(subset) or (plain if subset.lower() not in ("", "default") else None)
        split = split or split_of(reading.root / Path(name.replace("\\", "/").lstrip("/")), reading.root)
        picture = reading.picture(name, path, split)
        shapes = tuple(_shapes(reading, image, name, size, told, path))
        if picture is not None:
            reading.add(Item(picture, str(path), split or split_of(picture, reading.root), shapes, size))


def _labels(reading: Reading, content: Any) -> bool:
    """Note the labels and colours that the head of the file tells; says whether it tells any."""
    told = False
    for label in content.findall("meta//labels/label"):
        name = (label.findtext("name") or "").strip()
        if not name or label.findtext("parent") or label.findtext("type") in _NO_AREA_LABELS:
            continue
        told = True
        reading.names.setdefault(name)
        if found := re.fullmatch(r"#([0-9a-fA-F]{6})", label.findtext("color") or ""):
            red, green, blue = bytes.fromhex(found[1])
            reading.colors.setdefault(name, (red, green, blue))
    return told


def _shapes(
    reading: Reading, image: Any, name: str, size: tuple[int, int] | None, told: bool, path: Path
) -> Iterator[Shape]:
    for entry in image:
        if entry.tag in _NO_AREAS:
            reading.drop(f"without an area: {entry.tag}", name)
        if entry.tag not in _AREAS:
            continue
        label = reading.label(entry.get("label") or "")
        if label not in reading.names:
            if told:
                reading.flaw(f"labels {{}} are used in {path}, but it does not name them.", label)
                continue
            reading.names.setdefault(label)
        outline = _outline(reading, entry, name, size)
        if outline is not None:
            yield Shape(label, outline, layer=int(_number(entry, "z_order", 0.0)))


def _outline(reading: Reading, entry: Any, name: str, size: tuple[int, int] | None) -> Outline | None:
    def number(key: str, usual: float | None = None) -> float:
        return _number(entry, key, usual)

    if entry.tag == "mask":
        counts = np.array([int(word) for word in re.split(r"[,\s]+", entry.get("rle", "").strip()) if word])
        box = (int(number("left")), int(number("top")), int(number("width")), int(number("height")))
        return RowRuns(counts.astype(np.int64), box)
    if entry.tag == "polygon":
        points: Any = [pair.split(",") for pair in entry.get("points", "").split(";") if pair.strip()]
    elif entry.tag == "box":
        left, top, right, bottom = (number(key) for key in ("xtl", "ytl", "xbr", "ybr"))
        points = box_ring(left, top, right, bottom)
        points = turned(points, number("rotation", 0.0), (left + right) / 2, (top + bottom) / 2)
    else:
        x, y = number("cx"), number("cy")
        points = ellipse_ring(x, y, number("rx"), number("ry"))
        points = turned(points, number("rotation", 0.0), x, y)
    ring = reading.ring(points, name, size)
    return None if ring is None else Polygons((ring,))


def _number(entry: Any, key: str, usual: float | None = None) -> float:
    text = entry.get(key)
    if text is None and usual is not None:
        return usual
    try:
        value = float(str(text))
    except ValueError as error:
        raise ValueError(
            f"<{entry.tag}> has the {key} {text!r}, which is no number; export it again"
        ) from error
    if not abs(value) < 1e9:
        raise ValueError(f"<{entry.tag}> has the {key} {text!r}, which is out of range; correct it")
    return value
