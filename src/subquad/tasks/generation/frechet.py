"""The Frechet distance between two sets of features, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.nn.distributed import sum_over_processes


class FeatureStatistics:
    """Count, sum and sum of products of features: all that mean and covariance need.

    Args:
        features: Length of a feature vector.
        device: Of the sums.

    Attributes:
        count: Of feature vectors.
    """

    def __init__(self, features: int, device: torch.device | str = "cpu") -> None:
        self._sums = torch.zeros(features + 1, features + 1, dtype=torch.float64, device=device)

    @property
    def count(self) -> int:
        """Number of feature vectors."""
        return int(self._sums[-1, -1])

    def update(self, features: Tensor) -> None:
        """Add feature vectors (batch, features)."""
        features = features.to(self._sums)
        with_one = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
        self._sums += with_one.mT @ with_one

    def sum_over_processes(self) -> None:
        """Add up what all processes have counted."""
        sum_over_processes(self._sums)

    @property
    def mean(self) -> Tensor:
        """Mean, (features,)."""
        return self._sums[-1, :-1] / self._sums[-1, -1]

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance, (features, features).

        Raises:
            ValueError: Of fewer than two feature vectors.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs two pictures at least, got {self.count}.")
        mean = self.mean
        centred = self._sums[:-1, :-1] - self.count * mean[:, None] * mean
        return centred / (self.count - 1)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Return the Frechet distance between the Gaussians of two sets of features, squared as in FID.

    `|m - n|^2 + tr A + tr B - 2 tr (A B)^(1/2)`. The last trace is the sum of the singular values of
    `A^(1/2) B^(1/2)`, which asks for no inverse and no root of a matrix that is not symmetric: covariances
    may be singular, as those of fewer samples than features are.

    Raises:
        ValueError: If a feature was no finite number, or there are fewer than two feature vectors.

    References:
        Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982;
        Heusel et al., NIPS 2017.
    """
    a, b = first.covariance, second.covariance
    if not all(bool(tensor.isfinite().all()) for tensor in (a, b, first.mean, second.mean)):
        raise ValueError(
            "the features hold NaN or infinity, of which there is no distance; check the file of features "
            "and the weights of the network."
        )
    shift = (first.mean - second.mean).square().sum()
    overlap = torch.linalg.svdvals(_root(a) @ _root(b)).sum()
    return max(0.0, float(shift + a.trace() + b.trace() - 2 * overlap))


def _root(covariance: Tensor) -> Tensor:
    """Return the symmetric root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
