"""How good the gradient of a network's hams is: one-step, k-step and BPTT against the implicit one."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from subquad.explain.fixed_point import FixedPoint, fixed_point
from subquad.explain.gradient_report import GradientReport, HamGradients, StepGradient
from subquad.explain.implicit import NeumannSeries, implicit_gradient
from subquad.explain.recorded import HamProblem, Loss, RecordedHam, ham_problem, record_hams
from subquad.ops import NMF, Solver, decompose

_QUIET_SECONDS = 10.0
_SMALL_EPS = 1e-14  # of NMF, for the limit


@torch.inference_mode(mode=False)
def gradients(
    network: nn.Module,
    batch: Tensor | tuple[Any, ...],
    *,
    loss: Loss | None = None,
    grad_steps: Sequence[int] | None = None,
    tolerance: float = 1e-10,
    most_steps: int = 100_000,
    progress: Callable[[str], None] | None = print,
) -> GradientReport:
    """Compare the gradients of each `grad_steps` with the implicit one, on a network and data of one's own.

    The network runs once in evaluation mode as it is, and the loss is differentiated by what its hams hand
    out; the network, its gradients and the random generators stay as they are. Then each ham is taken by
    itself, in float64, from the start of evaluation: it iterates until its output stays where it is, and the
    implicit gradient there is the sum of a Neumann series (`docs/gradients.md` has the mathematics). Against
    it stand the gradients of `decompose` at the ham's own `steps`, those of training; and against BPTT, the
    gradient through all of these steps, which is known where the iterations do not come to rest, too.
    Compared are gradients by the ham's input, over all samples together.

    The implicit gradient is the limit of back-propagation through more and more iterations. For VQ this is
    not quite the derivative of the limit: its final codes take the length of a column of X for a constant.
    The limit of NMF is that with an epsilon of 1e-14: with its own, the scale of D and C would move for
    millions of iterations, and change the output by about as little as epsilon.

    Costs: memory for some ten copies of a ham's input in float64, one more for each of the `grad_steps`, and
    what back-propagation through `steps` iterations takes. Time for twice as many iterations as it takes to
    converge, and for about as many terms, each as long as a training step of the ham: NMF may need tens of
    thousands, VQ and CD hundreds. Give few small samples, or a larger tolerance, such as 1e-4; or few
    `most_steps`, if BPTT is all that is wanted.

    Args:
        network: Any module with a `Ham` in it.
        batch: What the network takes: a tensor, or a tuple of arguments.
        loss: Maps what the network returns to a scalar. None takes the sum of its product with a tensor of
            its shape, drawn from the normal distribution with seed 0.
        grad_steps: Which gradients, each 0 to `steps` of every ham; None takes all of them.
        tolerance: How far the output may be from its end, and the sum of the series from its limit, relative
            to their lengths; more than 0, less than 1.
        most_steps: Iterations, and terms, after which to give up; at least 1.
        progress: Called with a sentence after each ten quiet seconds; None for none.

    Returns:
        The table, with None for what is not known as something did not converge.

    Raises:
        ValueError: If an argument is out of its range, the network has no ham, the batch does not fit, or the
            loss is no scalar or does not depend on what a ham hands out.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be more than 0 and less than 1, got {tolerance}.")
    if most_steps < 1:
        raise ValueError(f"most_steps must be at least 1, got {most_steps}.")
    recorded = record_hams(network, batch, loss)
    for one in recorded:
        _check_grad_steps(one, grad_steps)
    tell = _Quiet(progress)
    entries, calls = [], Counter[str]()
    for one in recorded:
        calls[one.name] += 1
        again = f"#{calls[one.name]}" if calls[one.name] > 1 else ""
        tell.about = f"gradients of {one.name or 'the ham'}{again}"
        chosen = range(one.ham.steps + 1) if grad_steps is None else sorted(set(grad_steps))
        entries.append(_measured(f"{one.name}{again}", one, list(chosen), tolerance, most_steps, tell))
    return GradientReport(tuple(entries))


def _measured(
    name: str, one: RecordedHam, chosen: list[int], tolerance: float, most_steps: int, tell: _Quiet
) -> HamGradients:
    """Return what was measured of one call of a ham."""
    ham, problem = one.ham, ham_problem(one)
    solver = _limiting(ham.solver)
    end = fixed_point(
        problem.x, problem.start, solver,
        mask=problem.mask, tolerance=tolerance, most_steps=most_steps, tell=tell,
    )  # fmt: skip
    series = None
    if end.converged:
        series = implicit_gradient(
            problem.x, end.factors, solver, problem.cotangent,
            mask=problem.mask, tolerance=tolerance, most_terms=most_steps, keep=max(chosen), tell=tell,
        )  # fmt: skip
    is_summed = series is not None and series.converged
    return HamGradients(
        name=name,
        solver=str(ham.solver),
        shape=(problem.x.shape[0], problem.x.shape[1], problem.x.shape[2]),
        rank=ham.rank,
        steps=ham.steps,
        found=end.converged,
        iterations=end.steps,
        summed=is_summed,
        terms=0 if series is None else len(series.lengths) - 1,
        rate=None if series is None else series.rate,
        output_rate=end.rate,
        distance=_distance(problem, ham.solver, ham.steps, end),
        cotangent=_length(problem.cotangent),
        implicit=_length(series.gradient) if series is not None and is_summed else None,
        gradients=_all_compared(problem, ham.solver, ham.steps, chosen, series if is_summed else None),
    )


def _all_compared(
    problem: HamProblem, solver: Solver, steps: int, chosen: list[int], series: NeumannSeries | None
) -> tuple[StepGradient, ...]:
    """Return how the gradients of `decompose` compare with BPTT, and with the implicit one if it is known."""
    bptt = _gradient_of(problem, solver, steps, steps)
    found = ((k, bptt if k == steps else _gradient_of(problem, solver, steps, k)) for k in chosen)
    return tuple(_compared(k, gradient, bptt, series) for k, gradient in found)


def _gradient_of(problem: HamProblem, solver: Solver, steps: int, grad_steps: int) -> Tensor:
    """Return the gradient of `decompose` by its input."""
    x = problem.x.detach().requires_grad_()
    with torch.enable_grad():
        factors = decompose(
            x, problem.start, solver, steps=steps, grad_steps=grad_steps, mask=problem.mask, impl="reference"
        )
        return torch.autograd.grad(factors.reconstruct(), x, problem.cotangent)[0]


def _compared(grad_steps: int, found: Tensor, bptt: Tensor, series: NeumannSeries | None) -> StepGradient:
    through_all = _length(bptt)
    one = StepGradient(
        grad_steps,
        bptt_angle=angle_between(found, bptt),
        bptt_length=_length(found) / through_all if through_all else None,
    )
    whole = 0.0 if series is None else _length(series.gradient)
    if series is None or whole == 0:
        return one
    bound = series.bound(grad_steps)
    return replace(
        one,
        angle=angle_between(found, series.gradient),
        length=_length(found) / whole,
        error=_length(found - series.gradient) / whole,
        limit_error=_length(series.first[grad_steps] - series.gradient) / whole,
        bound=None if bound is None else bound / whole,
    )


def angle_between(one: Tensor, other: Tensor) -> float | None:
    """Return the angle between two tensors in degrees, exact for small ones too; None if one is zero."""
    lengths = _length(one), _length(other)
    if 0 in lengths:
        return None
    one, other = one / lengths[0], other / lengths[1]
    return math.degrees(2 * math.atan2(_length(one - other), _length(one + other)))


def _distance(problem: HamProblem, solver: Solver, steps: int, end: FixedPoint) -> float | None:
    whole = _length(end.output)
    if not end.converged or whole == 0:
        return None
    with torch.no_grad():
        own = decompose(
            problem.x, problem.start, solver, steps=steps, mask=problem.mask, impl="reference"
        ).reconstruct()
    return _length(own - end.output) / whole


def _limiting(solver: Solver) -> Solver:
    """Return the solver whose limit is taken."""
    return replace(solver, eps=min(solver.eps, _SMALL_EPS)) if isinstance(solver, NMF) else solver


def _length(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))


def _check_grad_steps(one: RecordedHam, grad_steps: Sequence[int] | None) -> None:
    steps = one.ham.steps
    if grad_steps is None:
        return
    listed = list(grad_steps) if isinstance(grad_steps, Iterable) else []
    if not listed or not all(isinstance(k, int) and 0 <= k <= steps for k in listed):
        raise ValueError(
            f"grad_steps must be a list of numbers from 0 to {steps}, the steps of the ham {one.name!r}, got "
            f"{grad_steps}."
        )


class _Quiet:
    """Says how far something is, every ten seconds."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self.about, self._progress, self._told = "", progress, time.monotonic()

    def __call__(self, place: str) -> None:
        if self._progress is not None and time.monotonic() - self._told >= _QUIET_SECONDS:
            self._told = time.monotonic()
            self._progress(f"{self.about}: {place}")
