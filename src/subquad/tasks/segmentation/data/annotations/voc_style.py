"""Folders as PASCAL VOC has them, which CVAT ("Segmentation mask"), labelme and Datumaro write, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.annotations.classes import is_background
from subquad.tasks.segmentation.data.annotations.files import read_text
from subquad.tasks.segmentation.data.annotations.items import Export, Item
from subquad.tasks.segmentation.data.annotations.picture_index import folders_below, split_called
from subquad.tasks.segmentation.data.annotations.reading import Reading
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color, color_to_index, voc_palette
from subquad.tasks.segmentation.data.exports import LABELMAP
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.masks import open_mask, read_mask
from subquad.tasks.segmentation.data.pairs import mask_files
from subquad.tasks.segmentation.data.published import published_labels

PICTURES = "JPEGImages"
MASKS = ("SegmentationClass", "SegmentationClassPNG", "SegmentationClassNpy")
_IGNORED: Color = (224, 224, 192)
_LABEL = re.compile(r"([^#:][^:]*):(?:(\d{1,3}),(\d{1,3}),(\d{1,3}))?(?::|$)")


@dataclass(frozen=True)
class ClassMask:
    """A mask of all classes.

    Attributes:
        path: Of the file.
        by_color: Whether colours tell the class, even where the file has a table of them.
    """

    path: Path
    by_color: bool = False

    def read(self, labels: LabelSet, max_pixels: int) -> NDArray[np.uint8]:
        """Return class indices or 255; see `read_mask`."""
        mask = open_mask(self.path, max_pixels) if self.by_color else None
        if mask is None or mask.table is None:
            return read_mask(self.path, labels, max_pixels).numpy()
        table = np.zeros((256, 3), np.uint8)
        table[: len(mask.table)] = mask.table
        try:
            return color_to_index(table[mask.values], labels.palette, labels.ignore_color)
        except ValueError as error:
            raise ValueError(f"mask {self.path}: {error}") from error

    def classes(self, labels: LabelSet, max_pixels: int) -> set[int]:
        """Return the classes that occur."""
        return {*np.unique(self.read(labels, max_pixels)).tolist()} - {IGNORE_INDEX}


def base_of(root: Path) -> Path | None:
    """Return the folder that holds masks as VOC names them; None if there is none."""
    places = [root, *(root / name for name in ("VOC2012", "VOCdevkit/VOC2012", "VOC2007"))]
    return next((place for place in places if any((place / name).is_dir() for name in MASKS)), None)


def read_voc_style(root: Path, labels: LabelSet | None = None) -> Export:
    """Read pictures, masks and lists.

    Args:
        root: The folder of the data, or the one above.
        labels: The classes; those of `labelmap.txt` or `class_names.txt`, else VOC's, if not given.

    Raises:
        FileNotFoundError: If there is no folder of masks.
        ValueError: If the classes cannot be read.
    """
    base = base_of(root)
    if base is None:
        raise FileNotFoundError(f"{root} has no folder {' or '.join(MASKS)}; correct the path.")
    named = labels or _named(base)
    by_color = (base / LABELMAP).is_file()
    tool = "CVAT (segmentation mask)" if by_color else "folders of VOC"
    reading = Reading(base, tool, lambda path: PICTURES not in path.relative_to(base).parts)
    fixed = named or _published()
    reading.names.update(dict.fromkeys(fixed.names))
    pictures = {_stem(path, base / PICTURES): path for path in reading.pictures.files}
    masks = next((found for name in MASKS if (found := _masks(base / name))), {})
    lists = dict(_lists(base, reading))
    for split, names in (lists or {None: sorted(masks)}).items():
        for name in names:
            if name not in pictures:
                reading.flaw(
                    f"{{}} have no picture in {base / PICTURES}; add them (export with pictures).", name
                )
            elif name in masks:
                stored = ClassMask(masks[name], by_color)
                reading.add(Item(pictures[name], str(masks[name]), split, stored=stored))
            elif by_color and any(map(is_background, fixed.names)):
                # CVAT writes no mask of a picture without shapes.
                reading.add(Item(pictures[name], str(base / LABELMAP), split))
            else:
                reading.flaw(f"{{}} are listed in {base / 'ImageSets'} and have no mask; add them.", name)
    listed = {name for names in lists.values() for name in names}
    if lone := sorted(masks.keys() - pictures.keys() - listed) if lists else []:
        reading.problem(f"masks {quote(lone)} of {base} have no picture; add it, or remove them.")
    return reading.finish(has_background=False, fixed=fixed)


def _masks(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {_stem(path, folder): path for below in folders_below(folder) for path in mask_files(below)}


def _stem(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder).with_suffix("").as_posix())


def _published() -> LabelSet:
    labels = published_labels("voc")
    return LabelSet(labels.names, labels.palette, _IGNORED)


def _named(base: Path) -> LabelSet | None:
    """Return the classes of CVAT's or labelme's file; None if there is neither."""
    if (base / LABELMAP).is_file():
        found = [match for line in read_text(base / LABELMAP).splitlines() if (match := _LABEL.match(line))]
        usual = voc_palette(max(1, min(len(found), 256)))
        names = tuple(match[1].strip() for match in found)
        palette: list[Color] = []
        for match, color in zip(found, usual, strict=False):
            red, green, blue = (int(level) for level in match.groups()[1:]) if match[2] else color
            palette.append((red, green, blue))
        try:
            return LabelSet(names, tuple(palette))
        except ValueError as error:
            raise ValueError(f"cannot read the classes from {base / LABELMAP}: {error}") from error
    if (base / "class_names.txt").is_file():
        lines = [line.strip() for line in read_text(base / "class_names.txt").splitlines()]
        names = tuple(line for line in lines if line and line != "__ignore__")
        try:
            return LabelSet(names, voc_palette(max(1, min(len(names), 255))), _IGNORED)
        except ValueError as error:
            raise ValueError(f"cannot read the classes from {base / 'class_names.txt'}: {error}") from error
    return None


def _lists(base: Path, reading: Reading) -> Iterator[tuple[str | None, list[str]]]:
    """Yield the splits with the names in them."""
    folder = base / "ImageSets" / "Segmentation"
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    both = {"train", "val"} <= {path.stem for path in files}
    for path in files:
        if path.stem == "trainval" and both:
            continue
        lines = [line.strip().strip('"') for line in read_text(path).splitlines() if line.strip()]
        reading.sources.append(path)
        split = None if path.stem.lower() == "default" else split_called(path.stem) or path.stem
        yield split, [_name(line, base) for line in lines]


def _name(line: str, base: Path) -> str:
    """Return the name of a line, which may be that of a picture and a mask with their folders."""
    first = line.split()[0].lstrip("/") if f"{PICTURES}/" in line else line
    return str(Path(first.partition(f"{PICTURES}/")[2]).with_suffix("")) if f"{PICTURES}/" in first else first
