"""Concept decomposition: spherical k-means, then least squares (Dhillon and Modha, 2001)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.ops.cosine import CosineClustering, unit_columns
from subquad.ops.products import project
from subquad.ops.solver import Factors, Problem


@dataclass(frozen=True)
class CD(CosineClustering):
    """Project X on the directions of its clusters (Geng et al., ICLR 2021).

    Each iteration assigns by cosine similarity, then averages and normalises::

        C <- softmax(cos(D, X) / temperature)        D <- unit(X C' / sum of C over the positions)

    The final codes are the ridge regression (D'D + ridge)^-1 D'X, so the reconstruction is never
    worse than answering zero. Scale-equivariant: s X gives the same D and s C, for any s > 0.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t. At the published 0.01 the
            gradient through the iterations grows; from scratch, take 0.1 (docs/gradients.md).
        ridge: Of the final regression, > 0, for columns of length one; the originals' beta.
    """

    ridge: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ridge > 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}; equal columns would divide by zero.")

    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Assign to the start dictionary."""
        return self.assign(problem, dictionary)

    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign to the dictionary, whose columns have length one."""
        return self.assign(problem, factors.dictionary)

    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """D <- unit(X C'), the mean directions."""
        return unit_columns(self.means(problem, factors.codes), problem.unit)

    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """C = (D'D + ridge)^-1 D'X; with constant D it is linear in X."""
        dictionary = factors.dictionary
        gram = dictionary.mT @ dictionary
        ridge = self.ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # (rank, rank) against (rank, dim) first: the positions enter one product only. The "_ex"
        # form does not wait for the device to report singularity, which the ridge excludes.
        projection, _ = torch.linalg.solve_ex(gram + ridge, dictionary.mT)
        return project(problem.x, projection.mT)
