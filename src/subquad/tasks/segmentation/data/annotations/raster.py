"""From shapes to class indices: which pixel is of which class where shapes overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from subquad.tasks.segmentation.data.annotations.items import Shape
from subquad.tasks.segmentation.data.annotations.outlines import Runs, coco_masks
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX


def rasterise(
    shapes: Sequence[Shape],
    indices: dict[str, int],
    height: int,
    width: int,
    *,
    rest: int = 0,
    smallest_on_top: bool = False,
) -> NDArray[np.uint8]:
    """Paint shapes, one over the other.

    Ignored shapes are painted first, so that a labelled object within a crowd is seen. Then those of lower
    layers, and in each layer the order of the file decides; with `smallest_on_top` the larger is painted
    first, as formats need it whose order means nothing.

    Args:
        shapes: In the order of the file.
        indices: Of the labels.
        height: Of the picture.
        width: Of the picture.
        rest: What pixels of no shape are.
        smallest_on_top: See above.

    Returns:
        Class indices or 255, uint8 (height, width).

    Raises:
        ValueError: If a shape is of a picture of another size, or makes no sense.
    """
    mask = coco_masks()

    def place(painted: tuple[Shape, Runs]) -> tuple[bool, int, int]:
        shape, runs = painted
        return not shape.ignored, shape.layer, -int(mask.area(runs)) if smallest_on_top else 0

    labels = np.full((height, width), rest, np.uint8)
    order = sorted(((shape, shape.outline.runs(height, width)) for shape in shapes), key=place)
    values = [(IGNORE_INDEX if shape.ignored else indices[shape.label], runs) for shape, runs in order]
    # Neighbours of one class are one union: decoding is what takes time.
    for value, group in groupby(values, key=lambda pair: pair[0]):
        runs = mask.merge([runs for _, runs in group])
        x, y, columns, rows = (int(number) for number in mask.toBbox(runs))
        part = np.s_[y : y + rows, x : x + columns]
        labels[part][mask.decode(runs)[part] > 0] = value
    return labels
