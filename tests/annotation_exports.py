"""Exports of annotation tools, written by hand as the tools write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.sources import ExportSource, open_source

HEIGHT, WIDTH = 24, 32
SQUARE = [[4, 6], [12, 6], [12, 14], [4, 14]]  # x, y: columns 4..11, rows 6..13


def square(value: int = 1, rest: int = 0) -> np.ndarray:
    """The mask of `SQUARE`."""
    mask = np.full((HEIGHT, WIDTH), rest, np.uint8)
    mask[6:14, 4:12] = value
    return mask


def write_picture(path: Path, height: int = HEIGHT, width: int = WIDTH, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(path.name.encode()))
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path, **options)
    return path


def write_json(path: Path, content: Any, mark: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8-sig" if mark else "utf-8")
    return path


def write_text(path: Path, text: str, mark: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8-sig" if mark else "utf-8")
    return path


def source(root: Path, name: str = "folder", **options: Any) -> ExportSource:
    """Open an export as the commands do."""
    found = open_source(DataOptions(name, str(root), **options))
    assert isinstance(found, ExportSource), found
    return found


def masks(root: Path, split: str | None = None, **options: Any) -> dict[str, np.ndarray]:
    """The masks of a split by the names of the samples."""
    data = source(root, **options).open(split)
    return {sample.name: sample.labels.numpy() for sample in (data[n] for n in range(len(data)))}


def coco(
    names: Iterable[str] = ("a.jpg",),
    annotations: Iterable[dict[str, Any]] = (),
    categories: Iterable[tuple[int, str]] = ((1, "cat"),),
) -> dict[str, Any]:
    """Content of an instances file; annotations have an image_id from 1 on."""
    filled = [
        {"id": n, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1.0, "bbox": [0, 0, 1, 1], **entry}
        for n, entry in enumerate(annotations, 1)
    ]
    return {
        "info": {"description": "", "version": "1.0"},
        "licenses": [{"id": 0, "name": "", "url": ""}],
        "images": [
            {"id": n, "file_name": name, "height": HEIGHT, "width": WIDTH, "license": 0}
            for n, name in enumerate(names, 1)
        ],
        "annotations": filled,
        "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in categories],
    }


def flat(points: Iterable[Iterable[float]]) -> list[float]:
    return [float(value) for point in points for value in point]


def packed_brush(values: Iterable[int], sizes: tuple[int, ...] = (3, 4, 8, 16), word: int = 8) -> list[int]:
    """Encode words as Label Studio's brushes are: runs of more than two as such, all others one by one."""
    words = [*values]
    bits = f"{len(words):032b}{word - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)

    def length(count: int) -> str:
        which = next(n for n, size in enumerate(sizes) if count - 1 < 2**size)
        return f"{which:02b}{count - 1:0{sizes[which]}b}"

    at, most = 0, 2 ** sizes[-1]
    while at < len(words):
        end = at
        while end < len(words) and end - at < most and words[end] == words[at]:
            end += 1
        if end - at > 2:
            bits += "1" + length(end - at) + f"{words[at]:0{word}b}"
        else:
            end = at + 1
            while end < len(words) and end - at < most and len({*words[end : end + 3]}) > 1:
                end += 1
            bits += "0" + length(end - at) + "".join(f"{value:0{word}b}" for value in words[at:end])
        at = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)]


def brushed(mask: np.ndarray, **options: Any) -> list[int]:
    """Encode a mask as Label Studio does: its four channels alike."""
    return packed_brush(np.repeat(255 * (mask > 0).astype(int).ravel(), 4).tolist(), **options)
