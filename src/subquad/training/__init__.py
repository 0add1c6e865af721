"""Training: Lightning modules, losses, optimisers, callbacks."""

from subquad.training.callbacks import ModelAverage, PlainProgress, SaveBest, TimeLeft, save_last
from subquad.training.losses import pixel_cross_entropy
from subquad.training.optimizer import AdamWOptions, parameter_groups
from subquad.training.segmentation import SegmentationTask

__all__ = [
    "AdamWOptions",
    "ModelAverage",
    "PlainProgress",
    "SaveBest",
    "SegmentationTask",
    "TimeLeft",
    "parameter_groups",
    "pixel_cross_entropy",
    "save_last",
]
