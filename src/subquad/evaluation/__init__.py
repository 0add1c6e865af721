"""Metrics and prediction."""

from subquad.evaluation.confusion import ConfusionMatrix, SegmentationScores
from subquad.evaluation.predict import predict_labels
from subquad.evaluation.preprocess import preprocess
from subquad.evaluation.protocol import PROTOCOLS, Protocol, predict_scores, protocol_from
from subquad.evaluation.sequence_scores import ClassScores, SequenceScores
from subquad.evaluation.sequences import predict_sequences
from subquad.evaluation.tiles import TiledPrediction, predict_tiles
from subquad.evaluation.tiling import Tiling

__all__ = [
    "PROTOCOLS",
    "ClassScores",
    "ConfusionMatrix",
    "Protocol",
    "SegmentationScores",
    "SequenceScores",
    "TiledPrediction",
    "Tiling",
    "predict_labels",
    "predict_scores",
    "predict_sequences",
    "predict_tiles",
    "preprocess",
    "protocol_from",
]
