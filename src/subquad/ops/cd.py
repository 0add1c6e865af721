"""Concept decomposition: spherical k-means, then least squares (Dhillon and Modha, 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.ops.decompose import Factors, Problem, data_unit, inverse_column_norm
from subquad.ops.vq import (
    check_temperature,
    signed_random_dictionary,
    soft_assignment,
    unit_columns,
)


@dataclass(frozen=True)
class CD:
    """Project X on the directions of its clusters (Geng et al., appendix on concept decomposition).

    Each iteration assigns by cosine similarity, then averages and normalises::

        C <- softmax(cos(D, X) / temperature), normalised over the positions     D <- unit(X C')

    The final codes are the ridge regression (D'D + ridge)^-1 D'X, so the reconstruction is never
    worse than answering zero. Scale-equivariant: s X gives the same D and s C, for any s > 0.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t.
        ridge: Of the final regression, > 0, for columns of length one; the originals' beta.
    """

    temperature: float = 0.01
    ridge: float = 0.1

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if not self.ridge > 0:
            raise ValueError(
                f"ridge must be positive (equal columns would divide by zero), got {self.ridge}."
            )

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
        return soft_assignment(problem, dictionary, self.temperature)

    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign to the dictionary, whose columns have length one."""
        return soft_assignment(problem, factors.dictionary, self.temperature)

    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """D <- unit(X C'), the mean directions."""
        return unit_columns(problem.x @ factors.codes.mT, problem.unit)

    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """C = (D'D + ridge)^-1 D'X; with constant D it is linear in X."""
        dictionary = factors.dictionary
        gram = dictionary.mT @ dictionary
        ridge = self.ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # (rank, rank) against (rank, dim) first: the positions enter one product only. The "_ex"
        # form does not wait for the device to report singularity, which the ridge excludes.
        projection, _ = torch.linalg.solve_ex(gram + ridge, dictionary.mT)
        return projection @ problem.x
