"""Logits as a head gives them, before they are resized to the image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from subquad.models.segmentation.mirror import cropped


class CoarseLogits(NamedTuple):
    """Logits at the stride of a head, and how they become those of the image.

    Attributes:
        logits: (batch, classes, h, w).
        padded: Height and width that they are resized to.
        size: Height and width of the images, the top left corner of that.
        align_corners: How they are resized.
        is_cropped: Whether `padded` may be larger than `size`; a program that is exported must not compare.
    """

    logits: Tensor
    padded: tuple[int, int]
    size: tuple[int, int]
    align_corners: bool
    is_cropped: bool = False

    def resized(self) -> Tensor:
        """Return the logits of the images, (batch, classes, H, W)."""
        resized = F.interpolate(
            self.logits, size=self.padded, mode="bilinear", align_corners=self.align_corners
        )
        return cropped(resized, *self.size) if self.is_cropped else resized
