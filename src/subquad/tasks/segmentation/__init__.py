"""A class for each pixel: data, losses, training, evaluation by published protocols, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.preprocess import preprocess
from subquad.tasks.segmentation.confusion import ConfusionMatrix, SegmentationScores
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.losses import LossOptions, lovasz_softmax, pixel_cross_entropy, soft_dice
from subquad.tasks.segmentation.protocol import PROTOCOLS, EvaluationProtocol, predict_scores, protocol_from
from subquad.tasks.segmentation.tiles import TiledPrediction, predict_tiles
from subquad.tasks.segmentation.tiling import Tiling

if TYPE_CHECKING:
    from subquad.tasks.segmentation.learner import SegmentationLearner

__all__ = [
    "PROTOCOLS",
    "ConfusionMatrix",
    "EvaluationProtocol",
    "LossOptions",
    "SegmentationLearner",
    "SegmentationScores",
    "TiledPrediction",
    "Tiling",
    "lovasz_softmax",
    "pixel_cross_entropy",
    "predict_labels",
    "predict_scores",
    "predict_tiles",
    "preprocess",
    "protocol_from",
    "soft_dice",
]


def __getattr__(name: str) -> Any:
    if name == "SegmentationLearner":  # it needs Lightning
        from subquad.tasks.segmentation.learner import SegmentationLearner

        return SegmentationLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
