"""Training: Lightning modules, losses, optimisers, callbacks."""

from subquad.evaluation import SequenceScores
from subquad.training.best import SaveBest
from subquad.training.callbacks import ModelAverage, PlainProgress, SaveFinal, TimeLeft
from subquad.training.class_report import ClassReport
from subquad.training.groups import parameter_groups
from subquad.training.losses import LossOptions, lovasz_softmax, pixel_cross_entropy, soft_dice
from subquad.training.optimizer import OptimizerOptions
from subquad.training.save_last import SaveLast
from subquad.training.segmentation import SegmentationTask
from subquad.training.sequence import SequenceTask
from subquad.training.task import Task

__all__ = [
    "ClassReport",
    "LossOptions",
    "ModelAverage",
    "OptimizerOptions",
    "PlainProgress",
    "SaveBest",
    "SaveFinal",
    "SaveLast",
    "SegmentationTask",
    "SequenceScores",
    "SequenceTask",
    "Task",
    "TimeLeft",
    "lovasz_softmax",
    "parameter_groups",
    "pixel_cross_entropy",
    "soft_dice",
]
