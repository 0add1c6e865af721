"""Vector quantisation: soft k-means under cosine similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.ops.decompose import Factors, Problem, data_unit, inverse_column_norm


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is positive."""
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}; 0.01 is nearly hard.")


def soft_assignment(problem: Problem, dictionary: Tensor, temperature: float) -> Tensor:
    """Assign each column of X to the dictionary columns by cosine similarity.

    Returns:
        Weights (batch, rank, positions) that sum to one over the positions, so that
        X @ weights' is a mean of columns of X; zero where masked.
    """
    # |column of X| is divided out of the small product instead of a copy of X.
    assert problem.inverse_norm is not None
    cosine = (dictionary.mT @ problem.x) * problem.inverse_norm
    weights = (cosine / temperature).softmax(dim=-2)
    if problem.mask is not None:
        weights = weights.where(problem.mask, 0)
    return weights / (1e-6 + weights.sum(dim=-1, keepdim=True))


def unit_columns(dictionary: Tensor, unit: Tensor) -> Tensor:
    """Divide each column by its length; columns far shorter than the data's scale stay short."""
    length = torch.linalg.vector_norm(dictionary, dim=-2, keepdim=True)
    return dictionary / torch.maximum(length, 1e-6 * unit.clamp_max(1))


def signed_random_dictionary(
    shape: Sequence[int],
    generator: torch.Generator | None,
    device: torch.device | str | None,
    dtype: torch.dtype,
) -> Tensor:
    """Draw normal columns of length one, (..., dim, rank)."""
    dictionary = torch.randn(*shape, generator=generator, device=device, dtype=dtype)
    return F.normalize(dictionary, dim=-2)


@dataclass(frozen=True)
class VQ:
    """Replace each column by a mixture of cluster centres (Geng et al., section 2.2.1).

    Each iteration assigns by cosine similarity, then averages::

        C <- softmax(cos(D, X) / temperature), normalised over the positions        D <- X C'

    The final codes are the assignment itself, not normalised over the positions. Scale-equivariant:
    s X gives the same codes and s D, for any s > 0 down to the scale 1e-6.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t.
    """

    temperature: float = 0.01

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw normal columns of length one, (..., dim, rank)."""
        return signed_random_dictionary(shape, generator, device, dtype)

    def admissible(self, dictionary: Tensor) -> Tensor:
        """Return D: any sign will do."""
        return dictionary

    def prepare(self, x: Tensor, mask: Tensor | None) -> Problem:
        """Measure the columns of X once, not once an iteration."""
        return Problem(x, mask, data_unit(x), inverse_column_norm(x))

    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Assign to the start dictionary."""
        return soft_assignment(problem, unit_columns(dictionary, problem.unit), self.temperature)

    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign to the dictionary."""
        return self.first_codes(problem, factors.dictionary)

    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """D <- X C', the weighted means of the columns of X."""
        return problem.x @ factors.codes.mT

    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign once more; the gradient sees the direction of X, not its length."""
        dictionary = unit_columns(factors.dictionary, problem.unit)
        with torch.no_grad():
            length = torch.linalg.vector_norm(problem.x, dim=-2, keepdim=True)
            eps = 1e-6 * problem.unit.clamp_max(1)
            inverse = torch.where(length > 0, 1 / (eps + length), 0)
        codes = ((dictionary.mT @ problem.x) * inverse / self.temperature).softmax(dim=-2)
        return codes if problem.mask is None else codes.where(problem.mask, 0)
