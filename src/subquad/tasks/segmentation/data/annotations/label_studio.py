"""Label Studio's JSON and JSON_MIN: regions in percent of the picture, and strokes of brushes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from subquad.data.picture_files import SUFFIXES
from subquad.tasks.segmentation.data.annotations.files import read_json
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.outlines import (
    Brush,
    Outline,
    Polygons,
    box_ring,
    ellipse_ring,
    turned,
)
from subquad.tasks.segmentation.data.annotations.picture_index import split_of, uploaded_names
from subquad.tasks.segmentation.data.annotations.reading import NO_CLASS, Reading, size_in

_LABELS = "labels"  # ends the keys that hold a region's classes, such as "polygonlabels"


def read_label_studio(root: Path, files: Sequence[Path]) -> Export:
    """Read the tasks of one or more files.

    Of several annotations of a task one is taken: the ground truth if there is one, else the one that was
    changed last; those that were skipped are left out.

    Args:
        root: The folder of the data.
        files: The JSON files.
    """
    reading = Reading(root, "Label Studio")
    names: set[str] = set()
    for path in files:
        with reading.file(path):
            tasks = read_json(path)
            for task in _joined(tasks if isinstance(tasks, list) else [tasks]):
                names |= _read(reading, path, task)
    reading.names.update(dict.fromkeys(sorted(names)))
    return reading.finish()


def _joined(tasks: list[Any]) -> list[Any]:
    """Return tasks of JSON_MIN, which has an entry for each annotation, once each: with the last of them."""
    if any(_annotations(task) is not None for task in tasks):
        return tasks
    return list({task.get("id", number): task for number, task in enumerate(tasks)}.values())


def _annotations(task: Any) -> list[Any] | None:
    return task.get("annotations", task.get("completions"))


def _read(reading: Reading, path: Path, task: Any) -> set[str]:
    """Add the picture of a task, and return the names of its classes."""
    data = task.get("data", task)
    address = picture_address(data)
    if address is None:
        reading.flaw(
            f"tasks {{}} of {path} have no picture; export a project of pictures.", str(task.get("id"))
        )
        return set()
    annotations = _annotations(task)
    regions = _regions_of_min(task) if annotations is None else _regions(reading, annotations, address)
    if regions is None:
        return set()
    shapes, size = [], None
    labelled = {region.get("id") for region in regions if _labels(region)}
    for region in regions:
        size = size_in(region, "original_height", "original_width") or size
        shapes += _shapes(reading, region, address, labelled)
    picture = reading.picture(address, path)
    if picture is not None:
        reading.add(Item(picture, str(path), split_of(picture, reading.root), tuple(shapes), size))
    return {shape.label for shape in shapes}


def picture_address(data: Any) -> str | None:
    """Return where the picture of a task is, by the names of pictures; the key depends on the project."""
    texts = [text for text in data.values() if isinstance(text, str)]
    named = [text for text in texts if any(name.lower().endswith(SUFFIXES) for name in uploaded_names(text))]
    return next(iter(named), data.get("image") if isinstance(data.get("image"), str) else None)


def _regions(reading: Reading, annotations: list[Any], name: str) -> list[Any] | None:
    """Return the regions of the annotation that counts; None if the task was not annotated."""
    made = [entry for entry in annotations if not entry.get("was_cancelled")]
    if len(made) > 1:
        reading.remark(
            "of {}, annotated several times, one annotation is taken: the ground truth, or else the last.",
            name,
        )
    if not made:
        return None
    best = max(
        enumerate(made),
        key=lambda pair: (bool(pair[1].get("ground_truth")), str(pair[1].get("updated_at") or ""), pair[0]),
    )
    return best[1]["result"]


def _regions_of_min(task: Any) -> list[Any]:
    lists = [value for value in task.values() if isinstance(value, list)]
    regions = [region for value in lists for region in value if isinstance(region, dict)]
    return [{**region, "value": region} for region in regions]


def _labels(region: Any) -> list[Any]:
    """Return the classes of a region; of outlines and labels in two tags, one of two entries has them."""
    value = region.get("value")
    named = [v for k, v in value.items() if k.endswith(_LABELS)] if isinstance(value, dict) else []
    return next((labels for labels in named if labels), [])


def _shapes(reading: Reading, region: Any, name: str, labelled: set[Any]) -> Iterator[Shape]:
    value = region.get("value")
    if not isinstance(value, dict) or not {"points", "rle", "radiusX", "height"} & value.keys():
        return  # choices and texts about the whole picture, relations, key points
    labels = _labels(region)
    if not labels:
        if region.get("id") not in labelled:
            reading.drop(NO_CLASS, name)
        return
    if len(labels) > 1:
        reading.remark("regions of {} have several labels, of which the first is taken.", name)
    outline = _outline(reading, region, value, name)
    if outline is not None:
        yield Shape(reading.label(labels[0]), outline)


def _outline(reading: Reading, region: Any, value: Any, name: str) -> Outline | None:
    size = size_in(region, "original_height", "original_width")
    if size is None:
        reading.flaw("regions of {} have no original_width and original_height; export them again.", name)
        return None
    if region.get("image_rotation"):
        reading.flaw(
            "{} are turned in Label Studio (image_rotation); turn them back, and export again.", name
        )
        return None
    if "rle" in value:
        return Brush(np.array(value["rle"], np.uint8).tobytes(), size)
    scale = np.array([size[1], size[0]]) / 100
    if "points" in value:
        corners = reading.corners(value["points"], name)
        ring = None if corners is None else reading.ring(corners * scale, name, size)
        return None if ring is None else Polygons((ring,))
    is_ellipse = "radiusX" in value
    sides = ("radiusX", "radiusY") if is_ellipse else ("width", "height")
    corners = reading.corners([[value["x"], value["y"]], [value[side] for side in sides]], name)
    if corners is None:
        return None
    (x, y), (width, height) = corners * scale
    points = ellipse_ring(x, y, width, height) if is_ellipse else box_ring(x, y, x + width, y + height)
    # Boxes are turned about their upper left corner, ellipses about their centre: x and y in both.
    ring = reading.ring(turned(points, float(value.get("rotation") or 0), x, y), name, size)
    return None if ring is None else Polygons((ring,))
