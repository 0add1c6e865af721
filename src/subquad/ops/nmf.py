"""Non-negative matrix factorisation by multiplicative updates (Lee and Seung, NIPS 2000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.ops.decompose import data_unit
from subquad.ops.dispatch import Impl, use_triton
from subquad.ops.kernels.limits import obstacle_to_nmf
from subquad.ops.products import combine, divided, in_parts, product, softmax_of_columns
from subquad.ops.solver import Factors, Problem
from subquad.ops.transforms import is_transformed


@dataclass(frozen=True)
class NMF:
    """Minimise `|X - D C|` over non-negative D and C (Geng et al., ICLR 2021, section 2).

    Each iteration updates the codes, then the dictionary::

        C <- C * (D'X) / (D'D C + eps)        D <- D * (X C') / (D C C' + eps)

    The residual never grows. X is meant to be non-negative; where it is not, D'X and X C' are cut
    off at zero, which is the same theorem's update for the same problem.

    The start codes are softmax(D'X) of the raw products, so the result is not scale-equivariant:
    the scale of X decides how sharp the start is. Everything after the start is: if the codes and X
    are multiplied by s, so are the next codes, and the dictionary stays. From any start the
    reconstruction is never worse than answering zero.

    Attributes:
        eps: Added to the denominators, > 0, in units of ordinary data; it shrinks with data
            whose largest entry is below 0.01.
    """

    nonnegative: ClassVar[bool] = True
    short_products: ClassVar[bool] = True

    eps: float = 1e-6

    def __post_init__(self) -> None:
        if not self.eps > 0:
            raise ValueError(f"eps must be positive, got {self.eps}.")

    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw uniform columns of length one, (..., dim, rank)."""
        dictionary = torch.rand(*shape, generator=generator, device=device, dtype=dtype)
        return F.normalize(dictionary, dim=-2)

    def admissible(self, dictionary: Tensor) -> Tensor:
        """Return `|D|`: unlike a cut-off at zero it never takes the gradient from an entry."""
        return dictionary.abs()

    def prepare(self, x: Tensor, mask: Tensor | None) -> Problem:
        """Find the unit in which the codes are kept while iterating.

        Without a graph X itself is never copied: the unit divides the small matrices. With one it
        must be: a gradient times X, of 1e30, overflows before a small matrix can divide it.
        """
        unit = data_unit(x)
        scaled = torch.is_grad_enabled()
        return Problem(x / unit if scaled else x, mask, unit, scaled=scaled)

    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Start from softmax(D'X) and update once, with the same D'X."""
        return self._updated(self._overlap(problem, dictionary), dictionary, None, problem.unit)

    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """C <- C * (D'X) / (D'D C + eps)."""
        return self._updated(self._overlap(problem, factors.dictionary), *factors, problem.unit)

    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """D <- D * (X C') / (D C C' + eps)."""
        dictionary, codes = factors
        small = codes if problem.scaled else divided(codes, problem.unit)
        overlap = problem.collect(small)  # (batch, dim, rank)
        return _multiply(dictionary, overlap, dictionary @ product(codes, codes.mT), self.eps)

    def iterate(self, problem: Problem, dictionary: Tensor, steps: int, impl: Impl) -> Factors | None:
        """Run the first iterations by a kernel that reads X once in each, where there is one to run.

        Args:
            problem: Prepared without a graph.
            dictionary: The start.
            steps: Iterations, at least 1.
            impl: Which implementation; see `subquad.ops.dispatch`.

        Returns:
            What as many updates of codes and dictionary return; None if no kernel is to run.

        Raises:
            ValueError: If `impl` asks for what cannot run.
        """
        data = problem.x if problem.short is None else problem.short
        sizes = (*data.shape, dictionary.shape[-1])
        if use_triton(impl, data, "nmf", sizes, obstacle_to_nmf(data, dictionary)):
            from subquad.ops.kernels.nmf import nmf_iterations

            dictionary, codes = nmf_iterations(data, dictionary, None, problem.unit, self.eps, steps)
            return Factors(dictionary, codes.mT)
        return None

    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Update once more; with constant D and C the result is linear in X."""
        codes = self.update_codes(problem, factors)
        return codes * problem.unit if torch.is_grad_enabled() else codes.mul_(problem.unit)

    def _overlap(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Return D'X in the unit of the problem, (batch, rank, positions)."""
        return problem.project(dictionary if problem.scaled else dictionary / problem.unit)

    def _updated(self, overlap: Tensor, dictionary: Tensor, codes: Tensor | None, unit: Tensor) -> Tensor:
        """Return codes updated with D'X, which is used up; those of the start are softmax(D'X)."""
        gram = dictionary.mT @ dictionary

        def update(overlap: Tensor, codes: Tensor | None) -> Tensor:
            codes = softmax_of_columns(overlap * unit) if codes is None else codes
            return _multiply(codes, overlap, combine(gram, codes), self.eps)

        return in_parts(update, overlap, codes)

    def objective(self, x: Tensor, factors: Factors) -> Tensor:
        """`|X - D C|`."""
        return torch.linalg.vector_norm(x - factors.reconstruct(), dim=(-2, -1))


def _multiply(factor: Tensor, numerator: Tensor, denominator: Tensor, eps: float) -> Tensor:
    """The multiplicative update that both factors share; numerator and denominator are used up.

    A factor of zero stays zero. Where it has a graph its numerator is dropped, which changes no value:
    where the denominator is zero too, each iteration would multiply the gradient by 1 / eps.
    """
    if not torch.is_grad_enabled():
        return numerator.clamp_min_(0).div_(denominator.add_(eps)).mul_(factor)
    numerator = numerator.clamp_min(0)
    if factor.requires_grad or is_transformed(factor):
        numerator = numerator.where(factor != 0, 0)
    return numerator / (denominator + eps) * factor
