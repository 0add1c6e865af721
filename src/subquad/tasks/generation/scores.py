"""Scores of generated images: FID and IS, or proxy-FID, under a protocol that is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.engine.scores import Table
from subquad.tasks.generation.features import FeatureNet
from subquad.tasks.generation.frechet import FeatureStatistics, frechet_distance
from subquad.tasks.generation.images import to_bytes
from subquad.tasks.generation.sampling import generate, latents, uniform_labels

LEAST_SAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class GenerationProtocol:
    """How generated images are scored.

    Attributes:
        samples: Generated images, and the most real ones.
        splits: Parts over which the Inception score is averaged; 1 takes all at once.
        truncation: Bound of the latent vectors; None: not truncated.
        seed: Of latent vectors and classes.
        allow_small: Whether fewer than 10,000 images may be scored: the distance is then biased upwards.

    Raises:
        ValueError: If a number is out of range, or there are too few samples.
    """

    samples: int = 10_000
    splits: int = 1
    truncation: float | None = None
    seed: int = 0
    allow_small: bool = False

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.splits < 1 or self.samples < 2 * self.splits:
            raise ValueError(
                f"each of {self.splits} splits needs two samples at least, got {self.samples} in all."
            )
        if self.truncation is not None and not self.truncation > 0:
            raise ValueError(f"truncation must be positive, such as 2 or 0.7; got {self.truncation}.")
        self.check_count(self.samples, "generated")

    def check_count(self, count: int, kind: str) -> None:
        """Raise ValueError if so many images are too few."""
        if count < LEAST_SAMPLES and not self.allow_small:
            raise ValueError(
                f"{count} {kind} images are too few for a score that can be compared: take {LEAST_SAMPLES} "
                f"at least, or give --allow_small true for one that is biased."
            )


# The published protocol of HamGAN, the one usual elsewhere, and one for test sets of 10,000.
PROTOCOLS = {
    "hamgan": GenerationProtocol(samples=50_176, splits=1),
    "standard": GenerationProtocol(samples=50_000, splits=10),
    "small": GenerationProtocol(samples=10_000, splits=1),
}


@dataclass(frozen=True, kw_only=True)
class GenerationScores:
    """What an evaluation found.

    Attributes:
        distance_name: "FID" or "proxy-FID"; the two have nothing to do with each other.
        distance: Of the generated images to the real ones.
        real_distance: Of other real images to the real ones: a mark to compare with, not a bound. None if
            there are no others.
        inception_score: Mean over the splits; None without Inception.
        inception_score_sd: Standard deviation over the splits.
        class_accuracy: Share of generated images whose class the proxy classifier recognises; None with
            Inception.
        real: Real images compared with.
        generated: Images.
        protocol: How they were scored.
        features: Which features, in words.
        resize: How images were brought to their size, in words.
        preset: The name of the protocol that it began from; "" if it is none.
        real_images: What the real images are called; "" if they have no name.
    """

    distance_name: str
    distance: float
    real_distance: float | None
    inception_score: float | None
    inception_score_sd: float | None
    class_accuracy: float | None
    real: int
    generated: int
    protocol: GenerationProtocol
    features: str
    resize: str
    preset: str = ""
    real_images: str = ""

    def tables(self) -> list[Table]:
        """Return the scores, and with which features they were made."""
        rows = [(self.distance_name, f"{self.distance:.3f}")]
        if self.real_distance is not None:
            rows.append((f"{self.distance_name} of other real images", f"{self.real_distance:.3f}"))
        if self.inception_score is not None:
            rows.append(("Inception score", f"{self.inception_score:.3f} ± {self.inception_score_sd:.3f}"))
        if self.class_accuracy is not None:
            rows.append(("classes recognised", f"{100 * self.class_accuracy:.2f} %"))
        title = f"{self.generated:,} generated, {self.real:,} real images"
        features = f"features: {self.features}; resized: {self.resize}"
        return [Table(title, ("score", "value"), rows), Table(features)]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class WatchedDistance:
    """What an evaluation while training found.

    Attributes:
        name: "FID" or "proxy-FID".
        distance: Of the generated images to as many real ones.
    """

    name: str
    distance: float

    def tables(self) -> list[Table]:
        """Return the distance."""
        return [Table(f"{self.name} {self.distance:.3f}")]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"distance_name": self.name, "distance": self.distance}


def count_features(
    network: FeatureNet,
    batches: Iterable[Tensor],
    device: torch.device | str = "cpu",
    most: int | None = None,
) -> FeatureStatistics:
    """Count the features of images.

    Args:
        network: Of the features.
        batches: Images in -1..1, (batch, channels, side, side).
        device: Where the network is.
        most: Count no more images than this.

    Raises:
        ValueError: If a value is NaN or outside -1..1.
    """
    statistics = FeatureStatistics(network.length, device)
    for images in batches:
        left = len(images) if most is None else most - statistics.count
        if left <= 0:
            break
        statistics.update(network(to_bytes(images[:left].to(device)))[0])
    return statistics


def score_generator(
    generator: Any,
    network: FeatureNet,
    real: Iterable[Tensor],
    others: Iterable[Tensor] | None,
    protocol: GenerationProtocol,
    *,
    batch_size: int = 64,
) -> GenerationScores:
    """Score a generator; classes are drawn uniformly.

    Args:
        generator: Of a HamGAN, on the device that is used.
        network: Of the features, on the same device.
        real: Images to compare with, batches in -1..1.
        others: Other real images, as many as are generated if there are so many; None: there are none.
        protocol: How many images, and so on.
        batch_size: Of generated images.

    Raises:
        ValueError: If there are too few images, or their values are not in -1..1.
    """
    device = next(generator.parameters()).device
    known = count_features(network, real, device, protocol.samples)
    protocol.check_count(known.count, "real")
    other = None if others is None else count_features(network, others, device, protocol.samples)
    indices = range(protocol.samples)
    labels = uniform_labels(protocol.seed, indices, generator.config.num_classes)
    drawn = latents(protocol.seed, indices, generator.config.latent, protocol.truncation)
    made, logits, right = FeatureStatistics(network.length, device), [], 0
    for first, images in generate(generator, drawn, labels, batch_size=batch_size):
        features, told = network(to_bytes(images))
        made.update(features)
        if network.class_names:
            right += int((told.argmax(1).cpu() == labels[first : first + len(images)]).sum())
        else:
            logits.append(told.cpu())
    mean, deviation = inception_score(torch.cat(logits), protocol.splits) if logits else (None, None)
    return GenerationScores(
        distance_name=network.distance_name,
        distance=frechet_distance(made, known),
        real_distance=None if other is None else frechet_distance(other, known),
        inception_score=mean,
        inception_score_sd=deviation,
        class_accuracy=right / made.count if network.class_names else None,
        real=known.count,
        generated=made.count,
        protocol=protocol,
        features=network.description,
        resize=network.resize,
    )


def inception_score(logits: Tensor, splits: int) -> tuple[float, float]:
    """Return mean and standard deviation of the Inception score over the splits, in float64.

    Args:
        logits: Of generated images, (images, classes).
        splits: Into how many parts, in their order.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    found = isc_features_to_metric(logits, splits=splits, shuffle=False)
    return found["inception_score_mean"], found["inception_score_std"]
