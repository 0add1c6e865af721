"""COCO's panoptic format: a PNG of segment ids for each picture, and a file that tells their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.tasks.segmentation.data.annotations.classes import indices_of
from subquad.tasks.segmentation.data.annotations.coco import categories_of, split_of_file
from subquad.tasks.segmentation.data.annotations.files import read_json
from subquad.tasks.segmentation.data.annotations.items import Export, Item
from subquad.tasks.segmentation.data.annotations.picture_index import PictureIndex
from subquad.tasks.segmentation.data.annotations.reading import Reading, size_in
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, pack_colors
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.masks import read_raw_mask


@dataclass(frozen=True)
class Segments:
    """The segments of one picture.

    Attributes:
        path: Of the PNG; the id of a pixel is red + 256 green + 65,536 blue.
        ids: Of the segments.
        names: Of their classes; None where it is ignored.
    """

    path: Path
    ids: tuple[int, ...]
    names: tuple[str | None, ...]

    def read(self, labels: LabelSet, max_pixels: int) -> NDArray[np.uint8]:
        """Return class indices; pixels of no segment (id 0) and of crowds are 255.

        Raises:
            ValueError: If the picture holds an id of no segment, or no colours.
        """
        colors = read_raw_mask(self.path, max_pixels)
        if colors.ndim != 3:
            raise ValueError(f"mask {self.path} holds no colours, which are the ids; export it again.")
        ids = pack_colors(np.ascontiguousarray(colors[..., ::-1]))
        known = np.array([0, *self.ids], np.int64)
        indices = indices_of(labels, {name for name in self.names if name is not None})
        values = [IGNORE_INDEX if name is None else indices[name] for name in self.names]
        order = np.argsort(known)
        place = np.searchsorted(known[order], ids).clip(max=len(known) - 1)
        if (wrong := known[order][place] != ids).any():
            raise ValueError(
                f"mask {self.path} holds the id {int(ids[wrong][0])} of no segment; export both files again."
            )
        return np.array([IGNORE_INDEX, *values], np.uint8)[order][place]

    def classes(self, labels: LabelSet, max_pixels: int) -> set[int]:
        """Return the classes that the file tells."""
        used = {name for name in self.names if name is not None}
        indices = indices_of(labels, used)
        return {indices[name] for name in used}


def read_panoptic(root: Path, files: Sequence[Path]) -> Export:
    """Read panoptic files; see `read_coco`."""
    folders = {path.with_suffix("").name for path in files}
    reading = Reading(root, "COCO panoptic", lambda path: path.parent.name in folders)
    masks = PictureIndex(root, lambda path: path.parent.name not in folders)
    for path in files:
        with reading.file(path):
            _read(reading, masks, path, read_json(path))
    return reading.finish(has_background=False)


def _read(reading: Reading, masks: PictureIndex, path: Path, content: Any) -> None:
    split = split_of_file(path, reading.root)
    images = {entry["id"]: entry for entry in content["images"]}
    names = categories_of(
        content, {s["category_id"] for a in content["annotations"] for s in a["segments_info"]}
    )
    reading.names.update(dict.fromkeys(names.values()))
    for entry in content["annotations"]:
        if entry["image_id"] not in images:
            reading.flaw(f"annotations {{}} of {path} are of pictures it does not list.", entry["file_name"])
            continue
        image = images[entry["image_id"]]
        picture = reading.picture(str(image["file_name"]), path, split)
        found = masks.find(str(entry["file_name"]), path.with_suffix("") / "x", split)
        if not found:
            reading.flaw(f"masks {{}} of {path} are not below {reading.root}; add them.", entry["file_name"])
        if picture is None or not found:
            continue
        ids, classes = [], []
        for segment in entry["segments_info"]:
            if segment["category_id"] not in names:
                reading.flaw(
                    f"categories {{}} are used in {path}, but it does not name them.",
                    str(segment["category_id"]),
                )
                continue
            if not 0 < segment["id"] < 2**24:
                reading.flaw(f"ids {{}} in {path} are none that a colour holds; correct them.", segment["id"])
                continue
            ids.append(int(segment["id"]))
            classes.append(None if segment.get("iscrowd", 0) else names[segment["category_id"]])
        stored = Segments(found[0], tuple(ids), tuple(classes))
        reading.add(Item(picture, str(path), split, size=size_in(image), stored=stored))
