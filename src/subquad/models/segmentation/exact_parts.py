"""Parts of an image, resized to the same bits as the whole.

PyTorch computes the place of a pixel on the map from its index, in float32. Where the image is larger by a
power of two, nothing is rounded there, and a part of the map gives the same logits as all of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.models.segmentation.class_blocks import index_type, most_likely
from subquad.models.segmentation.coarse import CoarseLogits

SMALL = 128  # height plus width of an image for which PyTorch takes another kernel, which rounds otherwise
VALUES = 2**21  # logits at a time: 8 MiB

Ratios = tuple[int, int]


def whole_ratios(coarse: CoarseLogits) -> Ratios | None:
    """Return the ratios of height and width if parts may be resized for themselves."""
    sides = [(int(side), pixels) for side, pixels in zip(coarse.logits.shape[2:], coarse.padded, strict=True)]
    ratios = [pixels // side for side, pixels in sides]
    is_whole = all(
        ratio > 0 and ratio & (ratio - 1) == 0 and ratio * side == pixels
        for ratio, (side, pixels) in zip(ratios, sides, strict=True)
    )
    if not is_whole or coarse.align_corners or coarse.memory_format is None:
        return None
    return ratios[0], ratios[1]


def class_map_by_strips(coarse: CoarseLogits, ratios: Ratios) -> Tensor:
    """Return the class of each pixel of an image, resized some rows at a time.

    Args:
        coarse: Of a batch of one.
        ratios: Of `whole_ratios`.

    Returns:
        (1, H, W), uint8, or int64 if there are more than 255 classes.
    """
    logits, (height, width) = coarse.logits, coarse.size
    classes, positions = logits.shape[1:3]
    least = _least(coarse, ratios, int(logits.shape[3]))
    step = max(VALUES // (classes * ratios[0] * coarse.padded[1]), least)
    answer = logits.new_empty((1, height, width), dtype=index_type(classes))
    for first in range(0, -(-height // ratios[0]), step):
        # One position more at each side: the rows between are means of both.
        start = min(max(first - 1, 0), max(positions - step - 2, 0))
        resized = _resized(logits[:, :, start : start + step + 2], coarse, ratios)
        top, bottom = first * ratios[0], min((first + step) * ratios[0], height)
        rows = resized[:, :, top - start * ratios[0] : bottom - start * ratios[0], :width]
        answer[:, top:bottom] = most_likely(rows, dim=1)
    return answer


def classes_at(coarse: CoarseLogits, ratios: Ratios, y: Tensor, x: Tensor) -> Tensor:
    """Return the classes of single pixels, each of them from a part of the map.

    Args:
        coarse: Of a batch of one.
        ratios: Of `whole_ratios`.
        y: Rows of the pixels, (pixels,).
        x: Their columns.
    """
    logits, part = coarse.logits, _part(coarse, ratios)
    axes = list(zip((y, x), ratios, logits.shape[2:], part, strict=True))
    starts = [((at + ratio // 2) // ratio - 1).clamp(0, side - few) for at, ratio, side, few in axes]
    inside = [at - start * ratio for (at, ratio, _, _), start in zip(axes, starts, strict=True)]
    rows, columns = (
        start[:, None] + torch.arange(few, device="cpu") for start, few in zip(starts, part, strict=True)
    )
    found = torch.empty_like(y)
    step = max(VALUES // (logits.shape[1] * part_pixels(coarse, ratios)), 1)
    for some in torch.arange(len(y), device="cpu").split(step):
        parts = logits[0][:, rows[some][:, :, None], columns[some][:, None]].movedim(1, 0)
        resized = _resized(parts, coarse, ratios)
        values = resized[torch.arange(len(some), device="cpu"), :, inside[0][some], inside[1][some]]
        found[some] = most_likely(values, dim=1)
    return found


def part_pixels(coarse: CoarseLogits, ratios: Ratios) -> int:
    """Return how many pixels are resized for one of `classes_at`."""
    return math.prod(_part(coarse, ratios)) * math.prod(ratios)


def _part(coarse: CoarseLogits, ratios: Ratios) -> tuple[int, int]:
    """Return the height and width, in positions, of a small part that PyTorch resizes as the whole."""
    height, width = coarse.logits.shape[2:]
    wide = min(width, max(2, 1 if _has_one_kernel(coarse) else SMALL // ratios[1]))
    return min(height, max(2, _least(coarse, ratios, wide))), wide


def _least(coarse: CoarseLogits, ratios: Ratios, wide: int) -> int:
    """Return how many rows of positions a part of some width must have, to be resized as the whole is."""
    if _has_one_kernel(coarse):
        return 1
    return min(max(SMALL - wide * ratios[1], 0) // ratios[0] + 1, int(coarse.logits.shape[2]))


def _has_one_kernel(coarse: CoarseLogits) -> bool:
    """Say whether PyTorch has one kernel for parts of any size."""
    in_vectors = coarse.memory_format == torch.channels_last and coarse.logits.shape[1] > 3
    return in_vectors or sum(coarse.padded) <= SMALL


def _resized(part: Tensor, coarse: CoarseLogits, ratios: Ratios) -> Tensor:
    assert coarse.memory_format is not None
    size = (part.shape[2] * ratios[0], part.shape[3] * ratios[1])
    part = part.contiguous(memory_format=coarse.memory_format)
    return F.interpolate(part, size=size, mode="bilinear", align_corners=False)
