"""Metrics and prediction."""

from subquad.evaluation.confusion import ConfusionMatrix, SegmentationScores
from subquad.evaluation.predict import predict_labels, preprocess

__all__ = ["ConfusionMatrix", "SegmentationScores", "predict_labels", "preprocess"]
