"""A class or a value for each sequence: data, training, scores, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.class_scores import ClassScores
from subquad.tasks.sequences.prediction import predict_sequences
from subquad.tasks.sequences.scores import SequenceScores

if TYPE_CHECKING:
    from subquad.tasks.sequences.learner import SequenceLearner

__all__ = ["ClassScores", "SequenceLearner", "SequenceScores", "predict_sequences"]


def __getattr__(name: str) -> Any:
    if name == "SequenceLearner":  # it needs Lightning
        from subquad.tasks.sequences.learner import SequenceLearner

        return SequenceLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
