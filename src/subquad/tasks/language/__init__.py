"""How a text goes on: data, training, scores, and what writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.tasks.language.scores import LanguageScores, PositionScore

if TYPE_CHECKING:
    from subquad.tasks.language.learner import LanguageLearner

__all__ = ["LanguageLearner", "LanguageScores", "PositionScore"]


def __getattr__(name: str) -> Any:
    if name == "LanguageLearner":  # it needs Lightning
        from subquad.tasks.language.learner import LanguageLearner

        return LanguageLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
