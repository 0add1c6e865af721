"""The gradient of a decomposition that went on for ever, term by term."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from subquad.explain.fixed_point import (
    iterated,
    output_of,
    problem_of,
    rate_between,
    window_start,
)
from subquad.ops import Factors, Solver


class NeumannSeries(NamedTuple):
    """The implicit gradient as a sum: term 0 is the one-step gradient, term i what iteration i before adds.

    Attributes:
        gradient: The sum, of the shape of x.
        first: Sums of the first terms: `first[k]` is the gradient of `grad_steps=k` at the fixed point.
        lengths: Of all terms that were computed.
        converged: Whether what is left out is within the tolerance.
        rate: By what the terms shrink at the end; None of fewer than three, 0 if they end.
    """

    gradient: Tensor
    first: tuple[Tensor, ...]
    lengths: tuple[float, ...]
    converged: bool
    rate: float | None

    def bound(self, grad_steps: int) -> float | None:
        """Return `c * rate**k / (1 - rate)`, which no error of k terms exceeds at the fixed point.

        Here c is the smallest number for which no computed term i exceeds `c * rate**(i - 1)`: it stands
        for the norms of the theorem, which nobody knows. What comes after the last term is taken to shrink
        at that rate.

        Args:
            grad_steps: k.

        Returns:
            In the units of the gradient; None if the series did not converge.
        """
        if not self.converged or self.rate is None or self.rate >= 1:
            return None
        terms = [(i, length) for i, length in enumerate(self.lengths[1:]) if length > 0]
        if self.rate == 0:
            return sum(length for i, length in terms if i >= grad_steps)
        largest = max((length / self.rate**i for i, length in terms), default=0.0)
        return largest * self.rate**grad_steps / (1 - self.rate)


def implicit_gradient(
    x: Tensor,
    factors: Factors,
    solver: Solver,
    cotangent: Tensor,
    *,
    mask: Tensor | None = None,
    tolerance: float = 1e-10,
    most_terms: int = 100_000,
    keep: int = 0,
    tell: Callable[[str], None] | None = None,
) -> NeumannSeries:
    """Differentiate the output at a fixed point by x, as if the iterations had gone on for ever.

    The state s = (D, C) of a fixed point is `s = Phi(s, x)`, the output `y = g(s, x)`. With `J = dPhi/ds` and
    `B = dPhi/dx` the gradient of `<cotangent, y>` is the sum of `(dg/dx)' cotangent` and of
    `B' (J')**i (dg/ds)' cotangent` for i = 0, 1, and so on.
    One iteration is kept in memory as a graph, however many terms there are.

    Differentiated is what the solver's methods say, numbers that they detach being constant: so it is what
    back-propagation through more and more iterations tends to.

    Args:
        x: The data, (batch, dim, positions).
        factors: The fixed point, such as that of `fixed_point`.
        solver: Of the decomposition.
        cotangent: Gradient by the output, (batch, dim, positions).
        mask: True where a position counts, (batch, positions).
        tolerance: How much may be left out, relative to the length of the sum.
        most_terms: After which to give up.
        keep: Up to which k the sums of the first terms are kept; each is as large as x.
        tell: Called with how far it is, after each term.
    """
    x, dictionary, codes = (part.detach().requires_grad_() for part in (x, *factors))
    with torch.enable_grad():
        problem = problem_of(x, solver, mask)
        state = Factors(dictionary, codes)
        output, new = output_of(solver, problem, state), iterated(solver, problem, state)
    total, *adjoint = _pulled_back((output,), (cotangent,), (x, dictionary, codes))
    first, lengths = [total.clone()], [float(torch.linalg.vector_norm(total))]
    rate, converged = None, False
    while len(lengths) <= most_terms and not converged:
        term, *adjoint = _pulled_back(new, adjoint, (x, dictionary, codes))
        total += term
        lengths.append(float(torch.linalg.vector_norm(term)))
        if len(first) <= keep:
            first.append(total.clone())
        rate = _rate(lengths[1:])
        length = float(torch.linalg.vector_norm(total))
        if lengths[-1] == 0:
            converged = True
        elif rate is not None and rate < 1:
            converged = lengths[-1] * rate / (1 - rate) <= tolerance * length
        if tell is not None:
            tell(f"{len(lengths) - 1:,} terms, the last {lengths[-1] / max(length, 1e-300):.1e} of the sum")
    first += [first[-1]] * (keep + 1 - len(first))
    return NeumannSeries(total, tuple(first), tuple(lengths), converged, rate)


def _pulled_back(
    outputs: tuple[Tensor, ...], cotangents: tuple[Tensor, ...] | list[Tensor], inputs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs, inputs, cotangents, retain_graph=True, materialize_grads=True)


def _rate(lengths: list[float]) -> float | None:
    """Return by what terms shrink, over the last quarter of them."""
    if lengths[-1] == 0:
        return 0.0
    if len(lengths) < 3:
        return None
    begin = window_start(len(lengths) - 1)
    return rate_between(lengths[begin], lengths[-1], len(lengths) - 1 - begin)
