"""Training: Lightning modules, losses, optimisers, callbacks."""

from subquad.training.callbacks import ModelAverage, PlainProgress, SaveBest, SaveLast, TimeLeft
from subquad.training.losses import pixel_cross_entropy
from subquad.training.optimizer import AdamWOptions, parameter_groups
from subquad.training.segmentation import SegmentationTask

__all__ = [
    "AdamWOptions",
    "ModelAverage",
    "PlainProgress",
    "SaveBest",
    "SaveLast",
    "SegmentationTask",
    "TimeLeft",
    "parameter_groups",
    "pixel_cross_entropy",
]
