"""Vector quantisation: soft k-means under cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.ops.cosine import CosineClustering, unit_columns
from subquad.ops.solver import Factors, Problem


@dataclass(frozen=True)
class VQ(CosineClustering):
    """Replace each column by a mixture of cluster centres (Geng et al., ICLR 2021, section 2).

    Each iteration assigns by cosine similarity, then averages::

        C <- softmax(cos(D, X) / temperature)        D <- X C' / sum of C over the positions

    Scale-equivariant: s X gives the same codes and s D, for any s > 0 down to the scale 1e-6.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t. At the published 0.01 the
            gradient through the iterations grows; from scratch, take 0.1 (docs/gradients.md).
    """

    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Assign to the start dictionary."""
        return self.assign(problem, unit_columns(dictionary, problem.unit))

    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign to the dictionary."""
        return self.first_codes(problem, factors.dictionary)

    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """Take the weighted means of the columns of X."""
        return self.means(problem, factors.codes)

    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Assign once more; the gradient sees the direction of X, not its length."""
        assert problem.norm is not None
        length = problem.norm.detach()
        inverse = torch.where(length > 0, 1 / (1e-6 * problem.unit.clamp_max(1) + length), 0)
        return self.soft_assignment(problem, unit_columns(factors.dictionary, problem.unit), inverse)
