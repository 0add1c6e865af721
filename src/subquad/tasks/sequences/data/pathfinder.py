"""Pathfinder: are two disks joined by one dashed curve, or do they lie on two?"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from subquad.tasks.sequences.data.samples import SequenceInfo, SequenceSample
from subquad.tasks.sequences.data.snakes import (
    Array,
    Blocked,
    Snake,
    SnakeSize,
    distractors,
    draw,
    two_snakes,
)
from subquad.tasks.sequences.data.synthetic import Generated
from subquad.tasks.sequences.data.vocabulary import GREY

# The long curves have this many dashes, the short ones a third of it.
DASHES = {"easy": 6, "medium": 9, "hard": 14}
SIZES = {
    32: SnakeSize(
        size=32, length=2, gap=2, width=0.5, radius=1.5, apart=2.4, seed_distance=7, border=1,
        distractor_dashes=20,
    ),
    128: SnakeSize(
        size=128, length=5, gap=4, width=1.5, radius=3, apart=5, seed_distance=20, border=3,
        distractor_dashes=100,
    ),
}  # fmt: skip
Difficulty = Literal["easy", "medium", "hard"]
CLASSES = ("apart", "joined")


class PathfinderScene(NamedTuple):
    """A picture and what was drawn.

    Attributes:
        image: White on black, uint8 (size, size).
        dashes: Both ends of every dash as (row, column) in pixels, the long curves first,
            float64 (dashes, 2, 2).
        disks: The centres of the two disks, float64 (2, 2).
        target: 1 if the disks are on the two ends of one curve, 0 if not.
    """

    image: NDArray[np.uint8]
    dashes: Array
    disks: Array
    target: int


class Pathfinder(Generated):
    """Pathfinder pictures as sequences of grey levels, row by row (Linsley et al., NeurIPS 2018).

    Two long dashed curves begin near each other, among short ones. One disk is on the first end of
    one of the curves, the other on the last end of the same (class 1) or of the other curve (class
    0), with equal chance. Curves bend little, and dashes that do not follow each other are further
    apart than dashes that do, so that the answer can always be seen. With 32 pixels a side most
    measures are those of Long Range Arena, with 128 our own; the pictures are not those of its files.

    Args:
        samples: The number of samples.
        size: 32 (1,024 positions) or 128 (16,384 positions).
        difficulty: 6, 9 or 14 dashes in each long curve: `"easy"`, `"medium"`, `"hard"`.
        seed: Another seed gives other samples.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        samples: int,
        *,
        size: int = 32,
        difficulty: Difficulty = "hard",
        seed: int = 0,
        split: str = "train",
    ) -> None:
        super().__init__(samples, seed=seed, split=split)
        if size not in SIZES or difficulty not in DASHES:
            raise ValueError(
                f"size={size}, difficulty={difficulty!r}: take 32 or 128, and 'easy', 'medium' or 'hard'."
            )
        self.size, self.dashes = SIZES[size], DASHES[difficulty]

    @property
    def info(self) -> SequenceInfo:
        """Two classes of 256 grey levels."""
        return SequenceInfo("classification", self.size.size**2, CLASSES, GREY)

    def make(self, seed: int) -> SequenceSample:
        """Draw a picture and read it row by row."""
        scene = self.scene(seed)
        return SequenceSample(torch.from_numpy(scene.image.astype(np.int64).ravel()), scene.target)

    def scene(self, seed: int) -> PathfinderScene:
        """Draw the picture of a seed, with all that is known about it."""
        rng = np.random.default_rng(seed)
        target, swap = rng.integers(0, 2, 2).tolist()
        # The answer is drawn first and kept, so that no answer is rarer for failing more often.
        while True:
            blocked = Blocked(self.size)
            pair = two_snakes(rng, blocked, self.dashes)
            if pair is None:
                continue
            disks = _disks(pair[::-1] if swap else pair, target)
            if np.linalg.norm(disks[0] - disks[1]) >= 2 * self.size.radius + 1:
                break
        short = distractors(rng, blocked, self.dashes // 3)
        dashes: Any = np.concatenate([snake.dashes for snake in (*pair, *short)])
        return PathfinderScene(draw(dashes, disks, self.size), dashes, disks, target)


def _disks(pair: tuple[Snake, ...], target: int) -> Array:
    return np.stack([pair[0].dashes[0, 0], pair[0 if target else 1].dashes[-1, 1]])
