"""Label Studio's "Brush labels to PNG": a picture for each stroke, which names its task and class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from subquad.base.hidden import visible
from subquad.tasks.segmentation.data.annotations.files import read_json
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.label_studio import picture_address
from subquad.tasks.segmentation.data.annotations.outlines import MaskPicture
from subquad.tasks.segmentation.data.annotations.picture_index import folders_below, split_of
from subquad.tasks.segmentation.data.annotations.reading import Reading

_BRUSHED = re.compile(r"task-(\d+)-annotation-(\d+)-by-[^-]*-[^-]+-(.+)-(\d+)\.png")


def brush_files(root: Path) -> Iterator[Path]:
    """Yield the pictures of strokes below a folder."""
    return (
        path for folder in folders_below(root) for path in visible(folder) if _BRUSHED.fullmatch(path.name)
    )


def read_brush_files(root: Path, files: Sequence[Path]) -> Export:
    """Read the strokes of each picture.

    Which picture a task is of, an export of the tasks in JSON tells, else a picture called as the task:
    `7.jpg` or `task-7.jpg`.

    Args:
        root: The folder of the data.
        files: JSON files of tasks.
    """
    brushed = {path: found for path in brush_files(root) if (found := _BRUSHED.fullmatch(path.name))}
    reading = Reading(root, "Label Studio (PNG of brushes)", lambda path: path in brushed)
    tasks: dict[str, Path | None] = {}
    for path in files:
        with reading.file(path):
            for task in read_json(path):
                address = picture_address(task.get("data", task))
                if address is not None:
                    tasks[str(task["id"])] = reading.picture(address, path)
    by_stem = {picture.stem: picture for picture in reading.pictures.files}
    strokes: dict[str, list[tuple[int, int, str, Path]]] = {}
    for path, found in brushed.items():
        strokes.setdefault(found[1], []).append((int(found[2]), int(found[4]), found[3], path))
        reading.sources.append(path)
    names: set[str] = set()
    for task, parts in strokes.items():
        picture = tasks[task] if task in tasks else by_stem.get(f"task-{task}", by_stem.get(task))
        if picture is None:
            reading.flaw(
                f"nothing tells of which picture {{}} of {root} is: export the tasks as JSON, too, and put "
                "it "
                "there, or call the picture as the task.",
                f"task-{task}",
            )
            continue
        last = max(number for number, *_ in parts)  # of several annotations
        shapes = tuple(
            Shape(label, MaskPicture(path))
            for number, _, label, path in sorted(parts, key=lambda part: part[:2])
            if number == last
        )
        names |= {shape.label for shape in shapes}
        reading.add(Item(picture, str(parts[0][3].parent), split_of(picture, root), shapes))
    reading.names.update(dict.fromkeys(sorted(names)))
    return reading.finish()
