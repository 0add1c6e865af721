"""Vector quantisation: soft k-means under cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.ops.cosine import CosineClustering, unit_columns
from subquad.ops.decompose import Factors, Problem


@dataclass(frozen=True)
class VQ(CosineClustering):
    """Replace each column by a mixture of cluster centres (Geng et al., ICLR 2021, section 2).

    Each iteration assigns by cosine similarity, then averages::

        C <- softmax(cos(D, X) / temperature), normalised over the positions        D <- X C'

    The final codes are the assignment itself, not normalised over the positions. Scale-equivariant:
    s X gives the same codes and s D, for any s > 0 down to the scale 1e-6.

    Attributes:
        temperature: Of the softmax, > 0; its inverse is the originals' inv_t.
    """

    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Assign to the start dictionary."""
        return self.assign(problem, unit_columns(dictionary, problem.unit))

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
