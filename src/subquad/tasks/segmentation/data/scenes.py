"""Scenes: a procedural data set in which the class of a pixel depends on something far away.

Each picture shows textured squares, triangles and disks on a ground, and one small marker. Squares,
triangles and the marker can be told by looking at them; the class of a disk is told only by the
colour of the marker, which is at least `distance` pixels away from every disk. A network that
cannot see that far guesses one of three classes.
"""

import colorsys
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from subquad.tasks.segmentation.data.labels import LabelSet, Sample

Array = NDArray[np.floating]

DISK_COLORS = ((240, 184, 40), (32, 178, 160), (146, 84, 222))
SCENES_LABELS = LabelSet(
    names=("ground", "square", "triangle", "marker", "gold disk", "teal disk", "violet disk"),
    palette=((52, 58, 70), (222, 108, 96), (104, 158, 222), (245, 245, 240), *DISK_COLORS),
)
SQUARE, TRIANGLE, MARKER, FIRST_DISK = 1, 2, 3, 4
SPLIT_STREAMS = {"train": 0, "val": 1}
LAYOUT_TRIALS, POSITION_TRIALS = 30, 64

MARKER_COLORS = np.array([(255, 190, 0), (0, 196, 172), (148, 52, 236)], dtype=np.float32)
# Hue, saturation and value of the darker tone of a ground: so grey that none looks like a marker.
GROUNDS = (
    *((0.28, 0.23, 0.40), (0.60, 0.34, 0.45), (0.98, 0.27, 0.52), (0.05, 0.42, 0.50)),
    *((0.08, 0.04, 0.41), (0.62, 0.37, 0.27), (0.10, 0.08, 0.71)),
)
# Turns of the colour circle for reds, greens, blues, pinks; gold is 0.12, teal 0.48, violet 0.75.
SHAPE_HUES = ((-0.04, 0.04), (0.26, 0.36), (0.56, 0.64), (0.88, 0.94))


class Item(NamedTuple):
    """A thing in the picture, in pixels; its kind is a class, for every disk `FIRST_DISK`."""

    kind: int
    row: float
    column: float
    radius: float


class Scenes(Dataset[Sample]):
    """Procedural scenes; a sample depends on (`seed`, `split`, index) and on nothing else.

    Args:
        length: The number of samples, at least 1.
        seed: Any number from 0 on; another seed gives other pictures.
        size: Height and width in pixels, 64 to 160 each.
        split: `"train"` or `"val"`: two streams without a common picture.
        marker_radius: Smallest and largest radius of the marker, in pixels of a picture of 96;
            it and the two radii below grow with the shorter side.
        disk_radius: The same for the disks.
        shape_radius: The same for the circle around a square or triangle.
        distance: The least number of pixels between any disk pixel and any marker pixel,
            whatever the size of the picture.

    Attributes:
        labels: The seven classes.

    Raises:
        ValueError: If an argument is out of range, or `distance` does not fit into the picture.
    """

    def __init__(
        self,
        length: int,
        *,
        seed: int = 0,
        size: tuple[int, int] = (96, 96),
        split: Literal["train", "val"] = "train",
        marker_radius: tuple[float, float] = (8.0, 11.0),
        disk_radius: tuple[float, float] = (7.0, 13.0),
        shape_radius: tuple[float, float] = (9.0, 15.0),
        distance: float = 28.0,
    ) -> None:
        """Check the arguments; nothing is drawn yet."""
        if length < 1 or seed < 0:
            raise ValueError(f"length={length}, seed={seed}: take a length from 1, a seed from 0.")
        if split not in SPLIT_STREAMS:
            raise ValueError(f"Scenes has no split {split!r}; take 'train' or 'val'.")
        if not all(64 <= side <= 160 for side in size):
            raise ValueError(f"size={size}: take sides from 64 to 160 pixels.")
        for low, high in (marker_radius, disk_radius, shape_radius):
            if not 3 <= low <= high <= 20:
                raise ValueError(f"the radii ({low}, {high}) must grow and be within 3 and 20.")
        self.labels = SCENES_LABELS
        self.length, self.seed, self.size, self.split = length, seed, size, split
        self.distance, self._scale = distance, min(size) / 96
        self.radii = {kind: shape_radius for kind in (SQUARE, TRIANGLE)}
        self.radii |= {MARKER: marker_radius, FIRST_DISK: disk_radius}
        marker, disk, *_ = self._corner_layout(0)
        apart = np.hypot(marker.row - disk.row, marker.column - disk.column)
        if apart < self._least_apart(marker, FIRST_DISK, disk.radius):
            raise ValueError(
                f"a distance of {distance} pixels between marker and disk does not fit into "
                f"{size[0]} x {size[1]} with these radii; enlarge the picture or reduce them."
            )

    def __len__(self) -> int:
        """The number of samples."""
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Draw one sample.

        Raises:
            IndexError: If `index` is not below the length.
        """
        if not -self.length <= index < self.length:
            raise IndexError(f"there are {self.length} scenes, so no index {index}.")
        index %= self.length
        stream = np.random.SeedSequence(self.seed, spawn_key=(SPLIT_STREAMS[self.split], index))
        rng = np.random.default_rng(stream)
        image, labels = self.draw(rng, marker_color=int(rng.integers(3)))
        name = f"{self.split}_{self.seed}_{index:06d}"
        return Sample(torch.from_numpy(image), torch.from_numpy(labels), name)

    def draw(
        self, rng: np.random.Generator, marker_color: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw a scene, of which only the pixels of the marker depend on `marker_color`.

        Args:
            rng: Where everything else comes from.
            marker_color: 0 gold, 1 teal, 2 violet.

        Returns:
            The picture, uint8 (3, H, W), and its labels, uint8 (H, W).
        """
        items = self._layout(rng)
        outlines = [Outline.draw(rng, item) for item in items]
        image, labels = _ground(rng, self.size), np.zeros(self.size, dtype=np.uint8)
        for outline in outlines:
            box, down, right = outline.surroundings(self.size)
            shadow = (0.5 - outline.distance(down - 2, right - 2) / 3).clip(0, 1)
            image[box] *= 1 - 0.4 * shadow[..., None]
        for item, outline in zip(items, outlines, strict=True):
            box, down, right = outline.surroundings(self.size)
            distance, color = outline.distance(down, right), _surface(rng, item, down, right)
            if item.kind == MARKER:  # only now, so that the random stream does not see its colour
                color = MARKER_COLORS[marker_color]
            light = (1 - 0.12 * (down + right) / item.radius) * (
                0.72 + 0.28 * (-distance / 1.6).clip(0, 1)  # a darker rim
            )
            cover = (0.5 - distance).clip(0, 1)[..., None]
            image[box] += cover * (color * light[..., None] - image[box])
            label = FIRST_DISK + marker_color if item.kind == FIRST_DISK else item.kind
            labels[box][distance < 0] = label
        pixels = image.clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)), labels

    def _layout(self, rng: np.random.Generator) -> list[Item]:
        """Place the marker, then the disks, then the other shapes; start anew if it fails."""
        for _ in range(LAYOUT_TRIALS):
            num_disks = int(rng.integers(1, 4))
            num_shapes = int(rng.integers(3, 7)) - num_disks
            kinds = [MARKER] + [FIRST_DISK] * num_disks
            kinds += rng.integers(SQUARE, TRIANGLE + 1, num_shapes).tolist()
            items: list[Item] = []
            for kind in kinds:
                item = self._place(rng, kind, items)
                if item is None:
                    break
                items.append(item)
            else:
                return items
        return self._corner_layout(int(rng.integers(4)))

    def _place(self, rng: np.random.Generator, kind: int, items: list[Item]) -> Item | None:
        """Find a free place, or None if `POSITION_TRIALS` random ones are all taken."""
        radius = self._scale * rng.uniform(*self.radii[kind])
        low, high = radius + 1, np.array(self.size) - radius - 1
        places = rng.uniform(low, high, (POSITION_TRIALS, 2))
        free = np.ones(POSITION_TRIALS, dtype=bool)
        for item in items:
            apart = np.hypot(places[:, 0] - item.row, places[:, 1] - item.column)
            free &= apart >= self._least_apart(item, kind, radius)
        row, column = places[free.argmax()].tolist()
        return Item(kind, row, column, radius) if free.any() else None

    def _least_apart(self, item: Item, kind: int, radius: float) -> float:
        """How far the centre of another thing must be from that of `item`, in pixels."""
        # One pixel more, because smoothed edges colour half a pixel outside of the labels.
        gap = self.distance + 1 if {item.kind, kind} == {MARKER, FIRST_DISK} else 2.0
        return item.radius + radius + gap

    def _corner_layout(self, turn: int) -> list[Item]:
        """Everything as small as it gets, marker and disk in opposite corners: the last resort."""
        items = []
        for kind, place in ((MARKER, 0), (FIRST_DISK, 2), (SQUARE, 1), (TRIANGLE, 3)):
            radius, corner = self._scale * self.radii[kind][0], (place + turn) % 4
            row = radius + 1 if corner in (0, 1) else self.size[0] - radius - 1
            column = radius + 1 if corner in (0, 3) else self.size[1] - radius - 1
            items.append(Item(kind, row, column, radius))
        return items


class Outline(NamedTuple):
    """The edge of an item: a disk, a ring, or a star, of which polygons are a special case."""

    item: Item
    points: int  # 0 for disks and rings
    inner: float  # the radius of the dents of a star, or of the hole of a ring
    angle: float

    @classmethod
    def draw(cls, rng: np.random.Generator, item: Item) -> "Outline":
        """Choose the form of an item."""
        points, angle = int(rng.choice((0, 5, 8))), rng.uniform(0, 2 * np.pi)
        if item.kind == MARKER:
            return cls(item, points, (0.55 if points else 0.36) * item.radius, angle)
        corners = {SQUARE: 4, TRIANGLE: 3, FIRST_DISK: 0}[item.kind]
        return cls(item, corners, np.cos(np.pi / corners) * item.radius if corners else 0.0, angle)

    def surroundings(self, size: tuple[int, int]) -> tuple[tuple[slice, slice], Array, Array]:
        """The part of the picture around the item, and its coordinates from the centre."""
        item, reach = self.item, self.item.radius + 5
        rows = slice(max(int(item.row - reach), 0), min(int(item.row + reach) + 1, size[0]))
        first, last = item.column - reach, item.column + reach
        columns = slice(max(int(first), 0), min(int(last) + 1, size[1]))
        down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - item.row
        right = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - item.column
        return (rows, columns), down, right

    def distance(self, down: Array, right: Array) -> Array:
        """The distance to the edge in pixels, negative inside."""
        reach = np.hypot(down, right)
        if not self.points:
            middle = (self.item.radius + self.inner) / 2 if self.inner else 0.0
            return np.abs(reach - middle) - (self.item.radius - middle)
        wedge = np.pi / self.points
        turned = np.arctan2(down, right) + self.angle + wedge
        folded = np.abs(turned % (2 * wedge) - wedge)  # every point folded onto half of one
        edge = self.inner * np.cos(wedge) - self.item.radius, self.inner * np.sin(wedge)
        along, aside = reach * np.cos(folded) - self.item.radius, reach * np.sin(folded)
        # Beyond a sharp point, the line of the edge runs on; the circle ends it.
        return np.maximum((along * edge[1] - aside * edge[0]) / np.hypot(*edge), reach - self.item.radius)


def _surface(rng: np.random.Generator, item: Item, down: Array, right: Array) -> Array:
    """Two tones of one hue in stripes, dots, checks or noise, turned by a random angle."""
    low, high = SHAPE_HUES[rng.integers(len(SHAPE_HUES))]
    hue, saturation, value = rng.uniform((low, 0.4, 0.6), (high, 0.65, 0.85))
    style, angle, shade = int(rng.integers(4)), rng.uniform(0, np.pi), rng.uniform(0.55, 0.75)
    wave, shift = 2 * np.pi / rng.uniform(5, 8), rng.uniform(0, 2 * np.pi, 2)
    first = np.sin((down * np.cos(angle) + right * np.sin(angle)) * wave + shift[0])
    second = np.sin((right * np.cos(angle) - down * np.sin(angle)) * wave + shift[1])
    waves = first * 2 + 0.5, (first + second - 0.5) * 1.5, first * second * 4 + 0.5
    pattern = waves[style] if style < 3 else _noise(rng, first.shape, (5, 9))
    return _mix(pattern.clip(0, 1), (hue, saturation, value), (hue, saturation, value * shade))


def _ground(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    hue, saturation, value = GROUNDS[rng.integers(len(GROUNDS))] + rng.uniform(-0.02, 0.02, 3)
    tone = _noise(rng, size, (4, 8, 20)) + 0.05 * rng.standard_normal(size, dtype=np.float32)
    return _mix(tone, (hue, saturation, value), (hue, saturation * 0.7, value + 0.2))


def _mix(part: Array, zero: tuple[float, float, float], one: tuple[float, float, float]) -> Array:
    """Mix two colours, given by hue, saturation and value, to an image (H, W, 3) of 0 to 255."""
    first, second = (
        255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), dtype=np.float32)
        for hue, saturation, value in (zero, one)
    )
    return first + part.astype(np.float32)[..., None] * (second - first)


def _noise(rng: np.random.Generator, size: tuple[int, ...], grids: tuple[int, ...]) -> Array:
    """Smooth noise from 0 to 1: random grids, each half as strong as the coarser one before."""
    total = np.zeros(size, dtype=np.float32)
    for octave, grid in enumerate(grids):
        knots = rng.random((grid, grid), dtype=np.float32) * 0.5**octave
        total += _smooth(size[0], grid) @ knots @ _smooth(size[1], grid).T
    total -= total.min()
    return total / total.max()


@lru_cache(maxsize=512)
def _smooth(length: int, grid: int) -> Array:
    """The matrix (length, grid) that interpolates `grid` values with a smooth step."""
    position = np.linspace(0, grid - 1.001, length)
    below = position.astype(int)
    part = (position - below) ** 2 * (3 - 2 * (position - below))
    matrix = np.zeros((length, grid), dtype=np.float32)
    matrix[np.arange(length), below] = 1 - part
    matrix[np.arange(length), below + 1] = part
    return matrix
