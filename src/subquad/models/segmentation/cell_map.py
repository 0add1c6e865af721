"""The class of each pixel, computed only where classes meet.

A map is resized by bilinear interpolation: a pixel lies in a cell between four positions of the map, and its
logits are weighted means of theirs. So a class that is ahead of all others at the four is so at each pixel
of the cell, and a class whose largest logit there is below another's smallest is nowhere the answer.

The means here are rounded in another order than by PyTorch's kernel. Where the best two of a pixel are so
close that this could matter, the kernel itself decides.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subquad.models.segmentation.cell_axis import ROUNDING, CellAxis, cell_axes
from subquad.models.segmentation.class_blocks import class_blocks, index_type, running_maximum
from subquad.models.segmentation.coarse import CoarseLogits
from subquad.models.segmentation.exact_parts import classes_at, part_pixels, whole_ratios

# Two logits of a pixel may be off by this share of the largest of the picture: each by 5 roundings of the
# means here, and by 7 of the kernel's and its weights', doubled and with room.
TOLERANCE = 32 * ROUNDING
CELLS = 4096  # at a time: with 150 classes, 10 MB of corners
VALUES = 2**20  # at a time
SHARE = 0.25  # of all values that may be interpolated; above, the kernel is faster


def class_map_by_cells(coarse: CoarseLogits) -> Tensor | None:
    """Return the class of each pixel, `coarse.resized().argmax(1)`.

    Args:
        coarse: Of a batch of one, on the CPU.

    Returns:
        (1, H, W), uint8, or int64 if there are more than 255 classes; None where another way is better: of
        one class, other types than float32, other orders of memory, logits that are not finite, and where
        too many classes meet.
    """
    logits = coarse.logits
    classes, height, width = logits.shape[1:]
    if classes < 2 or logits.dtype != torch.float32 or coarse.memory_format is None:
        return None
    maps = logits[0].permute(1, 2, 0).reshape(height * width, classes)  # a position is a row
    lowest, highest = maps.aminmax()
    largest = float(torch.maximum(-lowest, highest))
    if not 1e-30 < largest < 1e30:  # NaN neither; the bounds of rounding are for numbers in between
        return None
    axes = cell_axes(
        min(classes, 4),
        (height, width),
        coarse.padded,
        coarse.size,
        coarse.align_corners,
        coarse.memory_format,
    )
    cells = _Cells(maps.unflatten(0, (height, width)), largest, *axes)
    answer, mixed = cells.settled()
    work, done, most = 0, 0, SHARE * classes * answer.numel()
    for some in mixed.split(CELLS):
        corners = cells.corners(some)
        alike = cells.by_candidates(corners)
        work += sum(len(of) * count for of, count in alike) * cells.pixels
        done += len(some)
        if work * len(mixed) > most * done:
            return None
        for of, count in alike:
            for part in of.split(max(VALUES // (count * cells.pixels), 1)):
                cells.interpolate(some[part], corners[part], count, answer)
    if cells.tied:
        _decide(coarse, torch.cat(cells.tied).unique(), set(cells.rivals), answer)
    return answer[None]


class _Cells:
    """The cells between the positions of a map.

    Attributes:
        pixels: Of the largest cell.
        tied: Pixels where the kernel has to decide.
        rivals: The classes between which.
    """

    def __init__(self, maps: Tensor, largest: float, rows: CellAxis, columns: CellAxis) -> None:
        self.maps, self.rows, self.columns = maps, rows, columns  # (h, w, classes)
        self.pixels = int(rows.pixels.max() * columns.pixels.max())
        self.tolerance = TOLERANCE * largest
        self.slope = 8 * largest  # of the difference of two logits: each changes by up to twice the largest
        self.doubt = self.tolerance + self.slope * float(rows.error.max() + columns.error.max())
        self.tied: list[Tensor] = []
        self.rivals: list[int] = []

    def settled(self) -> tuple[Tensor, Tensor]:
        """Return the answer where one class is ahead at all corners, (H, W), and the other cells, (n, 2)."""
        best = self.maps.topk(2, dim=2)
        winner, ahead = best.indices[:, :, 0], best.values[:, :, 0] - best.values[:, :, 1] > self.doubt
        winner = torch.where(ahead, winner, -1)
        (top, bottom), (left, right) = map(_corners_of, winner.shape)
        winners = winner[top][:, left]
        mixed = (winners < 0) | (winners != winner[top][:, right])
        mixed |= (winners != winner[bottom][:, left]) | (winners != winner[bottom][:, right])
        mixed &= (self.rows.pixels > 0)[:, None] & (self.columns.pixels > 0)
        # What mixed cells hold now is written over: not all types have a -1.
        held = winners.to(index_type(self.maps.shape[2]))
        return held[self.rows.cell][:, self.columns.cell], mixed.nonzero()

    def corners(self, cells: Tensor) -> Tensor:
        """Return the logits at the corners of some cells, row by row, (cells, 4, classes)."""
        height, width = self.maps.shape[:2]
        row, column = cells.unbind(1)
        top, bottom = (row - 1).clamp_min(0) * width, row.clamp_max(height - 1) * width
        left, right = (column - 1).clamp_min(0), column.clamp_max(width - 1)
        places = torch.stack([top + left, top + right, bottom + left, bottom + right], dim=1)
        return self.maps.flatten(0, 1)[places]

    def by_candidates(self, corners: Tensor) -> list[tuple[Tensor, int]]:
        """Return cells in which like many classes may win: their indices, and that number or some more."""
        classes = corners.shape[2]
        bar = corners.amin(dim=1).amax(dim=1, keepdim=True) - self.doubt
        counts = (corners.amax(dim=1) >= bar).sum(dim=1)
        found, below, count = [], 0, 2
        while below < classes:
            of = ((counts > below) & (counts <= count)).nonzero()[:, 0]
            if len(of):
                found.append((of, min(count, classes)))
            below, count = count, 2 * count
        return found

    def interpolate(self, cells: Tensor, corners: Tensor, count: int, answer: Tensor) -> None:
        """Write the answer of each pixel of some cells, of the classes with the largest logits there."""
        axes = self.rows, self.columns
        y, x = (_pixels(axis, cell) for axis, cell in zip(axes, cells.unbind(1), strict=True))
        ids = corners.amax(dim=1).topk(count, dim=1, sorted=False).indices  # (cells, count)
        values = corners.gather(2, ids[:, None].expand(-1, 4, -1)).permute(1, 2, 0)[..., None]
        down, across = self.rows.weight[y], self.columns.weight[x]
        left, right = (torch.lerp(values[i], values[i + 2], down) for i in (0, 1))
        values = torch.lerp(left[..., None], right[..., None], across[:, None])  # (count, cells, tall, wide)
        best, at = values.max(dim=0)
        places = y[:, :, None] * answer.shape[1] + x[:, None]
        answer.view(-1)[places.flatten(1)] = ids.gather(1, at.flatten(1)).to(answer.dtype)

        error = self.rows.error[y][:, :, None] + self.columns.error[x][:, None]
        close = values >= best - (self.tolerance + self.slope * error)
        tied = close.sum(dim=0) > 1
        if tied.any():
            self.tied.append(places[tied])
            self.rivals += ids.t()[(close & tied).flatten(2).any(dim=2)].unique().tolist()


def _pixels(axis: CellAxis, cell: Tensor) -> Tensor:
    """Return as many pixels of each cell along an axis: the last again where there are fewer."""
    steps = torch.arange(int(axis.pixels.max()), device="cpu")
    return axis.first[cell][:, None] + torch.minimum(steps, axis.pixels[cell][:, None] - 1)


def _corners_of(positions: int) -> tuple[Tensor, Tensor]:
    """Return the positions before and after each cell."""
    cells = torch.arange(positions + 1, device="cpu")
    return (cells - 1).clamp_min(0), cells.clamp_max(positions - 1)


def _decide(coarse: CoarseLogits, pixels: Tensor, rivals: set[int], answer: Tensor) -> None:
    """Write what the kernel says of some pixels; only some classes are in question."""
    y, x = pixels // answer.shape[1], pixels % answer.shape[1]
    blocks = [
        (start, stop)
        for start, stop in class_blocks(coarse)
        if any(start <= rival < stop for rival in rivals)
    ]
    in_blocks = sum(stop - start for start, stop in blocks) * math.prod(coarse.padded)
    ratios = whole_ratios(coarse)
    if ratios and len(y) * coarse.logits.shape[1] * part_pixels(coarse, ratios) < in_blocks:
        found = classes_at(coarse, ratios, y, x)
    else:
        found = running_maximum(
            (start, coarse.of_classes(start, stop).resized()[:, :, y, x]) for start, stop in blocks
        )[0]
    answer[y, x] = found.to(answer.dtype)
