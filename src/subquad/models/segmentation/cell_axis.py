"""Where the pixels of an image lie between the positions of a map, along one axis."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ROUNDING = 2.0**-24  # of float32: half of the distance from 1 to the next number


class CellAxis(NamedTuple):
    """Pixels in cells: cell c lies between positions c - 1 and c of a map; beyond its ends there is one more.

    Attributes:
        cell: Of each pixel, 0 to the number of positions; never smaller than that of the pixel before.
        weight: Of the later position at each pixel, 0 to 1, as PyTorch's kernel has it.
        error: By how much the weight may be off; only of a pixel so close to a position that the kernel
            may have it in the cell beside.
        first: The first pixel of each cell.
        pixels: Number of pixels of each cell.
    """

    cell: Tensor
    weight: Tensor
    error: Tensor
    first: Tensor
    pixels: Tensor


@lru_cache(maxsize=16)
def cell_axes(
    channels: int,
    coarse: tuple[int, int],
    padded: tuple[int, int],
    size: tuple[int, int],
    align_corners: bool,
    memory_format: torch.memory_format,
) -> tuple[CellAxis, CellAxis]:
    """Return the axes of rows and of columns; all but the first are as in `CoarseLogits`.

    Args:
        channels: Of the map that is resized.
        coarse: Its height and width.
        padded: Height and width it is resized to.
        size: The top left corner of that, of which the pixels are.
        align_corners: How it is resized.
        memory_format: Of the map.
    """
    places = [_places(*sides, align_corners) for sides in zip(coarse, padded, strict=True)]
    weights = [place - place.floor() for place in places]
    errors = [torch.zeros_like(place) for place in places]
    if not all(map(_is_exact, places)):
        # A ratio such as 65 / 517 is rounded, and how depends on what the compiler of the kernel made of
        # it: the kernel itself is asked, by a map in which the rows, or the columns, are 0 and 1 in turn.
        turns = torch.zeros(1, min(channels, 4), *coarse, device="cpu")
        turns[:, 0] = torch.arange(coarse[0], device="cpu")[:, None] % 2
        turns[:, 1] = torch.arange(coarse[1], device="cpu") % 2
        answer = F.interpolate(
            turns.contiguous(memory_format=memory_format),
            size=padded,
            mode="bilinear",
            align_corners=align_corners,
        )[0]
        for axis, shown in enumerate((answer[0, :, 0], answer[1, 0, :])):
            place, side = places[axis], coarse[axis]
            before = place.floor()
            inside = (before >= 0) & (before < side - 1)
            weights[axis] = torch.where(inside, torch.where(before % 2 == 0, shown, 1 - shown), 0).double()
            doubt = 4 * ROUNDING * (side + 1)
            errors[axis] = torch.where((place - place.round()).abs() <= doubt, 2 * doubt, 0.0)
    rows, columns = (
        _axis(place[:pixels], weight[:pixels], error[:pixels], positions)
        for place, weight, error, pixels, positions in zip(places, weights, errors, size, coarse, strict=True)
    )
    return rows, columns


def _places(positions: int, pixels: int, align_corners: bool) -> Tensor:
    """Return the place of each pixel on a map, float64: a position is a whole number."""
    steps = torch.arange(pixels, dtype=torch.float64, device="cpu")
    if align_corners:
        return steps * ((positions - 1) / (pixels - 1) if pixels > 1 else 0.0)
    return (steps + 0.5) * (positions / pixels) - 0.5


def _is_exact(places: Tensor) -> bool:
    """Say whether float32 has all of these numbers, so that no order of computing them rounds."""
    return bool((places.float().double() == places).all())


def _axis(place: Tensor, weight: Tensor, error: Tensor, positions: int) -> CellAxis:
    cell = (place.floor().long() + 1).clamp_(0, positions)
    count = torch.bincount(cell, minlength=positions + 1)
    return CellAxis(cell, weight.float(), error.float(), count.cumsum(0) - count, count)
