"""labelme's files: one JSON a picture, beside it or with it inside."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from subquad.base.hidden import visible
from subquad.data.decoding import looks_like
from subquad.data.picture_files import SUFFIXES
from subquad.tasks.segmentation.data.annotations.files import Embedded, read_json
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.outlines import (
    Outline,
    PngPatch,
    Polygons,
    box_ring,
    ellipse_ring,
)
from subquad.tasks.segmentation.data.annotations.picture_index import folders_below, split_of
from subquad.tasks.segmentation.data.annotations.reading import NO_CLASS, Reading, size_in

IGNORED = ("__ignore__",)
NO_AREA = "without an area"
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif"}


def read_labelme(root: Path) -> Export:
    """Read all JSON files of labelme below a folder, of version 3 on."""
    reading = Reading(root, "labelme")
    names: set[str] = set()
    for path in (path for folder in folders_below(root) for path in visible(folder)):
        if path.suffix.lower() != ".json" or not path.is_file():
            continue
        with reading.file(path):
            content = read_json(path)
            if not isinstance(content, dict) or "shapes" not in content:
                reading.sources.pop()
                continue
            split = split_of(path, root)
            picture = _picture(reading, path, content, split)
            shapes = tuple(_shapes(reading, path, content, size_in(content, "imageHeight", "imageWidth")))
            names |= {shape.label for shape in shapes}
            if picture is not None:
                size = size_in(content, "imageHeight", "imageWidth")
                reading.add(Item(picture, str(path), split, shapes, size))
    reading.names.update(dict.fromkeys(sorted(names - {*IGNORED})))
    return reading.finish(ignored_names=IGNORED)


def _picture(
    reading: Reading, path: Path, content: dict[str, Any], split: str | None
) -> Path | Embedded | None:
    """Return the picture: the one that the file names, one of its own name beside it, or the one inside."""
    name = str(content.get("imagePath") or "")
    if found := reading.pictures.find(name, path, split):
        return reading.picture(name, path, split) if len(found) > 1 else found[0]
    alike = [found for suffix in SUFFIXES for found in reading.pictures.find(path.stem + suffix, path, split)]
    beside = [found for found in alike if found.parent == path.parent] or alike
    if len(beside) == 1:
        return beside[0]
    packed = content.get("imageData")
    if isinstance(packed, str) and packed:
        kind = looks_like(base64.b64decode(packed[:64]))
        if kind in _SUFFIXES:
            return Embedded(path, _SUFFIXES[kind])
    return reading.picture(name or path.stem, path, split)


def _shapes(
    reading: Reading, path: Path, content: dict[str, Any], size: tuple[int, int] | None
) -> Iterator[Shape]:
    for entry in content["shapes"]:
        name = path.name
        if not entry.get("label"):
            reading.drop(NO_CLASS, name)
            continue
        label = reading.label(entry["label"])
        outline = _outline(reading, entry, name, size)
        if outline is not None:
            yield Shape(label, outline, ignored=label in IGNORED)


def _outline(reading: Reading, entry: Any, name: str, size: tuple[int, int] | None) -> Outline | None:
    kind = entry.get("shape_type") or "polygon"  # version 3 had no other
    points = reading.corners(entry["points"], name)
    if points is None:
        return None
    if kind in ("rectangle", "circle", "mask") and len(points) < 2:
        reading.drop(f"{kind} of one point", name)
        return None
    if kind == "mask":
        return PngPatch(str(entry["mask"]), int(points[0, 0]), int(points[0, 1]))
    if kind == "rectangle":
        (left, top), (right, bottom) = points.min(0), points.max(0)
        points = box_ring(left, top, right, bottom)
    elif kind == "circle":
        radius = float(np.linalg.norm(points[1] - points[0]))
        points = ellipse_ring(float(points[0, 0]), float(points[0, 1]), radius, radius)
    elif kind != "polygon":  # lines, points and what later versions may have
        reading.drop(f"{NO_AREA}: {kind}", name)
        return None
    ring = reading.ring(points, name, size)
    return None if ring is None else Polygons((ring,))
