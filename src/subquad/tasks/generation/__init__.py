"""Images of a class, drawn from noise: training of a HamGAN, scores, features, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.tasks.generation.features import FeatureNet, Inception, Proxy, check_features, open_features
from subquad.tasks.generation.frechet import FeatureStatistics, frechet_distance
from subquad.tasks.generation.images import image_grid, to_bytes, write_png
from subquad.tasks.generation.proxy import ProxyConfig, ProxyFeatures, load_proxy, save_proxy
from subquad.tasks.generation.sampling import between, generate, latents, uniform_labels
from subquad.tasks.generation.scores import (
    LEAST_SAMPLES,
    PROTOCOLS,
    GenerationProtocol,
    GenerationScores,
    count_features,
    inception_score,
    score_generator,
)

if TYPE_CHECKING:
    from subquad.tasks.generation.learner import GenerationLearner

__all__ = [
    "LEAST_SAMPLES",
    "PROTOCOLS",
    "FeatureNet",
    "FeatureStatistics",
    "GenerationLearner",
    "GenerationProtocol",
    "GenerationScores",
    "Inception",
    "Proxy",
    "ProxyConfig",
    "ProxyFeatures",
    "between",
    "check_features",
    "count_features",
    "frechet_distance",
    "generate",
    "image_grid",
    "inception_score",
    "latents",
    "load_proxy",
    "open_features",
    "save_proxy",
    "score_generator",
    "to_bytes",
    "uniform_labels",
    "write_png",
]


def __getattr__(name: str) -> Any:
    if name == "GenerationLearner":  # it needs Lightning
        from subquad.tasks.generation.learner import GenerationLearner

        return GenerationLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
