"""Losses of segmentation; all leave ignored pixels out and compute in float32 or better."""

from subquad.tasks.segmentation.losses.cross_entropy import Normalize, hardest_pixels, pixel_cross_entropy
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.losses.region import lovasz_softmax, soft_dice
from subquad.tasks.segmentation.losses.strips import coarse_cross_entropy

__all__ = [
    "LossOptions",
    "Normalize",
    "coarse_cross_entropy",
    "hardest_pixels",
    "lovasz_softmax",
    "pixel_cross_entropy",
    "soft_dice",
]
