"""Outlines as annotation tools store them, each turned into run lengths the size of its picture.

Polygons and run lengths are rasterised by pycocotools, so pixels are those that COCO's evaluation counts.
What it does not know is unpacked here and encoded by it.
"""

from __future__ import annotations

import base64
import binascii
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from subquad.base.limits import LONGEST_OUTLINE, PICTURE_PIXELS
from subquad.data.decoding import decode
from subquad.tasks.segmentation.data.annotations.brush import unpack_brush

Runs = dict[str, Any]
"""Run lengths of pycocotools: "size", height and width, and "counts" in bytes."""


def coco_masks() -> Any:
    """Return the module of pycocotools, whose types tell half of what it takes."""
    from pycocotools import mask

    return mask


class Outline(Protocol):
    """Pixels of a picture that one annotation means."""

    def runs(self, height: int, width: int) -> Runs:
        """Return them for a picture of this size.

        Raises:
            ValueError: If they are of a picture of another size, or make no sense.
        """
        ...


@dataclass(frozen=True)
class Polygons:
    """The union of polygons.

    Args:
        rings: Corners of each, float64 (points, 2) of x and y, at least three of them.
        relative: Whether they are parts of width and height, not pixels.
    """

    rings: tuple[NDArray[np.float64], ...]
    relative: bool = False

    def runs(self, height: int, width: int) -> Runs:
        """Rasterise as pycocotools does."""
        mask = coco_masks()
        scale = np.array([width, height] if self.relative else [1, 1], np.float64)
        rings = [ring * scale for ring in self.rings]
        rings = [ring for ring in rings if _meets(ring, height, width)]
        # Its edges are drawn at five times the size, pixel by pixel, before the picture cuts them.
        longest = max(
            (float(np.abs(np.diff(r, axis=0, append=r[:1])).max(1).sum()) for r in rings), default=0
        )
        if longest > LONGEST_OUTLINE:
            raise ValueError(
                f"an outline is {longest:,.0f} pixels long, more than the {LONGEST_OUTLINE:,} that are "
                "drawn; "
                "correct its coordinates"
            )
        if not rings:
            return mask.encode(np.zeros((height, width), np.uint8, order="F"))
        return mask.merge(mask.frPyObjects([ring.ravel().tolist() for ring in rings], height, width))


@dataclass(frozen=True)
class RunLengths:
    """COCO's run lengths, column by column, the first of what is not meant.

    Args:
        counts: Numbers, int64, or as COCO packs them.
        size: Height and width of their picture.
    """

    counts: NDArray[np.int64] | bytes
    size: tuple[int, int]

    def runs(self, height: int, width: int) -> Runs:
        """Check that they are of the picture: pycocotools would leave pixels as they were in memory."""
        mask = coco_masks()
        _check_size("run lengths", self.size, height, width)
        packed = isinstance(self.counts, bytes)
        counts = unpack_counts(self.counts) if isinstance(self.counts, bytes) else self.counts
        if not _fills(counts, height * width):
            raise ValueError(
                f"run lengths add up to {int(counts.sum()):,} pixels of {height * width:,}; export them again"
            )
        if packed:
            return {"size": [height, width], "counts": self.counts}
        return mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)


class Bitmap(ABC):
    """What is unpacked to pixels first."""

    @abstractmethod
    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return which pixels are meant, bool (height, width)."""

    def runs(self, height: int, width: int) -> Runs:
        """Encode the pixels."""
        mask = coco_masks()
        return mask.encode(np.asfortranarray(self.pixels(height, width), dtype=np.uint8))


@dataclass(frozen=True)
class RowRuns(Bitmap):
    """CVAT's run lengths of a box, row by row, the first of what is not meant.

    Args:
        counts: int64.
        box: Left, top, width and height.
    """

    counts: NDArray[np.int64]
    box: tuple[int, int, int, int]

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Unpack and place them."""
        left, top, columns, rows = self.box
        total = int(self.counts.sum())
        if min(columns, rows) < 1 or columns * rows > PICTURE_PIXELS:
            raise ValueError(f"a mask has the box {self.box}, which is none; export it again")
        if not _fills(self.counts, columns * rows):
            raise ValueError(
                f"run lengths add up to {total:,} pixels of {columns * rows:,}; export them again"
            )
        values = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return placed(values.reshape(rows, columns), left, top, height, width)


@dataclass(frozen=True)
class PngPatch(Bitmap):
    """A PNG in Base64 that covers a part of the picture, as labelme stores it.

    Args:
        packed: The text.
        left: Of its first column.
        top: Of its first row.
    """

    packed: str
    left: int
    top: int

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Decode and place it."""
        try:
            content = base64.b64decode(self.packed, validate=False)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"a mask is no Base64 ({error}); save it again") from error
        image = decode(content, "mask", where="within the file").image
        return placed(np.asarray(image.convert("L")) > 0, self.left, self.top, height, width)


@dataclass(frozen=True)
class Brush(Bitmap):
    """What a brush of Label Studio painted.

    Args:
        packed: Its run lengths.
        size: Height and width of their picture.
    """

    packed: bytes
    size: tuple[int, int]

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Unpack the transparency: the other three channels say the same, or a colour."""
        _check_size("a brush", self.size, height, width)
        values = unpack_brush(self.packed, 4 * height * width)
        return values.reshape(height, width, 4)[..., 3] > 0


@dataclass(frozen=True)
class MaskPicture(Bitmap):
    """A picture that is not black where one class is.

    Args:
        path: Of the file.
    """

    path: Path

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Decode it."""
        image = decode(self.path, "mask").image
        _check_size(f"mask {self.path}", (image.height, image.width), height, width)
        return np.asarray(image.convert("L")) > 0


def unpack_counts(packed: bytes) -> NDArray[np.int64]:
    """Return the run lengths of COCO's text.

    Digits have 5 bits, the lowest first; from the fourth number on it is what is more than two before.

    Raises:
        ValueError: If it is none.
    """
    digits = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    if not len(digits) or (digits < 0).any() or (digits > 63).any() or digits[-1] & 32:
        raise ValueError("run lengths are not as COCO packs them; export them again")
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # 35 bits
        raise ValueError("run lengths have numbers of more than 32 bits; export them again")
    place = np.arange(len(digits)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((digits & 31) << (5 * place), starts)
    negative = digits[ends] & 16 != 0
    numbers[negative] -= 1 << (5 * lengths[negative])
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def placed(patch: NDArray[np.bool_], left: int, top: int, height: int, width: int) -> NDArray[np.bool_]:
    """Return a patch in a picture of this size; what lies outside is cut off."""
    whole = np.zeros((height, width), bool)
    rows, columns = patch.shape
    y, x = max(top, 0), max(left, 0)
    bottom, right = min(top + rows, height), min(left + columns, width)
    if y < bottom and x < right:
        whole[y:bottom, x:right] = patch[y - top : bottom - top, x - left : right - left]
    return whole


def box_ring(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    """Return the corners of a box."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def ellipse_ring(x: float, y: float, radius_x: float, radius_y: float) -> NDArray[np.float64]:
    """Return an ellipse as a polygon, off by less than a hundredth of a pixel up to 4,096 corners."""
    widest = max(abs(radius_x), abs(radius_y), 1.0)
    count = int(np.clip(np.ceil(np.pi / np.arccos(1 - min(0.01 / widest, 0.5))), 16, 4096))
    angles = np.arange(count) * (2 * np.pi / count)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)


def turned(ring: NDArray[np.float64], degrees: float, x: float, y: float) -> NDArray[np.float64]:
    """Return corners turned about a point, clockwise as pictures are looked at."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (ring - [x, y]) @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def _meets(ring: NDArray[np.float64], height: int, width: int) -> bool:
    (left, top), (right, bottom) = ring.min(0), ring.max(0)
    return bool(left < width and top < height and right > 0 and bottom > 0)


def _fills(counts: NDArray[np.int64], pixels: int) -> bool:
    """Say whether run lengths add up to so many pixels; huge ones would add up to anything."""
    return bool(((counts >= 0) & (counts <= pixels)).all()) and int(counts.sum()) == pixels


def _check_size(what: str, size: tuple[int, int], height: int, width: int) -> None:
    if size != (height, width):
        raise ValueError(
            f"{what} {'are' if what.endswith('s') else 'is'} {size[0]} x {size[1]}, but the picture is "
            f"{height} x {width} (height x width); export them for this picture"
        )
