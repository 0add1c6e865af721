"""COCO's instances: one file a split, with pictures, categories, and polygons or run lengths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from subquad.tasks.segmentation.data.annotations.files import read_json
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.outlines import Polygons, RunLengths
from subquad.tasks.segmentation.data.annotations.picture_index import split_called, split_in_words, split_of
from subquad.tasks.segmentation.data.annotations.reading import NO_CLASS, Reading, size_in

NO_OUTLINE = "without an outline"


_BRUSHES = (
    "crowds (iscrowd) of {} are taken for objects: the file marks so what was painted with a brush, or has "
    "nothing else."
)
_OF_FILES = ("instances", "panoptic", "coco", "annotations", "annotation", "labels", "default", "json")


def read_coco(root: Path, files: Sequence[Path]) -> Export:
    """Read instances of one or more files.

    Args:
        root: The folder of the data.
        files: The JSON files.
    """
    reading = Reading(root, "COCO")
    for path in without_others(files):
        with reading.file(path):
            _read(reading, path, read_json(path))
    shapes = sum(len(item.shapes) for item in reading.items)
    boxes = reading.count_dropped(NO_OUTLINE)
    if boxes and not shapes:
        reading.problem(f"the {boxes} annotations are boxes or points without an outline; export polygons.")
    return reading.finish(smallest_on_top=True)


def without_others(files: Sequence[Path]) -> list[Path]:
    """Leave out what COCO publishes beside its instances: the same pictures with other annotations."""
    others = ("captions", "person_keypoints", "image_info", "stuff_")
    instances = [path for path in files if not path.name.startswith(others)]
    return instances or list(files)


def split_of_file(path: Path, root: Path) -> str | None:
    """Return the split of a file by its name, else by its folder; None if they tell none.

    `instances_val2017.json` and `train.json` tell it, `my_test_project.json` does not.
    """
    words = [word for word in re.split(r"[^a-zA-Z0-9]+", path.stem.casefold()) if word]
    others = [
        word for word in words if word not in _OF_FILES and not word.isdigit() and not split_called(word)
    ]
    return (None if others else split_in_words(path.stem)) or split_of(path, root)


def categories_of(content: Any, used: set[Any]) -> dict[Any, str]:
    """Return the names of the categories by their ids, in the order of these.

    Roboflow writes the name of the project as a category of its own, which all others are below: it is none.

    Args:
        content: Of the file.
        used: Ids that occur.
    """
    entries = sorted(content["categories"], key=lambda entry: entry["id"])
    above = {entry.get("supercategory") for entry in entries}
    return {
        entry["id"]: str(entry["name"]).strip()
        for entry in entries
        if entry["id"] in used or entry.get("supercategory") != "none" or entry["name"] not in above
    }


def _read(reading: Reading, path: Path, content: Any) -> None:
    split = split_of_file(path, reading.root)
    annotations = content["annotations"]
    names = categories_of(content, {entry.get("category_id") for entry in annotations})
    are_objects = _marks_brushes(content)
    reading.names.update(dict.fromkeys(names.values()))
    by_image: dict[Any, list[Any]] = {entry["id"]: [] for entry in content["images"]}
    if len(by_image) < len(content["images"]):
        reading.problem(f"{path} gives several pictures one id; number them anew.")
    for entry in annotations:
        if entry["image_id"] not in by_image:
            reading.flaw(
                f"annotations {{}} of {path} are of pictures it does not list.", str(entry.get("id"))
            )
        else:
            by_image[entry["image_id"]].append(entry)
    for image in content["images"]:
        name = str(image["file_name"])
        picture = reading.picture(name, path, split)
        size = size_in(image)
        found = [_shape(reading, path, entry, names, name, size) for entry in by_image[image["id"]]]
        if are_objects and any(shape is not None and shape.ignored for shape in found):
            reading.remark(_BRUSHES, name)
            found = [shape and replace(shape, ignored=False) for shape in found]
        if picture is not None:
            shapes = tuple(shape for shape in found if shape is not None)
            reading.add(Item(picture, str(path), split, shapes, size))


def _marks_brushes(content: Any) -> bool:
    """Say whether the file marks as crowds what is none: CVAT does so with all that a brush painted.

    Its files are told by attributes of annotations, which those of COCO do not have; others by that there
    would be nothing but crowds.
    """
    crowds = [entry for entry in content["annotations"] if entry.get("iscrowd", 0)]
    by_cvat = any("occluded" in (entry.get("attributes") or {}) for entry in crowds)
    return by_cvat or len(crowds) == len(content["annotations"])


def _shape(
    reading: Reading, path: Path, entry: Any, names: dict[Any, str], name: str, size: tuple[int, int] | None
) -> Shape | None:
    category = entry.get("category_id")
    if category is None:
        reading.drop(NO_CLASS, name)
        return None
    if category not in names:
        reading.flaw(f"categories {{}} are used in {path}, but it does not name them.", str(category))
        return None
    ignored = bool(entry.get("iscrowd", 0))
    segmentation = entry.get("segmentation")
    if not segmentation:
        reading.drop(NO_OUTLINE, name)
        return None
    if isinstance(segmentation, dict):
        return Shape(names[category], _run_lengths(segmentation), ignored)
    if not isinstance(segmentation[0], list):
        segmentation = [segmentation]
    rings = [ring for part in segmentation if (ring := reading.ring(part, name, size)) is not None]
    return Shape(names[category], Polygons(tuple(rings)), ignored) if rings else None


def _run_lengths(segmentation: dict[str, Any]) -> RunLengths:
    counts = segmentation["counts"]
    height, width = segmentation["size"]
    if isinstance(counts, str):
        return RunLengths(counts.encode(), (int(height), int(width)))
    return RunLengths(np.array(counts, np.int64), (int(height), int(width)))
