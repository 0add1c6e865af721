"""What VQ and CD share: soft assignment by cosine similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.ops.decompose import data_unit
from subquad.ops.products import collect, column_norm, in_parts, project, softmax_of_columns
from subquad.ops.solver import Factors, Problem


@dataclass(frozen=True)
class CosineClustering:
    """Start, preparation and assignment of the two clustering solvers.

    Their products are in float32 whatever is asked for: the temperature magnifies what bfloat16 rounds away.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t.
    """

    nonnegative: ClassVar[bool] = False

    temperature: float = 0.01

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}; 0.01 is nearly hard.")

    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw normal columns of length one, (..., dim, rank)."""
        dictionary = torch.randn(*shape, generator=generator, device=device, dtype=dtype)
        return F.normalize(dictionary, dim=-2)

    def admissible(self, dictionary: Tensor) -> Tensor:
        """Return D: any sign will do."""
        return dictionary

    def prepare(self, x: Tensor, mask: Tensor | None) -> Problem:
        """Measure the columns of X once, not once an iteration."""
        return Problem(x, mask, data_unit(x), column_norm(x))

    def assign(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Assign each column of X to the columns of the dictionary.

        Returns:
            Weights (batch, rank, positions) that sum to one at each position; zero where masked.
        """
        assert problem.norm is not None
        return self.soft_assignment(problem, dictionary, inverse_norm(problem.norm))

    def soft_assignment(self, problem: Problem, dictionary: Tensor, inverse: Tensor) -> Tensor:
        """Return the softmax of cosines, for columns of X whose lengths have this inverse."""
        # The length of X's columns is divided out of the small product, not out of a copy of X.
        scores = project(problem.x, dictionary)
        weights = in_parts(_softmax_of_scaled, scores, inverse / self.temperature)
        return weights if problem.mask is None else weights.where(problem.mask, 0)

    def means(self, problem: Problem, weights: Tensor) -> Tensor:
        """Return the means of the columns of X with these weights, (batch, dim, rank)."""
        return collect(problem.x, weights) / (1e-6 + weights.sum(dim=-1).unsqueeze(-2))

    def objective(self, x: Tensor, factors: Factors) -> Tensor:
        """Soft k-means: `-T sum_n |x_n| log sum_k exp(cos(d_k, x_n) / T)`, for the temperature T.

        Assigning and averaging are the two steps of expectation-maximisation for it. The residual may
        rise: neither step asks for it.
        """
        cosine = F.normalize(factors.dictionary, dim=-2).mT @ F.normalize(x, dim=-2)
        soft = self.temperature * (cosine / self.temperature).logsumexp(dim=-2)
        return -(torch.linalg.vector_norm(x, dim=-2) * soft).sum(dim=-1)


def inverse_norm(norm: Tensor) -> Tensor:
    """Return 1 / |column|; 0 for a zero column, which has no direction.

    The zero matters for the gradient: 1 / eps would turn a dead pixel into a huge one.
    """
    return torch.where(norm > 0, 1 / norm.clamp_min(1e-12), 0)


def _softmax_of_scaled(scores: Tensor, sharpness: Tensor | None) -> Tensor:
    assert sharpness is not None
    scores = scores * sharpness if torch.is_grad_enabled() else scores.mul_(sharpness)
    return softmax_of_columns(scores)


def unit_columns(dictionary: Tensor, unit: Tensor) -> Tensor:
    """Divide each column by its length; columns far shorter than the data's scale stay short."""
    length = torch.linalg.vector_norm(dictionary, dim=-2, keepdim=True)
    return dictionary / torch.maximum(length, 1e-6 * unit.clamp_max(1))
