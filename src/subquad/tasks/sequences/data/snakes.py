"""Dashed curves that keep apart from each other, and pictures of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TURNS = np.deg2rad(np.arange(-85.0, 86.0, 5.0))
PREFERENCES = np.cos(TURNS) ** 2
RASTER = 2  # cells a pixel of the map of blocked places


@dataclass(frozen=True, kw_only=True)
class SnakeSize:
    """Measures in pixels.

    Attributes:
        size: Height and width of the picture.
        length: Of a dash.
        gap: Between the dashes of one curve, at most.
        width: Of a dash.
        radius: Of a disk.
        apart: Least distance between dashes that do not follow each other; more than the gap.
        seed_distance: Between the first ends of the two long curves.
        border: Where nothing is drawn.
        distractor_dashes: How many dashes all short curves have together, at most.
    """

    size: int
    length: float
    gap: float
    width: float
    radius: float
    apart: float
    seed_distance: float
    border: float
    distractor_dashes: int


class Snake:
    """A dashed curve that grows at its end.

    Attributes:
        dashes: Both ends of each dash as (row, column), float64 (dashes, 2, 2).
        last: The number of the last one in the map of blocked places.
    """

    def __init__(self, start: Array, angle: float, size: SnakeSize) -> None:
        self.size, self.angle, self.last = size, angle, 0
        self.dashes = np.stack([start, start + size.length * direction(angle)])[None]

    def grow(self, rng: np.random.Generator, blocked: Blocked) -> bool:
        """Add a dash that bends as little as luck has it; False if there is no free place.

        A turn has a probability in proportion to the square of its cosine.
        """
        size, angles = self.size, self.angle + TURNS
        pivot = self.dashes[-1, 1] + size.gap / 2 * direction(self.angle)
        ways = direction(angles)
        starts = pivot + size.gap / 2 * ways
        ends = starts + size.length * ways
        weights = PREFERENCES * blocked.are_free(starts, ends, self.last)
        total = weights.sum()
        if not total:
            return False
        chosen = int(rng.choice(len(TURNS), p=weights / total))
        self.angle = float(angles[chosen])
        self.dashes = np.concatenate([self.dashes, np.stack([starts[chosen], ends[chosen]])[None]])
        self.last = blocked.add(self.dashes[-1])
        return True


class Blocked:
    """A map of the places where no dash may go, because others are near.

    A cell holds 0 if it is free, the number of the dash that is near, or -1 if several are.
    """

    def __init__(self, size: SnakeSize) -> None:
        self.size, self.dashes = size, 0
        # Where a dash goes is rounded to cells, by up to the half of their diagonal.
        self.reach = RASTER * size.apart + 0.71
        side = RASTER * size.size
        self.cells = np.zeros((side, side), dtype=np.int32)
        self.grid = np.moveaxis(np.indices(self.cells.shape, dtype=float), 0, -1)
        self.parts = np.linspace(0, 1, int(2 * size.length) + 1)[:, None]

    def are_free(self, starts: Array, ends: Array, last: int) -> NDArray[np.bool_]:
        """Tell of each dash from (dashes, 2) to (dashes, 2) whether it may be drawn.

        Args:
            starts: Their one ends.
            ends: Their other ends.
            last: The number of the dash that they follow, which alone they may be near; 0 for none.
        """
        low, high = self.size.border, self.size.size - 1 - self.size.border
        points = starts[:, None] + self.parts * (ends - starts)[:, None]
        inside = ((points >= low) & (points <= high)).all((1, 2))
        cells = np.rint(RASTER * points.clip(low, high)).astype(np.int64)
        numbers = self.cells[cells[..., 0], cells[..., 1]]
        return inside & ((numbers == 0) | (numbers == last)).all(1)

    def add(self, dash: Array) -> int:
        """Block the surroundings of a dash (2, 2), and return its number."""
        self.dashes += 1
        start, end = RASTER * dash
        low = np.maximum(np.minimum(start, end) - self.reach, 0).astype(int)
        high = (np.maximum(start, end) + self.reach + 2).astype(int)
        box = slice(low[0], high[0]), slice(low[1], high[1])
        points, way = self.grid[box] - start, end - start
        along = (points @ way / (way @ way)).clip(0, 1)
        near = np.square(points - along[..., None] * way).sum(-1) <= self.reach**2
        window = self.cells[box]
        window[near] = np.where(window[near] == 0, self.dashes, -1)
        return self.dashes


def direction(angle: Any) -> Array:
    """Return the unit vectors (row, column) of angles."""
    return np.stack([np.sin(angle), np.cos(angle)], -1)


def place(rng: np.random.Generator, blocked: Blocked, start: Array) -> Snake | None:
    """Begin a curve at a point, in any direction; None if there is no room."""
    snake = Snake(start, float(rng.uniform(0, 2 * np.pi)), blocked.size)
    if not blocked.are_free(snake.dashes[:, 0], snake.dashes[:, 1], 0).all():
        return None
    snake.last = blocked.add(snake.dashes[0])
    return snake


def two_snakes(rng: np.random.Generator, blocked: Blocked, dashes: int) -> tuple[Snake, Snake] | None:
    """Let two long curves grow in turn; None if one of them runs into a dead end."""
    size = blocked.size
    start = rng.uniform(size.border, size.size - 1 - size.border, 2)
    first = place(rng, blocked, start)
    second = place(rng, blocked, start + size.seed_distance * direction(rng.uniform(0, 2 * np.pi)))
    if first is None or second is None:
        return None
    for _ in range(dashes - 1):
        if not (first.grow(rng, blocked) and second.grow(rng, blocked)):
            return None
    return first, second


def distractors(rng: np.random.Generator, blocked: Blocked, dashes: int) -> list[Snake]:
    """Add short curves of up to `dashes` dashes wherever there is room."""
    size, found = blocked.size, []
    for _ in range(size.distractor_dashes // dashes):
        starts = rng.uniform(size.border, size.size - 1 - size.border, (8, 2))
        snake = next(filter(None, (place(rng, blocked, start) for start in starts)), None)
        if snake is not None:
            while len(snake.dashes) < dashes and snake.grow(rng, blocked):
                pass
            found.append(snake)
    return found


def draw(dashes: Array, disks: Array, size: SnakeSize) -> NDArray[np.uint8]:
    """Draw dashes (n, 2, 2) and disks (m, 2) with soft edges, white on black, uint8 (size, size)."""
    image = np.zeros((size.size, size.size))
    grid = np.moveaxis(np.indices(image.shape), 0, -1)
    for start, end in dashes:
        reach = size.width / 2 + 1
        low = np.maximum(np.minimum(start, end) - reach, 0).astype(int)
        high = np.minimum(np.maximum(start, end) + reach + 1, size.size).astype(int)
        points = grid[low[0] : high[0], low[1] : high[1]]
        along = ((points - start) @ (end - start) / size.length**2).clip(0, 1)
        distance = np.linalg.norm(points - start - along[..., None] * (end - start), axis=-1)
        ink = (1.5 * (0.5 + size.width / 2 - distance)).clip(0, 1)
        window = image[low[0] : high[0], low[1] : high[1]]
        np.maximum(window, ink, out=window)
    for disk in disks:
        np.maximum(image, (0.5 + size.radius - np.linalg.norm(grid - disk, axis=-1)).clip(0, 1), out=image)
    return np.rint(255 * image).astype(np.uint8)
