"""Decompositions tried against NMF, VQ and CD; each follows `subquad.ops.Solver`, as an outsider's would.

Those that win something move to `subquad.ops`; the others stay here, with their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.models import register_solver
from subquad.ops import NMF, Factors, Problem
from subquad.ops.cosine import CosineClustering

TINY = 1e-6  # of ordinary data


class AnySign:
    """What solvers for data of any sign share: normal columns of length one, and all are admissible.

    The unit of the codes is the largest entry of X, so that what has no unit, such as a ridge, fits data of
    any scale.
    """

    def random_dictionary(self, shape, *, generator=None, device=None, dtype=torch.float32):
        return F.normalize(torch.randn(*shape, generator=generator, device=device, dtype=dtype), dim=-2)

    def admissible(self, dictionary):
        return dictionary

    def prepare(self, x, mask):
        return Problem(x, mask, x.detach().abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-20))


@register_solver
@dataclass(frozen=True)
class AcceleratedNMF(NMF):
    """NMF whose factors are updated `inner` times for each product with X (Gillis and Glineur, 2012).

    D'X and X C' are what costs; with them at hand, further updates take products of the rank alone. Each
    is a multiplicative update, so the residual never grows.

    Source: Gillis and Glineur, "Accelerated multiplicative updates and hierarchical ALS algorithms for
    nonnegative matrix factorization", Neural Computation 24(4), 2012, section 3.
    """

    inner: int = 3

    def first_codes(self, problem, dictionary):
        overlap = self._overlap(problem, dictionary)
        peak = overlap.detach().abs().amax(dim=(1, 2), keepdim=True)
        start = (overlap / peak.clamp_min(TINY)).softmax(dim=-2)  # as soft for data of any scale
        if problem.mask is not None:
            start = start.where(problem.mask, 0)
        return self._more_codes(problem, dictionary, start, self.inner)

    def update_codes(self, problem, factors):
        return self._more_codes(problem, *factors, self.inner)

    def update_dictionary(self, problem, factors):
        dictionary, codes = factors
        overlap = _collected(problem, codes)
        gram = codes @ codes.mT
        for _ in range(self.inner):
            dictionary = _multiplied(dictionary, overlap, dictionary @ gram, self.eps)
        return dictionary

    def iterate(self, problem, dictionary, steps, impl):
        return None

    def _more_codes(self, problem, dictionary, codes, times):
        overlap, gram = self._overlap(problem, dictionary), dictionary.mT @ dictionary
        for _ in range(times):
            codes = _multiplied(codes, overlap, gram @ codes, self.eps)
        return codes


def _collected(problem: Problem, codes: Tensor) -> Tensor:
    """Return X C' in the unit of the problem, (batch, dim, rank)."""
    found = problem.collect(codes)
    return found if problem.scaled else found / problem.unit


def _multiplied(factor: Tensor, numerator: Tensor, denominator: Tensor, eps: float) -> Tensor:
    return factor * numerator.clamp_min(0).where(factor != 0, 0) / (denominator + eps)


@register_solver
@dataclass(frozen=True)
class HALS(NMF):
    """Hierarchical alternating least squares: one column of a factor at a time, each exactly.

    `c_r <- max(0, c_r + (d_r'X - d_r'D C) / d_r'd_r)`, then the same for the columns of D. The residual
    never grows.

    Source: Cichocki and Phan, "Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations", IEICE E92-A(3), 2009, algorithm 2.
    """

    def first_codes(self, problem, dictionary):
        overlap, gram = self._overlap(problem, dictionary), dictionary.mT @ dictionary
        start = overlap.clamp_min(0) / (gram.sum(-1, keepdim=True) + TINY)
        return _by_columns(start, overlap, gram)

    def update_codes(self, problem, factors):
        dictionary, codes = factors
        return _by_columns(codes, self._overlap(problem, dictionary), dictionary.mT @ dictionary)

    def update_dictionary(self, problem, factors):
        dictionary, codes = factors
        overlap = _collected(problem, codes)
        return _by_columns(dictionary.mT, overlap.mT, codes @ codes.mT).mT

    def iterate(self, problem, dictionary, steps, impl):
        return None


def _by_columns(rows: Tensor, overlap: Tensor, gram: Tensor) -> Tensor:
    """Return non-negative rows (batch, rank, n), each the best while the others stay."""
    rows = list(rows.unbind(-2))
    for r in range(len(rows)):
        length = gram[:, r, r, None]
        fit = (gram[:, r, :, None] * torch.stack(rows, dim=-2)).sum(-2)
        better = (rows[r] + (overlap[:, r] - fit) / (length + TINY)).clamp_min(0)
        rows[r] = torch.where(length > TINY, better, rows[r])
    return torch.stack(rows, dim=-2)


@register_solver
@dataclass(frozen=True)
class SemiNMF(AnySign):
    """X = D C with codes that are not negative and a dictionary of any sign, for data of any sign.

    The dictionary is the ridge regression X C'(C C' + ridge)^-1, codes are multiplied by the square root of
    the ratio of the positive and the negative part of the gradient, which never makes the residual larger.

    Source: Ding, Li and Jordan, "Convex and semi-nonnegative matrix factorizations", PAMI 32(1), 2010, 3.
    """

    ridge: float = 0.01

    def first_codes(self, problem, dictionary):
        codes = (dictionary.mT @ problem.x / problem.unit).softmax(dim=-2)
        codes = codes if problem.mask is None else codes.where(problem.mask, 0)
        return self.update_codes(problem, Factors(dictionary * problem.unit, codes))

    def update_codes(self, problem, factors):
        # The dictionary is in the unit of X; both products are divided by its square.
        dictionary, codes = factors.dictionary / problem.unit, factors.codes
        overlap, gram = dictionary.mT @ problem.x / problem.unit, dictionary.mT @ dictionary
        above = overlap.clamp_min(0) + (-gram).clamp_min(0) @ codes
        below = (-overlap).clamp_min(0) + gram.clamp_min(0) @ codes
        return codes * ((above + TINY) / (below + TINY)).sqrt()

    def update_dictionary(self, problem, factors):
        codes = factors.codes
        gram = codes @ codes.mT
        size = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None] + TINY
        ridge = self.ridge * size * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        return torch.linalg.solve_ex(gram + ridge, codes @ problem.x.mT)[0].mT

    def final_codes(self, problem, factors):
        return self.update_codes(problem, factors)


@register_solver
@dataclass(frozen=True)
class ISTA(AnySign):
    """Sparse codes: a step of `|X - D C|^2 / 2 + sparsity |C|_1` by proximal gradients, in both factors.

    Codes take a gradient step and are shrunk by the sparsity, columns of the dictionary take one and are
    drawn back to a length of at most one. Both steps are 1 / a bound of the curvature: the sum never grows.

    Source: Daubechies, Defrise and De Mol, 2004; Beck and Teboulle, "A fast iterative
    shrinkage-thresholding algorithm", SIAM J. Imaging Sciences 2(1), 2009, equation 3.2.
    """

    sparsity: float = 0.05

    def first_codes(self, problem, dictionary):
        codes = torch.zeros_like(dictionary.mT @ problem.x)
        return self.update_codes(problem, Factors(dictionary, codes))

    def update_codes(self, problem, factors):
        dictionary, codes = factors
        gram = dictionary.mT @ dictionary
        bound = gram.abs().sum(-1, keepdim=True).amax(-2, keepdim=True) + TINY
        moved = codes + (dictionary.mT @ problem.x / problem.unit - gram @ codes) / bound
        return F.relu(moved - self.sparsity / bound) - F.relu(-moved - self.sparsity / bound)

    def update_dictionary(self, problem, factors):
        dictionary, codes = factors
        gram = codes @ codes.mT
        bound = gram.abs().sum(-1, keepdim=True).amax(-2, keepdim=True) + TINY
        moved = dictionary + (problem.x @ codes.mT / problem.unit - dictionary @ gram) / bound
        length = moved.square().sum(-2, keepdim=True)
        return moved / length.clamp_min(1).sqrt()

    def final_codes(self, problem, factors):
        return self.update_codes(problem, factors) * problem.unit

    def objective(self, x, factors):
        """`|X - D C|^2 / 2 + sparsity |C|_1`, in units of the largest entry."""
        unit = self.prepare(x, None).unit
        left = ((x - factors.reconstruct()) / unit).square().sum((1, 2)) / 2
        return left + self.sparsity * (factors.codes / unit).abs().sum((1, 2))


@register_solver
@dataclass(frozen=True)
class Subspace(AnySign):
    """The leading subspace of X by power iterations: D <- orthonormal(X X'D), C = D'X; a soft PCA.

    Directions in which X is shorter than `ridge` of the longest are not stretched to length one.

    Source: Golub and Van Loan, "Matrix Computations", section 8.2.4, orthogonal iteration.
    """

    ridge: float = 1e-3

    def first_codes(self, problem, dictionary):
        return self._codes(problem, dictionary)

    def update_codes(self, problem, factors):
        return self._codes(problem, factors.dictionary)

    def _codes(self, problem, dictionary):
        return dictionary.mT @ problem.x / problem.unit

    def update_dictionary(self, problem, factors):
        pushed = problem.x @ factors.codes.mT / problem.unit
        gram = pushed.mT @ pushed
        size = gram.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] + TINY**2
        ridge = self.ridge**2 * size * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # Two rounds: after the first the columns are near enough to orthonormal for float32.
        once = self._whitened(pushed, gram + ridge)
        return self._whitened(once, once.mT @ once + ridge / size)

    def _whitened(self, columns, gram):
        lower = torch.linalg.cholesky_ex(gram)[0]
        return torch.linalg.solve_triangular(lower, columns.mT, upper=False).mT

    def final_codes(self, problem, factors):
        return factors.dictionary.mT @ problem.x

    def objective(self, x, factors):
        """`|X - D C|`: what is beside the subspace."""
        return torch.linalg.vector_norm(x - factors.reconstruct(), dim=(-2, -1))


@register_solver
@dataclass(frozen=True)
class EM(CosineClustering):
    """Expectation-maximisation attention: softmax of plain products, and means of length one.

    With `start="running"` it is EMANet's unit without its own convolutions. A rival as published and no
    candidate: plain products have no unit, so it is not as good at any scale, and it promises no descent.

    Source: Li et al., "Expectation-Maximization Attention Networks", ICCV 2019, section 3.
    """

    nonnegative: ClassVar[bool] = False
    objective: ClassVar[None] = None

    temperature: float = 1.0

    def first_codes(self, problem, dictionary):
        return self.assign(problem, dictionary)

    def assign(self, problem, dictionary):
        codes = (dictionary.mT @ problem.x / self.temperature).softmax(dim=-2)
        return codes if problem.mask is None else codes.where(problem.mask, 0)

    def update_codes(self, problem, factors):
        return self.assign(problem, factors.dictionary)

    def update_dictionary(self, problem, factors):
        return F.normalize(self.means(problem, factors.codes), dim=-2)

    def final_codes(self, problem, factors):
        return self.assign(problem, factors.dictionary)
