"""Logits as a head gives them, before they are resized to the image."""

from __future__ import annotations

from typing import NamedTuple

import torch
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

    @property
    def memory_format(self) -> torch.memory_format | None:
        """In which of PyTorch's two orders the logits lie; None: in another, as a part of a larger map."""
        formats = (torch.contiguous_format, torch.channels_last)
        return next((f for f in formats if self.logits.is_contiguous(memory_format=f)), None)

    def of_classes(self, start: int, stop: int) -> CoarseLogits:
        """Return those of some classes, from `start` to before `stop`, in the same order of memory."""
        if self.memory_format is None:
            return self._replace(logits=self.logits[:, start:stop])
        return self._replace(logits=self.logits[:, start:stop].contiguous(memory_format=self.memory_format))

    def resized(self) -> Tensor:
        """Return the logits of the images, (batch, classes, H, W)."""
        resized = F.interpolate(
            self.logits, size=self.padded, mode="bilinear", align_corners=self.align_corners
        )
        return cropped(resized, *self.size) if self.is_cropped else resized
