"""Images made larger by their mirror, and maps cut back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mirrored(images: Tensor, height: int, width: int) -> Tensor:
    """Return images with their mirror behind the right and the bottom edge.

    Unlike the reflection of `torch.nn.functional.pad`, it takes images of any size: where the mirror of a
    very small one ends, its first row or column goes on.

    Args:
        images: (batch, channels, H, W).
        height: H or more.
        width: W or more.
    """
    for axis, side in ((2, height), (3, width)):
        images = images.index_select(axis, _there_and_back(images.shape[axis], side, images.device))
    return images


def cropped(maps: Tensor, height: int, width: int) -> Tensor:
    """Return the top left corner of maps (batch, channels, H, W)."""
    if torch.compiler.is_exporting():
        # By a slice, the program would take only images that are padded as its example is, or not.
        return F.pad(maps, (0, width - maps.shape[3], 0, height - maps.shape[2]))
    return maps[:, :, :height, :width]


def _there_and_back(side: int, length: int, device: torch.device) -> Tensor:
    """Return 0, 1, ..., side - 1, side - 2, ..., 1, 0, 0, ... of a length; the edge is not repeated."""
    last = side - 1
    return (last - (torch.arange(length, device=device) - last).abs()).clamp_min(0)
