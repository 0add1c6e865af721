"""One decomposition, as `check_solver` looks at it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from subquad.nn.contract_report import Check
from subquad.ops.checks import SOLVER_METHODS
from subquad.ops.decompose import decompose
from subquad.ops.solver import Factors, Solver


class Case(NamedTuple):
    """What is given to `decompose`."""

    solver: Solver
    x: Tensor
    dictionary: Tensor
    steps: int

    def solve(self, *, grad_steps: int = 0, mask: Tensor | None = None) -> Factors:
        """Give it to `decompose`."""
        return decompose(
            self.x, self.dictionary, self.solver, steps=self.steps, grad_steps=grad_steps, mask=mask
        )

    def shapes(self) -> list[tuple[int, ...]]:
        """Return what the shapes of the factors must be."""
        (batch, dim, positions), rank = self.x.shape, self.dictionary.shape[2]
        return [(batch, dim, rank), (batch, rank, positions)]

    def residual(self) -> Tensor:
        """Return `|X - D C| / |X|`, (batch,)."""
        size = self.x.norm(dim=(1, 2)).clamp_min(1e-30)
        return (self.x - self.solve().reconstruct()).norm(dim=(1, 2)) / size

    def weights(self, positions: int) -> Factors:
        """Draw what the factors are multiplied with, to have a sum to differentiate."""
        codes = self.dictionary.new_empty(len(self.x), self.dictionary.shape[2], positions)
        return Factors(torch.randn_like(self.dictionary), torch.randn_like(codes))

    def differentiate(self, weights: Factors, grad_steps: int, mask: Tensor | None = None) -> list[Tensor]:
        """Return dictionary and codes, and the gradients of X and of the start dictionary.

        Args:
            weights: Of at least as many positions.
            grad_steps: As for `decompose`, as `mask`.
            mask: True where a position counts.
        """
        x, start = self.x.clone().requires_grad_(), self.dictionary.clone().requires_grad_()
        with torch.enable_grad():
            factors = self._replace(x=x, dictionary=start).solve(grad_steps=grad_steps, mask=mask)
            wanted = weights.codes[..., : factors.codes.shape[2]]
            total = (factors.dictionary * weights.dictionary).sum() + (factors.codes * wanted).sum()
            total = total + 0 * (x.sum() + start.sum())  # a solver may hand out constants
            gradients = torch.autograd.grad(total, (x, start), allow_unused=True, materialize_grads=True)
        return [*(factor.detach() for factor in factors), *gradients]

    def not_finite(self) -> str:
        """Name the first of the factors and gradients that is not, of one step and of all; "" if all are."""
        weights = self.weights(self.x.shape[2])
        names = ("dictionary", "codes", "gradient of X", "gradient of the start dictionary")
        for grad_steps, through in ((0, "the one-step gradient"), (self.steps, "all steps in the graph")):
            for name, tensor in zip(names, self.differentiate(weights, grad_steps), strict=True):
                if not tensor.isfinite().all():
                    return f"no finite {name}, with {through}"
        return ""


class Graph(nn.Module):
    """A decomposition as a module, which a tracer needs."""

    def __init__(self, solver: Solver, steps: int) -> None:
        super().__init__()
        self.solver, self.steps = solver, steps

    def forward(self, x: Tensor, dictionary: Tensor) -> Tensor:
        """Return D C."""
        return Case(self.solver, x, dictionary, self.steps).solve().reconstruct()


def tried(name: str, look: Callable[..., Check | Iterable[Check]], *args: Any) -> list[Check]:
    """Return what a check finds; an exception is a broken promise of that name."""
    checks: list[Check] = []
    try:
        found = look(*args)
        checks.extend([found] if isinstance(found, Check) else found)
    except Exception as error:  # tracers have a class for everything, as solvers of others may
        checks.append(raised(name, error))
    return checks


def raised(name: str, error: Exception) -> Check:
    """Return the check that an exception fails: what it says, and in which method of the solver it was."""
    told = str(error).strip().partition("\n")[0]
    methods = (*SOLVER_METHODS, "objective", "iterate")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name in methods]
    where = f", in {frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename}" if frames else ""
    return Check(name, False, f"raised {type(error).__name__}{where}{told and ': '}{told}")
