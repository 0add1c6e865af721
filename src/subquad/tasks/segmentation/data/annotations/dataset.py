"""Samples of an export: pictures with masks that are painted when they are asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from pathlib import Path
from unicodedata import normalize

import torch
from torch.utils.data import Dataset

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.fingerprint import content_parts, file_parts
from subquad.data.pictures import Picture, read_picture
from subquad.tasks.segmentation.data.annotations.classes import indices_of, rest_of
from subquad.tasks.segmentation.data.annotations.files import Embedded
from subquad.tasks.segmentation.data.annotations.items import Export, Item
from subquad.tasks.segmentation.data.annotations.raster import rasterise
from subquad.tasks.segmentation.data.annotations.turning import as_upright
from subquad.tasks.segmentation.data.labels import LabelSet, Sample


class AnnotatedPictures(Dataset[Sample]):
    """The pictures of one split, with their shapes as masks.

    Args:
        export: What was read.
        split: The name of the split; None of an export without any.
        labels: The classes.
        max_pixels: Refuse pictures and masks of more.
        bands: Of the pictures.

    Attributes:
        labels: The classes.
        items: Of each sample, sorted by name.
        names: Of the samples.
    """

    def __init__(
        self,
        export: Export,
        split: str | None,
        labels: LabelSet,
        *,
        max_pixels: int = PICTURE_PIXELS,
        bands: int = 3,
    ) -> None:
        items = [item for item in export.items if item.split == split]
        named = sorted(zip(sample_names(items, export.root), items, strict=True), key=lambda pair: pair[0])
        self.names: Sequence[str] = [name for name, _ in named]
        self.items: Sequence[Item] = [item for _, item in named]
        self.labels, self.max_pixels, self.bands = labels, max_pixels, bands
        self._export, self._rest = export, rest_of(labels)
        self._indices = indices_of(labels, {shape.label for item in items for shape in item.shapes})

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        """Decode and paint one sample.

        Raises:
            IndexError: If there is no such sample.
            ValueError: If a file is corrupt or too large, or annotations are of another size.
        """
        return Sample(*self.read(index)[:2], self.names[index])

    def read(self, index: int) -> tuple[torch.Tensor, torch.Tensor, Picture]:
        """Return picture and mask of a sample, and what is lost of the picture's file."""
        item = self.items[index]
        picture = self._picture(item)
        height, width = (int(side) for side in picture.pixels.shape[1:])
        if item.stored is not None:
            mask = item.stored.read(self.labels, self.max_pixels)
            size = (mask.shape[0], mask.shape[1])
        else:
            size = item.size or (height, width)
            mask = None
        is_turned = size == (width, height) and picture.orientation > 4 and size != (height, width)
        if not is_turned and size != (height, width):
            raise ValueError(
                f"picture {self.where(index)} is {height} x {width}, but its annotations in {item.where} "
                f"are for {size[0]} x {size[1]} (height x width); export them for this picture."
            )
        if mask is None:
            mask = self._painted(index, *size)
        if is_turned:  # it was annotated as it is stored, and EXIF turns it
            mask = as_upright(mask, picture.orientation)
        return picture.pixels, torch.from_numpy(mask), picture

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return the names and sizes of the pictures, and the contents of the annotations."""
        files = [item.picture if isinstance(item.picture, Path) else item.picture.path for item in self.items]
        return (*file_parts(files), *content_parts(self._export.sources))

    def source(self, index: int) -> Path | Embedded:
        """Return where the picture of a sample is."""
        return self.items[index].picture

    def where(self, index: int) -> Path:
        """Return the file of the picture of a sample, for messages."""
        source = self.source(index)
        return source.path if isinstance(source, Embedded) else source

    def classes_of(self, index: int) -> set[int]:
        """Return the classes of a sample, as far as they are known without its picture; 0 is in each."""
        item = self.items[index]
        if item.stored is not None:
            return item.stored.classes(self.labels, self.max_pixels)
        return {self._indices[shape.label] for shape in item.shapes if not shape.ignored}

    def only(self, names: Collection[str]) -> AnnotatedPictures:
        """Return the samples of these names alone."""
        chosen, wanted = copy(self), {*names}
        kept = [index for index, name in enumerate(self.names) if name in wanted]
        chosen.names, chosen.items = [self.names[n] for n in kept], [self.items[n] for n in kept]
        return chosen

    def _picture(self, item: Item) -> Picture:
        if isinstance(item.picture, Embedded):
            where = f"in {item.picture.path}"
            return read_picture(item.picture.read(), self.max_pixels, bands=self.bands, where=where)
        return read_picture(item.picture, self.max_pixels, bands=self.bands)

    def _painted(self, index: int, height: int, width: int):
        item = self.items[index]
        try:
            return rasterise(
                item.shapes,
                self._indices,
                height,
                width,
                rest=self._rest,
                smallest_on_top=self._export.smallest_on_top,
            )
        except ValueError as error:
            raise ValueError(f"{item.where}, picture {self.where(index).name}: {error}.") from error


def sample_names(items: Sequence[Item], root: Path) -> list[str]:
    """Name samples by their files without suffix, with the folders where that is not enough.

    Args:
        items: Of one split.
        root: The folder of the data.
    """
    names = [
        normalize("NFC", item.picture.stem if isinstance(item.picture, Path) else item.picture.path.stem)
        for item in items
    ]
    if max(Counter(names).values(), default=1) == 1:
        return names
    paths = [item.picture if isinstance(item.picture, Path) else item.picture.path for item in items]
    longer = [normalize("NFC", "_".join(path.relative_to(root).with_suffix("").parts)) for path in paths]
    if max(Counter(longer).values()) > 1:  # a.jpg and a.png
        longer = [name + re.sub(r"^\.", "_", path.suffix) for name, path in zip(longer, paths, strict=True)]
    return longer
