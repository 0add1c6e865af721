"""Scores of generated images, their features, and images as files."""

from subquad.evaluation.generation.features import FeatureNet, Inception, Proxy, check_features, open_features
from subquad.evaluation.generation.frechet import FeatureStatistics, frechet_distance
from subquad.evaluation.generation.images import image_grid, to_bytes, write_png
from subquad.evaluation.generation.proxy import ProxyConfig, ProxyFeatures, load_proxy, save_proxy
from subquad.evaluation.generation.sampling import between, generate, latents, uniform_labels
from subquad.evaluation.generation.scores import (
    LEAST_SAMPLES,
    PROTOCOLS,
    GenerationProtocol,
    GenerationScores,
    count_features,
    inception_score,
    score_generator,
)

__all__ = [
    "LEAST_SAMPLES",
    "PROTOCOLS",
    "FeatureNet",
    "FeatureStatistics",
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
